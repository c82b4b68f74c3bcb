"""Tokens of the simulated tenant: signed with a key of its own, read back for Graph's
gate.
"""

import time
import uuid
from collections.abc import Mapping

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from simulator.objects import JsonValue

LIFE_S = 3599
"""`expires_in` of an app token (client credentials page)."""

Claims = Mapping[str, JsonValue]


class Signer:
    """Signs and reads tokens.

    Their life is real time: what was advanced is the company's clock, not the client's.
    """

    def __init__(self) -> None:
        self.key = _new_key()
        self.former_keys: list[RSAKey] = []
        """Published still, so that what they signed can be checked until it has
        ended."""
        self._read: dict[str, Claims] = {}
        self._generation = 0

    def sign(self, claims: Claims, life_s: int = LIFE_S) -> str:
        """Sign claims, with the times and a unique id added."""
        now = int(time.time())
        times = {
            "iat": now,
            "nbf": now,
            "exp": now + life_s,
            "uti": uuid.uuid4().hex[:22],
            "gen": self._generation,
        }
        return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": self.key.kid}, {**claims, **times}, self.key)

    def read(self, token: str) -> Claims | None:
        """Return the claims of a token of ours; None for one that is foreign or
        damaged.

        Expiry is the caller's.
        """
        if token not in self._read:
            try:
                keys = KeySet([self.key, *self.former_keys])
                self._read[token] = jwt.decode(token, keys, algorithms=["RS256"]).claims
            except (JoseError, ValueError):
                return None
        return self._read[token]

    def roll_over(self) -> None:
        """Sign with a new key from now on ("Signing key rollover in the Microsoft
        identity platform").
        """
        self.former_keys.append(self.key)
        self.key = _new_key()

    def published(self) -> list[dict[str, str | list[str]]]:
        """Return the public keys as the keys endpoint lists them."""
        return [key.as_dict(private=False) for key in (self.key, *self.former_keys)]

    def is_live(self, claims: Claims) -> bool:
        """Return whether a token has neither expired nor been cut off."""
        expires = claims.get("exp")
        in_time = isinstance(expires, int) and expires > time.time()
        return in_time and claims.get("gen") == self._generation

    def cut_off(self) -> None:
        """Let every token issued until now be refused."""
        self._generation += 1


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"use": "sig", "alg": "RS256"}, auto_kid=True)
