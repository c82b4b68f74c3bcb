"""Seal secrets that are kept in the database (Fernet: AES-128-CBC with HMAC-SHA256)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from config.errors import SealError
from config.keys import HOW_TO_MAKE_ONE, Purpose, derive


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
