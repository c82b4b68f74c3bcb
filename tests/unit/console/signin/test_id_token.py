"""The whole ID token is verified: one wrong thing a row, and nothing else wrong (OpenID Connect Core §3.1.3.7)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from console.signin.id_token import ExpectedIssuer, ForeignDirectory, TokenRefused, verify_id_token
from scim.auth.jwks import SigningKey, SigningKeys

DIRECTORY, OTHER_DIRECTORY = "8f5b5a0e-0000-4000-8000-000000000001", "8f5b5a0e-0000-4000-8000-000000000002"
ISSUER = f"https://login.example/{DIRECTORY}/v2.0"
CLIENT = "5c1b0f0e-0000-4000-8000-00000000c11e"
KEY = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"})
ANOTHER_KEY = RSAKey.generate_key(2048, parameters={"kid": "one"})
EXPECTED = ExpectedIssuer(ISSUER, CLIENT, "https://login.example/keys", DIRECTORY)
NOW = 1_793_000_000.0


def now() -> float:
    return NOW


Claims = dict[str, Any]


def claims(**changed: Any) -> Claims:
    right = {
        "iss": ISSUER,
        "aud": CLIENT,
        "tid": DIRECTORY,
        "oid": "AB" * 16,
        "sub": "pairwise",
        "sid": "s",
        "nonce": "n",
        "ver": "2.0",
        "iat": int(NOW),
        "nbf": int(NOW),
        "exp": int(NOW) + 3600,
        **changed,
    }
    return {name: value for name, value in right.items() if value is not None}


def signed(body: Claims, key: SigningKey = KEY, algorithm: str = "RS256", **header: Any) -> str:
    full = {"alg": algorithm, "typ": "JWT", "kid": "one", **header}
    kept = {name: value for name, value in full.items() if value is not None}
    return jwt.encode(kept, body, key, algorithms=[algorithm])


def published(*keys: SigningKey, **more: Any) -> SigningKeys:
    async def fetch(_url: str) -> bytes:
        return json.dumps({"keys": [{**key.as_dict(private=False), **more} for key in keys]}).encode()

    return SigningKeys(fetch)


async def test_a_right_token_names_the_person_by_directory_and_object_id() -> None:
    """The identity is tid and oid; e-mail, UPN and name are not even read."""
    found = await verify_id_token(
        signed(claims(email="boss@contoso.example")), EXPECTED, "n", published(KEY), now
    )
    assert (found.directory_id, found.object_id, found.subject, found.session_id) == (
        *(DIRECTORY, "ab" * 16),
        *("pairwise", "s"),
    )


WRONG: dict[str, Claims] = {
    "issuer of another host": {"iss": f"https://login.evil.example/{DIRECTORY}/v2.0"},
    "issuer with a slash": {"iss": f"{ISSUER}/"},
    "issuer of all tenants": {"iss": "https://login.example/common/v2.0"},
    "issuer with the template": {"iss": "https://login.example/{tenantid}/v2.0"},
    "issuer of version 1": {"iss": f"https://sts.windows.net/{DIRECTORY}/"},
    "no issuer": {"iss": None},
    "issuer in a list": {"iss": [ISSUER]},
    "another audience": {"aud": "another"},
    "no audience": {"aud": None},
    "audience that contains ours": {"aud": f"{CLIENT}x"},
    "audience of Graph": {"aud": "https://graph.microsoft.com"},
    "several audiences without a party": {"aud": [CLIENT, "another"]},
    "several audiences, another party": {"aud": [CLIENT, "another"], "azp": "another"},
    "given to another party": {"azp": "another"},
    "another directory under our issuer": {"tid": OTHER_DIRECTORY},
    "no directory": {"tid": None},
    "directory in a list": {"tid": [DIRECTORY]},
    "no object id": {"oid": None},
    "object id that is no text": {"oid": 7},
    "no subject": {"sub": None},
    "another nonce": {"nonce": "m"},
    "no nonce": {"nonce": None},
    "nonce that is no text": {"nonce": ["n"]},
    "expired": {"exp": int(NOW) - 61},
    "no end": {"exp": None},
    "end that is no number": {"exp": "9999999999"},
    "not yet valid": {"nbf": int(NOW) + 120},
    "issued in the future": {"iat": int(NOW) + 120},
    "no time of issue": {"iat": None},
    "version 1": {"ver": "1.0"},
}


@pytest.mark.parametrize("what", WRONG)
async def test_one_wrong_claim_is_refused(what: str) -> None:
    """Issue 11: "a table test with one wrong claim a row"; msal lets all but the nonce pass."""
    with pytest.raises(TokenRefused):
        await verify_id_token(signed(claims(**WRONG[what])), EXPECTED, "n", published(KEY), now)


def unsigned(body: Claims, algorithm: str = "none") -> str:
    parts = [{"alg": algorithm, "typ": "JWT", "kid": "one"}, body]
    encoded = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, ""])


def with_other_claims(token: str) -> str:
    head, _, signature = token.split(".")
    body = urlsafe_b64encode(json.dumps(claims(oid="ff" * 16)).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


WRONG_SIGNATURES: dict[str, Callable[[], str]] = {
    "none": lambda: unsigned(claims()),
    "None": lambda: unsigned(claims(), "None"),
    "empty signature": lambda: unsigned(claims(), "RS256"),
    "another key of the same id": lambda: signed(claims(), ANOTHER_KEY),
    "changed claims": lambda: with_other_claims(signed(claims())),
    "unknown key id": lambda: signed(claims(), kid="two"),
    "no key id": lambda: signed(claims(), kid=None),
    "security event": lambda: signed(claims(), typ="secevent+jwt"),
    "logout token": lambda: signed(claims(), typ="logout+jwt"),
    "access token": lambda: signed(claims(), typ="at+jwt"),
    "critical header": lambda: signed(claims(), crit=["kid"]),
    "not a JWT": lambda: "abc",
    "empty": lambda: "",
    "five parts": lambda: "a.b.c.d.e",
    "very long": lambda: signed(claims(padding="x" * 70_000)),
}


@pytest.mark.parametrize("what", WRONG_SIGNATURES)
async def test_a_wrong_signature_or_kind_is_refused(what: str) -> None:
    """RFC 8725: the algorithm is ours to choose, and a token of another kind is no ID token."""
    with pytest.raises(TokenRefused):
        await verify_id_token(WRONG_SIGNATURES[what](), EXPECTED, "n", published(KEY), now)


async def test_a_shared_secret_signs_nothing() -> None:
    """HS256 with the client secret, or with the public key as the secret: both sides would hold it."""
    import hashlib
    import hmac

    for secret in (b"client-secret", KEY.as_pem(private=False)):
        unsigned_parts = unsigned(claims(), "HS256").rstrip(".")
        mac = urlsafe_b64encode(hmac.new(secret, unsigned_parts.encode(), hashlib.sha256).digest()).decode()
        with pytest.raises(TokenRefused):
            await verify_id_token(f"{unsigned_parts}.{mac.rstrip('=')}", EXPECTED, "n", published(KEY), now)


async def test_a_key_of_another_issuer_verifies_nothing() -> None:
    """Microsoft's keys name their issuer: a key of one tenant is no key of another."""
    foreign = published(KEY, issuer=f"https://login.example/{OTHER_DIRECTORY}/v2.0")
    with pytest.raises(TokenRefused):
        await verify_id_token(signed(claims()), EXPECTED, "n", foreign, now)
    templated = published(KEY, issuer="https://login.example/{tenantid}/v2.0")
    found = await verify_id_token(signed(claims()), EXPECTED, "n", templated, now)
    assert found.subject == "pairwise"


