"""Cursors of lists: opaque, and good for one list of one tenant only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from config.keys import DerivedKey
from console.api.problems import FieldError, Problem

_SIGNATURE_BYTES = 12


class PageCursors:
    """Writes cursors with the first key, and reads those of any.

    The keys are the same in every server process.
    """

    def __init__(self, keys: Sequence[DerivedKey]) -> None:
        self._keys = [each.key for each in keys]

    def write(self, scope: str, position: int | str | None) -> str | None:
        """Return the cursor of a position; None stays None: the last page."""
        if position is None:
            return None
        text = str(position).encode()
        return base64.urlsafe_b64encode(self._sign(self._keys[0], scope, text) + text).decode().rstrip("=")

    def read(self, scope: str, cursor: str | None) -> str | None:
        """Return the position. Raises `Problem` for a cursor of another list or none
        of ours.
        """
        if cursor is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError):
            raw = b""
        signature, text = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not any(hmac.compare_digest(signature, self._sign(key, scope, text)) for key in self._keys):
            raise Problem(
                "invalid-cursor", errors=(FieldError("Not a cursor of this list.", parameter="cursor"),)
            )
        return text.decode()

    def _sign(self, key: bytes, scope: str, text: bytes) -> bytes:
        return hmac.digest(key, scope.encode() + b"\0" + text, hashlib.sha256)[:_SIGNATURE_BYTES]
