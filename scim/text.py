"""Text that a database can keep: no NUL, and no half of a surrogate pair."""

from __future__ import annotations


def is_storable(text: str) -> bool:
    """Whether a text can be encoded, stored and answered.

    A lone surrogate comes by an escape in a filter, or by a header that is no UTF-8.
    """
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
