"""What a person is shown of an object: everything but secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from store.records import JsonValue

HIDDEN = "[not shown]"

_SECRET = re.compile(r"passw|secret|token|credential|private_?key", re.IGNORECASE)
"""Names under which directories keep secrets: `password`, `passwordProfile`, `clientSecret`, …"""


def without_secrets(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The same values; those whose names tell of a secret are replaced, at every depth."""
    return {name: HIDDEN if _SECRET.search(name) else _cleaned(value) for name, value in values.items()}


def _cleaned(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return without_secrets(value)
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value
