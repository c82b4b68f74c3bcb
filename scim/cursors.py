"""Cursors of search results (RFC 9865), sealed by the first of several keys."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from scim2_models import InvalidCursorException
from scim2_server.cursor import Cursors

from config.keys import DerivedKey


class RotatedCursors(Cursors):
    """Seals with the first key and opens with any.

    So a client that pages on while the secret key is changed goes on.
    """

    def __init__(self, keys: Sequence[DerivedKey]) -> None:
        super().__init__(keys[0].key)
        *self._others, self._last = [Cursors(each.key) for each in keys]

    def open(self, cursor: str, query: str, count: int | None, timeout: int | None) -> Any:
        """Return the position that a cursor holds.

        Raises scim2_models.InvalidCursorException where no key opens it.
        """
        for each in self._others:
            with suppress(InvalidCursorException):
                return each.open(cursor, query, count, timeout)
        return self._last.open(cursor, query, count, timeout)
