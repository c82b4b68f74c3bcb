"""Cursors of lists in addresses: the place in the order, in a form for URLs."""

from __future__ import annotations

import base64
import binascii

from store.records.names import is_storable

PAGE = 50
MOST_EXPORTED = 10_000


def write_cursor(place: str | int | None) -> str | None:
    """Return a place in a list as the value of `after`; None stays None."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def read_cursor(value: str | None) -> str | None:
    """Return the place; None for what is no cursor: the list begins anew."""
    if value is None:
        return None
    try:
        text = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    return text if is_storable(text) else None
