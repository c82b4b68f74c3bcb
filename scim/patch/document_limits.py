"""What a write may make of a document: names that can be told apart, bounded size.

Only what a write changes is judged. A limit that was lowered, or a name that came from
Graph, never stands in the way of another change, least of all of `active`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from scim2_models import InvalidValueException

from scim.limits import ScimLimits, setting_of
from store.records import hidden_character

NAMES = ("userName", "displayName", "externalId")


def refuse_beyond(limits: ScimLimits, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raise scim2_models.InvalidValueException for what a write makes too large, and
    for a name with invisible characters.
    """
    for name in NAMES:
        if after.get(name) != before.get(name):
            _refuse_name(limits, name, after.get(name))
    for path, value in _parts(after):
        if isinstance(value, list) and len(value) > limits.max_values:
            _refuse_grown(limits, "max_values", path, len(value), _size(_at(before, path)))
        elif isinstance(value, Mapping) and len(value) > limits.max_attributes:
            _refuse_grown(limits, "max_attributes", path, len(value), _size(_at(before, path)))
        if len(path[-1]) > limits.max_attributes and _at(before, path) is None and len(path) > 1:
            raise _refused(
                limits, "max_attributes", f"The name of an attribute has {len(path[-1])} characters"
            )
    size = _encoded_size(after)
    if size > limits.max_document_bytes and size > _encoded_size(before):
        raise _refused(limits, "max_document_bytes", f"With this change the resource has {size} bytes")


def _refuse_name(limits: ScimLimits, name: str, value: Any) -> None:
    if not isinstance(value, str):
        return
    if len(value) > limits.max_name_length:
        raise _refused(limits, "max_name_length", f"'{name}' has {len(value)} characters")
    hidden = hidden_character(value)
    if hidden:
        raise InvalidValueException(
            detail=f"'{name}' holds {hidden}, a control character or an invisible one: the name would look like "
            "another one. Remove it in Entra."
        )


def _parts(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the attributes of a document, those of extensions after their extension."""
    for name, value in document.items():
        yield (name,), value
        if isinstance(value, Mapping):
            for inner, item in value.items():
                yield (name, inner), item


def _at(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _encoded_size(document: Mapping[str, Any]) -> int:
    try:
        # Without `active`: "false" is longer than "true".
        return len(orjson.dumps({**document, "active": None}))
    except TypeError:  # half of a surrogate pair: the store refuses it
        return 0


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list | Mapping) else 0


def _refuse_grown(limits: ScimLimits, limit: str, path: tuple[str, ...], size: int, before: int) -> None:
    if size > before:
        what = "values" if limit == "max_values" else "attributes"
        raise _refused(limits, limit, f"'{path[-1][:200]}' has {size} {what}")


def _refused(limits: ScimLimits, limit: str, found: str) -> InvalidValueException:
    most = getattr(limits, limit)
    return InvalidValueException(
        detail=f"{found}, and this server takes {most}: send less, or have its operator raise {setting_of(limit)}."
    )
