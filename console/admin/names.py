"""The names that people give to tenants and connections."""

from __future__ import annotations

from console.admin.errors import InvalidName, Noun
from store.records.policy_limits import MOST_NAME_CHARACTERS


def check_name(noun: Noun, name: str) -> str:
    """Return the name without spaces at its ends.

    Raises `InvalidName` unless it is 1 to 100 printable characters without `/`, which
    stands between a tenant and a connection (`fabrikam/entra`).
    """
    trimmed = name.strip()
    if not 0 < len(trimmed) <= MOST_NAME_CHARACTERS or not trimmed.isprintable() or "/" in trimmed:
        raise InvalidName(noun, name)
    return trimmed
