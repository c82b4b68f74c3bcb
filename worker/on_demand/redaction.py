"""What a person is shown of an object: everything but secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from store.records import JsonValue

HIDDEN = "[not shown]"

_SECRET = re.compile(r"passw|secret|token|credential|private_?key", re.IGNORECASE)
"""Names under which directories keep secrets: `password`, `passwordProfile`, `clientSecret`, …"""


def without_secrets(
    values: Mapping[str, JsonValue], hidden: Collection[str] = frozenset()
) -> dict[str, JsonValue]:
    """The same values; those whose names tell of a secret, or are in `hidden`, are replaced, at every depth."""
    return {
        name: HIDDEN if name in hidden or _SECRET.search(name) else _cleaned(value, hidden)
        for name, value in values.items()
    }


def secret_sources(mapping: Mapping[str, str]) -> frozenset[str]:
    """Names of the properties from which secrets come here, whatever they are called where they come from."""
    sources = (source for path, source in mapping.items() if _SECRET.search(path))
    return frozenset(word for source in sources for word in re.findall(r"\w+", source))


def _cleaned(value: JsonValue, hidden: Collection[str]) -> JsonValue:
    if isinstance(value, Mapping):
        return without_secrets(value, hidden)
    if isinstance(value, list | tuple):
        return [_cleaned(each, hidden) for each in value]
    return value
