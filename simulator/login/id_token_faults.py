"""ID tokens that an application must refuse: what goes wrong in an answer of `/token`.

msal gives the claims of every one of them to the application (1.38 and newer validate
the nonce alone), so that each shows whether the application validates the rest.
"""

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping

import orjson
from joserfc import jwt
from joserfc.jwk import RSAKey

from simulator.objects import JsonValue
from simulator.signing import Claims, Signer

Distort = Callable[[dict[str, JsonValue], Signer], str]

ANOTHER_TENANT = "0f0e0d0c-0b0a-4000-8000-00000000abcd"


def distorted_answer(body: bytes, name: str, signer: Signer, earlier: str | None) -> bytes:
    """Return a token answer with its ID token made wrong; `replay` gives an earlier
    one.
    """
    answer = orjson.loads(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("id_token"), str):
        return body
    if name == "replay":
        answer["id_token"] = earlier or answer["id_token"]
        return orjson.dumps(answer)
    claims = dict(signer.read(answer["id_token"]) or {})
    answer["id_token"] = ID_TOKEN_FAULTS[name](claims, signer)
    return orjson.dumps(answer)


def _with(**changed: JsonValue) -> Distort:
    def distort(claims: dict[str, JsonValue], signer: Signer) -> str:
        kept = {name: value for name, value in {**claims, **changed}.items() if value is not None}
        return _signed(kept, signer.key, signer.key.kid)

    return distort


def _of_another_tenant(claims: dict[str, JsonValue], signer: Signer) -> str:
    """Sign as the same authority does for another directory: issuer and `tid` agree."""
    issuer = str(claims["iss"]).replace(str(claims["tid"]), ANOTHER_TENANT)
    return _signed({**claims, "iss": issuer, "tid": ANOTHER_TENANT}, signer.key, signer.key.kid)


def _by_another_key(claims: dict[str, JsonValue], signer: Signer) -> str:
    foreign = RSAKey.generate_key(2048)
    return _signed(claims, foreign, signer.key.kid)


def _by_a_shared_secret(claims: dict[str, JsonValue], signer: Signer) -> str:
    """Sign with the public key as if it were a secret, the classic forgery."""
    header = {"alg": "HS256", "typ": "JWT", "kid": signer.key.kid or ""}
    signed = f"{_base64url(header)}.{_base64url(claims)}"
    mac = hmac.digest(signer.key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def _unsigned(claims: dict[str, JsonValue], _signer: Signer) -> str:
    parts = (_base64url({"alg": "none", "typ": "JWT"}), _base64url(claims), "")
    return ".".join(parts)


def _expired(claims: dict[str, JsonValue], signer: Signer) -> str:
    long_ago = int(time.time()) - 86_400
    times = {"iat": long_ago, "nbf": long_ago, "exp": long_ago + 3600}
    return _signed({**claims, **times}, signer.key, signer.key.kid)


def _signed(claims: Claims, key: RSAKey, key_id: str | None) -> str:
    return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": key_id}, dict(claims), key)


def _base64url(value: Mapping[str, JsonValue]) -> str:
    return urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


ID_TOKEN_FAULTS: Mapping[str, Distort] = {
    "wrong_issuer": _with(iss="https://login.evil.example/v2.0"),
    "wrong_audience": _with(aud="00000000-0000-4000-8000-000000000bad"),
    "wrong_party": _with(azp="00000000-0000-4000-8000-000000000bad"),
    "wrong_nonce": _with(nonce="another"),
    "wrong_tenant": _with(tid=ANOTHER_TENANT),
    "another_tenant": _of_another_tenant,
    "no_object_id": _with(oid=None),
    "wrong_key": _by_another_key,
    "shared_secret": _by_a_shared_secret,
    "unsigned": _unsigned,
    "expired": _expired,
}
NAMES = frozenset({*ID_TOKEN_FAULTS, "replay"})
