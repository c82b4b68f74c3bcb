"""The keys of a login authority: when they are asked for, how long they are believed, and which of them count."""

from __future__ import annotations

import json

import pytest
from joserfc.jwk import RSAKey

from scim.auth.jwks import KeysUnreachable, SigningKeys, read_keys
from scim.errors import NotNow
from simulator.signing import Signer

ISSUER = "https://login.example/contoso/v2.0"


async def test_a_new_key_is_fetched_when_it_appears_and_strangers_cannot_make_us_ask() -> None:
    """Signing key rollover: keys are kept, an unknown one is asked for again, but not more than once a minute."""
    now = 1000.0
    asked: list[str] = []
    signer = Signer()

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return json.dumps({"keys": signer.published()}).encode()

    keys = SigningKeys(fetch, clock=lambda: now)
    url = "https://login.example/keys"
    first = str(signer.key.kid)
    for _ in range(3):
        assert await keys.find(url, ISSUER, first) is not None
    assert len(asked) == 1
    signer.roll_over()
    second = str(signer.key.kid)
    assert await keys.find(url, ISSUER, second) is None  # asked a moment ago
    now += 61
    assert await keys.find(url, ISSUER, second) is not None
    assert await keys.find(url, ISSUER, first) is not None  # published still
    for number in range(20):
        assert await keys.find(url, ISSUER, f"stranger {number}") is None
    assert len(asked) == 2
    now += 86_401
    assert await keys.find(url, ISSUER, second) is not None
    assert len(asked) == 3


async def test_known_keys_are_believed_for_a_while_when_the_authority_is_away() -> None:
    """Two days: longer than an outage, shorter than a key that was withdrawn should live."""
    now, is_up = 0.0, True
    signer = Signer()

    async def fetch(url: str) -> bytes:
        if not is_up:
            raise KeysUnreachable("down")
        return json.dumps({"keys": signer.published()}).encode()

    keys = SigningKeys(fetch, clock=lambda: now)
    kid = str(signer.key.kid)
    assert await keys.find("u", ISSUER, kid) is not None
    is_up, now = False, 90_000.0
    assert await keys.find("u", ISSUER, kid) is not None
    with pytest.raises(NotNow):
        await keys.find("u", ISSUER, "unknown")
    now = 180_000.0
    with pytest.raises(NotNow):
        await keys.find("u", ISSUER, kid)
    is_up, now = True, now + 6
    assert await keys.find("u", ISSUER, kid) is not None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"5", b'{"keys": 5}', b'{"keys": [5]}', b"{}", b"\xff"])
def test_what_is_no_key_set_is_no_answer(body: bytes) -> None:
    """A captive portal answers 200 with a page."""
    with pytest.raises(KeysUnreachable):
        read_keys(body, "https://login.example/t/v2.0")


def test_keys_of_other_issuers_and_for_other_uses_are_left_out() -> None:
    """Microsoft Learn: a key may name its issuer, and signs for nobody else then."""
    issuer = "https://login.example/contoso/v2.0"
    key = RSAKey.generate_key(2048, auto_kid=True).as_dict(private=False)
    listed = [
        {**key, "kid": "ours"},
        {**key, "kid": "named", "issuer": "https://login.example/{tenantid}/v2.0", "use": "sig"},
        {**key, "kid": "foreign", "issuer": "https://login.example/fabrikam/v2.0"},
        {**key, "kid": "for secrets", "use": "enc"},
        {"kid": "another kind", "kty": "EC"},
        {**key, "kid": "short", "n": key["n"][:171]},
        {"kid": "broken", "kty": "RSA", "n": "?"},
    ]
    assert set(read_keys(json.dumps({"keys": listed}).encode(), issuer)) == {"ours", "named"}
