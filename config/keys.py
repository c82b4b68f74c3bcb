"""The secret keys of an installation, one key for each purpose made from them, and the
sealing of secrets that are kept in the database (Fernet: AES-128-CBC with HMAC-SHA256).
"""

from __future__ import annotations

import binascii
import hashlib
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.errors import SealError

KEY_BYTES = 32
_FEWEST_DIFFERENT_BYTES = 16
"""Of 32 random bytes about 30 are different; fewer than 16 never are."""
_TEXT = frozenset(range(0x20, 0x7F))
HOW_TO_MAKE_ONE = "`leaver secret-key` prints one"


class Purpose(StrEnum):
    """What a derived key is for: the `info` of HKDF (RFC 5869 §3.2).

    A value is never changed: it would make another key of the same secret.
    """

    SEALING = "leaver 1: sealing of credentials"
    CURSORS = "leaver 1: SCIM cursors"
    API_CURSORS = "leaver 1: cursors of the admin API"
    ACCESS_TOKENS = "leaver 1: access tokens"
    COOKIES = "leaver 1: sign-in cookies"


@dataclass(frozen=True, slots=True)
class DerivedKey:
    """A key for one purpose, and a name by which several can be told apart."""

    id: str
    key: bytes = field(repr=False)


def new_key() -> str:
    """Return a new secret key: 32 random bytes in base64url."""
    return secrets.token_urlsafe(KEY_BYTES)


def derive(secret_key: str, purpose: Purpose) -> DerivedKey:
    """Return the key of one purpose.

    Keys of different purposes say nothing about one another (RFC 5869). Raises
    `ValueError` for a secret key that is not 32 random bytes.
    """
    derivation = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.value.encode())
    key = derivation.derive(read_key(secret_key))
    # The key has 256 unknown bits, so that its hash gives nothing away (RFC 7638 §7).
    return DerivedKey(hashlib.sha256(b"key id\0" + key).hexdigest()[:12], key)


def read_key(secret_key: str) -> bytes:
    """Return the bytes of a secret key: base64url, or base64, padded or not.

    Raises `ValueError`, whose message does not repeat the key.
    """
    text = secret_key.strip().translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(_refusal("a key is 32 random bytes in base64url, 43 characters"))
    if len(set(key)) < _FEWEST_DIFFERENT_BYTES or _TEXT.issuperset(key):
        raise ValueError(_refusal("the 32 bytes of a key have to be random, and these are not"))
    return key


def _refusal(why: str) -> str:
    return (
        f"{why}; {HOW_TO_MAKE_ONE}. It takes the place of the weak one: afterwards store each Graph "
        "credential again (leaver connection set NAME --client-secret -)"
    )


class Sealer:
    """Seal with the first key and unseal with any, so that the key can be changed."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        """Take secret keys (`config.keys`), the current one first.

        Raises `SealError` without a key, `ValueError` for a weak one.
        """
        if not secret_keys:
            raise SealError(
                f"LEAVER_SECRET_KEY is not set: stored credentials cannot be sealed; {HOW_TO_MAKE_ONE}"
            )
        fernets = [Fernet(urlsafe_b64encode(derive(key, Purpose.SEALING).key)) for key in secret_keys]
        self._current = fernets[0]
        self._fernets = MultiFernet(fernets)

    def seal(self, text: str) -> str:
        return self._fernets.encrypt(text.encode()).decode("ascii")

    def unseal(self, sealed: str) -> str:
        """Return the text; raise `SealError` if no key fits or the text was changed."""
        try:
            return self._fernets.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SealError(
                "a stored credential cannot be unsealed: check LEAVER_SECRET_KEY, it must still hold the key "
                "that sealed it (several keys are separated by commas), or enter the credential again"
            ) from None

    def is_current(self, sealed: str) -> bool:
        """Whether the first key sealed this: no earlier key is needed for it."""
        try:
            self._current.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True

    def reseal(self, sealed: str) -> str:
        """Return the same secret sealed with the first key.

        Raise `SealError` like `unseal`.
        """
        return self.seal(self.unseal(sealed))
