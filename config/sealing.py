"""Seal secrets that are kept in the database (Fernet: AES-128-CBC with HMAC-SHA256)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.errors import SealError

SHORTEST_KEY = 16
_FERNET_KEY_BYTES = 32


def check_key(key: str) -> None:
    """Raise `ValueError` if a key is too short to protect anything."""
    if len(key) < SHORTEST_KEY:
        raise ValueError(
            f"each key needs at least {SHORTEST_KEY} characters of random text, "
            "which `openssl rand -base64 32` makes"
        )


class Sealer:
    """Seal with the first key and unseal with any, so that the key can be changed."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take Fernet keys, or any text of 16 characters and more, which is stretched.

        Raises `SealError` without a key.
        """
        if not keys:
            raise SealError(
                "LEAVER_SECRET_KEY is not set: stored credentials cannot be sealed; "
                "for example LEAVER_SECRET_KEY=$(openssl rand -base64 32)"
            )
        for key in keys:
            check_key(key)
        self._fernets = MultiFernet([_fernet(key) for key in keys])

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

    def reseal(self, sealed: str) -> str:
        """Return the same secret sealed with the first key.

        Raise `SealError` like `unseal`.
        """
        return self.seal(self.unseal(sealed))


def _fernet(key: str) -> Fernet:
    return Fernet(key if _is_fernet_key(key) else base64.urlsafe_b64encode(_stretch(key)))


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == _FERNET_KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _stretch(key: str) -> bytes:
    """Derive 32 bytes from random text (RFC 5869).

    A text that a person made up stays as weak as it was.
    """
    derivation = HKDF(
        algorithm=SHA256(), length=_FERNET_KEY_BYTES, salt=None, info=b"leaver: sealing of credentials"
    )
    return derivation.derive(key.encode())
