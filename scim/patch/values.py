"""Bringing values a client sent into the form their attribute has; what says nothing becomes None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim2_models import InvalidValueException

from scim.schema.definitions import Attribute
from scim.schema.entra_quirks import as_element, boolean_of, is_cleared

_EXPECTED = {
    "string": "a string",
    "reference": "a string",
    "binary": "a base64 string",
    "dateTime": "a string holding a date and time",
    "integer": "an integer",
    "decimal": "a number",
    "boolean": "true or false",
}


def clean(attribute: Attribute, raw: Any) -> Any:
    """Return the value to keep for an attribute, or None when the client sent none.

    Unknown sub-attributes are left out, names get the case the schema gives them, read-only ones are ignored
    (RFC 7644 §3.3).
    Raises scim2_models.InvalidValueException for a value of the wrong type.
    """
    if is_cleared(raw):
        return None
    if not attribute.multi_valued:
        return _clean_one(attribute, raw)
    values = raw if isinstance(raw, list) else [raw]
    return [value for each in values if (value := _clean_one(attribute, each)) is not None] or None


def clean_sub(attribute: Attribute, sub: Attribute, raw: Any) -> Any:
    """Return the value to keep for a sub-attribute, or None when it is cleared."""
    return None if is_cleared(raw) else _clean_simple(sub, raw, f"{attribute.name}.{sub.name}")


def check_one_primary(attribute: Attribute, values: list[Any]) -> None:
    """Refuse several primary values (RFC 7643 §2.4: the primary value true must appear no more than once)."""
    if attribute.is_complex and sum(each.get("primary") is True for each in values) > 1:
        raise InvalidValueException(detail=f"Only one value of '{attribute.name}' can be primary.")


def _clean_one(attribute: Attribute, raw: Any) -> Any:
    if is_cleared(raw):
        return None
    if attribute.type == "any":
        return raw
    if not attribute.is_complex:
        return _clean_simple(attribute, raw, attribute.name)
    element = as_element(attribute, raw)
    if is_cleared(element):
        return None
    if not isinstance(element, Mapping):
        raise InvalidValueException(detail=f"'{attribute.name}' must be an object, not {_shown(raw)}.")
    return _clean_object(attribute, element)


def _clean_object(attribute: Attribute, element: Mapping[str, Any]) -> dict[str, Any] | None:
    kept = {}
    for name, raw in element.items():
        sub = attribute.sub_attributes.get(name.lower())
        if sub is None or sub.mutability == "readOnly" or is_cleared(raw):
            continue
        kept[sub.name] = _clean_simple(sub, raw, f"{attribute.name}.{sub.name}")
    return kept or None


def _clean_simple(attribute: Attribute, raw: Any, name: str) -> Any:
    kind = attribute.type
    if kind == "boolean":
        value = boolean_of(raw)
        if value is not None:
            return value
    elif (
        (kind in ("string", "reference", "binary", "dateTime") and isinstance(raw, str))
        or (kind == "integer" and isinstance(raw, int) and not isinstance(raw, bool))
        or (kind == "decimal" and isinstance(raw, int | float) and not isinstance(raw, bool))
    ):
        return raw
    raise InvalidValueException(detail=f"'{name}' must be {_EXPECTED[kind]}, not {_shown(raw)}.")


def _shown(raw: Any) -> str:
    """Name the type of a refused value: the value itself may be personal data and does not belong in an
    error.
    """
    if raw is None:
        return "null"
    return {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}.get(
        type(raw), "a number"
    )