async def test_a_good_token_of_another_directory_is_told_apart() -> None:
    """The person took the wrong account: the page can say so."""
    issuer = f"https://login.example/{OTHER_DIRECTORY}/v2.0"
    with pytest.raises(ForeignDirectory):
        await verify_id_token(
            signed(claims(iss=issuer, tid=OTHER_DIRECTORY)), EXPECTED, "n", published(KEY), now
        )


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ECKey.generate_key("P-256", parameters={"kid": "one"}), "ES256"),
        (OKPKey.generate_key("Ed25519", parameters={"kid": "one"}), "Ed25519"),
        (KEY, "PS256"),
        (KEY, "RS512"),
    ],
)
async def test_other_asymmetric_algorithms_are_fine(key: SigningKey, algorithm: str) -> None:
    """Other providers sign with RS512, ES256 or Ed25519, name several audiences, and know no directory."""
    expected = ExpectedIssuer("https://idp.example", CLIENT, "https://idp.example/keys")
    body = claims(iss="https://idp.example", tid=None, oid=None, ver=None, aud=[CLIENT, "x"], azp=CLIENT)
    found = await verify_id_token(signed(body, key, algorithm), expected, "n", published(key), now)
    assert (found.subject, found.object_id, found.directory_id) == ("pairwise", None, None)
