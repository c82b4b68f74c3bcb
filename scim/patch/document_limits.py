"""What a write may make of a document: names that can be told apart, bounded size.

Only what a write changes is judged. A limit that was lowered, or a name that came from
Graph, never stands in the way of another change, least of all of `active`.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    _refuse_large_parts(limits, before, after)
    for name, value in after.items():
        if isinstance(value, dict):  # an extension, or a complex attribute
            held = before.get(name)
            parts = held if isinstance(held, dict) else {}
            _refuse_large_parts(limits, parts, value)
            _refuse_long_names(limits, parts, value)
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


def _refuse_large_parts(limits: ScimLimits, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse a list or an object that grew beyond its limit."""
    for name, value in after.items():
        if isinstance(value, list):
            limit = "max_values"
        elif isinstance(value, dict):
            limit = "max_attributes"
        else:
            continue
        if len(value) > getattr(limits, limit) and len(value) > _size(before.get(name)):
            what = "values" if limit == "max_values" else "attributes"
            raise _refused(limits, limit, f"'{name[:200]}' has {len(value)} {what}")


def _refuse_long_names(limits: ScimLimits, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for name in after:
        if len(name) > limits.max_attributes and before.get(name) is None:
            raise _refused(limits, "max_attributes", f"The name of an attribute has {len(name)} characters")


def _encoded_size(document: Mapping[str, Any]) -> int:
    try:
        # Without `active`: "false" is longer than "true".
        return len(orjson.dumps({**document, "active": None}))
    except TypeError:  # half of a surrogate pair: the store refuses it
        return 0


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list | Mapping) else 0


def _refused(limits: ScimLimits, limit: str, found: str) -> InvalidValueException:
    most = getattr(limits, limit)
    return InvalidValueException(
        detail=f"{found}, and this server takes {most}: send less, or have its operator raise {setting_of(limit)}."
    )
