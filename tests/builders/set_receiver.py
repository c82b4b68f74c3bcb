"""A receiver of security events, written from the RFCs alone: nothing of Leaver's, and no JOSE library.

RFC 7515, 7517, 7518 (RS256, ES256), 8037 (Ed25519), 8417, 8935, 8936, 9493, SSF 1.0.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

REQUIRED = {"iss", "iat", "jti", "events", "aud", "sub_id"}
FORBIDDEN = {"exp", "nonce", "sub"}
"""SSF 1.0 §4: `sub_id` and never `sub`; no `exp`; RFC 8417 §2.2: never a nonce's use as an ID token."""
FORMATS: Mapping[str, set[str]] = {
    "opaque": {"id"},
    "iss_sub": {"iss", "sub"},
    "scim": {"uri"},
}


class SetError(Exception):
    """A token is refused; `code` is one of RFC 8935 §2.4."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text))


def verify_signature(jwk: Mapping[str, str], algorithm: str, signed: bytes, signature: bytes) -> None:
    """Raises for a signature that the key did not make."""
    if algorithm == "RS256":
        numbers = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"]))
        assert numbers.n.bit_length() >= 2048
        numbers.public_key().verify(signature, signed, padding.PKCS1v15(), SHA256())
    elif algorithm == "ES256":
        point = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), ec.SECP256R1())
        parts = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
        point.public_key().verify(parts, signed, ec.ECDSA(SHA256()))
    elif algorithm == "Ed25519":
        Ed25519PublicKey.from_public_bytes(_bytes(jwk["x"])).verify(signature, signed)
    else:
        raise SetError("invalid_key", f"{algorithm} is not accepted")


@dataclass
class SetReceiver:
    """Accepts the tokens of one transmitter for one audience, each id once."""

    issuer: str
    audience: str
    keys: Mapping[str, Mapping[str, str]]
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Claims by `jti`: what comes again is the same and is acted upon once."""

    def take(self, token: str) -> dict[str, Any]:
        parts = token.split(".")
        if len(parts) != 3:
            raise SetError("invalid_request", "not a compact JWS")
        header, claims = json.loads(_bytes(parts[0])), json.loads(_bytes(parts[1]))
        if header.get("typ") != "secevent+jwt":
            raise SetError("invalid_request", "not a security event token")
        if header.get("kid") not in self.keys or self.keys[header["kid"]]["alg"] != header["alg"]:
            raise SetError("invalid_key", "an unknown key")
        try:
            signed = f"{parts[0]}.{parts[1]}".encode()
            verify_signature(self.keys[header["kid"]], header["alg"], signed, _bytes(parts[2]))
        except InvalidSignature:
            raise SetError("authentication_failed", "the signature is not good") from None
        self._check(claims)
        self.seen[claims["jti"]] = claims
        return dict(claims)

    def _check(self, claims: Mapping[str, Any]) -> None:
        if not claims.keys() >= REQUIRED or claims.keys() & FORBIDDEN:
            raise SetError("invalid_request", f"claims {sorted(claims)}")
        if claims["iss"] != self.issuer:
            raise SetError("invalid_issuer", claims["iss"])
        if self.audience not in (claims["aud"], *claims["aud"]):
            raise SetError("invalid_audience", str(claims["aud"]))
        if len(claims["events"]) != 1 or not all(
            isinstance(each, dict) for each in claims["events"].values()
        ):
            raise SetError("invalid_request", "SSF 1.0: one event in a token, with an object")
        _check_subject(claims["sub_id"])
        if "sub_id" in str(claims["events"]):
            raise SetError("invalid_request", "the subject stands at the top")

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return [next(iter(claims["events"].items())) for claims in self.seen.values()]


def _check_subject(subject: Mapping[str, Any]) -> None:
    """RFC 9493 §3: exactly the members of the format, none of them empty."""
    members = {name: value for name, value in subject.items() if name != "format"}
    if subject["format"] == "complex":
        assert members
        for each in members.values():
            _check_subject(each)
        return
    if members.keys() != FORMATS[subject["format"]] or not all(members.values()):
        raise SetError("invalid_request", f"subject {subject}")
