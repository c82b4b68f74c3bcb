"""Hide secrets in what an admin is shown of an object."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from store.records import JsonValue

HIDDEN = "[not shown]"

_SECRET = re.compile(r"passw|secret|token|credential|private_?key", re.IGNORECASE)
"""Names under which directories keep secrets: `password`, `clientSecret`, …"""


def without_secrets(
    values: Mapping[str, JsonValue], hidden: Collection[str] = frozenset()
) -> dict[str, JsonValue]:
    """Return the values without secrets, at every depth.

    Hidden are values whose names match `_SECRET` or are in `hidden`.
    """
    return {
        name: HIDDEN if name in hidden or _SECRET.search(name) else _cleaned(value, hidden)
        for name, value in values.items()
    }


def secret_sources(mapping: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the properties from which a mapping takes secrets."""
    sources = (source for path, source in mapping.items() if _SECRET.search(path))
    return frozenset(word for source in sources for word in re.findall(r"\w+", source))


def _cleaned(value: JsonValue, hidden: Collection[str]) -> JsonValue:
    if isinstance(value, Mapping):
        return without_secrets(value, hidden)
    if isinstance(value, list | tuple):
        return [_cleaned(each, hidden) for each in value]
    return value
