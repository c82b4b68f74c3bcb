"""Parse the values of a body into the form in which their attribute is kept.

Values are parsed once, where an operation or a resource is read. The functions that
write to a document only see parsed values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim2_models import InvalidValueException

from scim.schema.definitions import Attribute
from scim.schema.entra_quirks import as_element, boolean_of, is_cleared, removed_elements
from scim.schema.paths import Location

_EXPECTED = {
    "string": "a string",
    "reference": "a string",
    "binary": "a base64 string",
    "dateTime": "a string holding a date and time",
    "integer": "an integer",
    "decimal": "a number",
    "boolean": "true or false",
}


def parse_value(location: Location, raw: Any, *, is_add: bool) -> Any:
    """Return the value to write at a location, or None to clear it.

    The form depends on the location. A multi-valued attribute gets a list. A single
    complex attribute and the elements of a selector get an object of sub-attributes, in
    which None clears one. Everything else gets a plain value. Names get the case of the
    schema; unknown and read-only sub-attributes are left out (RFC 7644 §3.3). Raises
    scim2_models.InvalidValueException for a value of the wrong type.
    """
    attribute = location.attribute
    if attribute is None:
        return None
    if location.selector is not None:
        return _parse_selected(attribute, location.sub, raw)
    if is_cleared(raw):
        return None
    if location.sub is not None:
        return _parse_plain(location.sub, raw, f"{attribute.name}.{location.sub.name}")
    if attribute.multi_valued:
        return _parse_list(attribute, raw, is_add=is_add)
    if attribute.is_complex:
        return _parse_object(attribute, raw)
    return _parse_plain(attribute, raw, attribute.name)


def parse_removed(location: Location, raw: Any) -> list[dict[str, Any]] | None:
    """Return the elements that a `remove` lists in its value, or None to remove all.

    Only a multi-valued attribute without a selector takes such a list (RFC 7644
    §3.5.2.2 has none; see `entra_quirks.removed_elements`). Raises
    scim2_models.InvalidValueException for a value that lists no objects.
    """
    attribute = location.attribute
    if attribute is None or not attribute.multi_valued or location.sub or location.selector:
        return None
    listed = removed_elements(raw)
    if listed is None:
        return None
    removed = [_known_parts(attribute, element) for element in listed]
    return [_with_member_id(each) for each in removed] if attribute.name == "members" else removed


def check_one_primary(attribute: Attribute, values: list[Any]) -> None:
    """Refuse several primary values (RFC 7643 §2.4: true must appear no more than once)."""
    if attribute.is_complex and sum(each.get("primary") is True for each in values) > 1:
        raise InvalidValueException(detail=f"Only one value of '{attribute.name}' can be primary.")


def _parse_list(attribute: Attribute, raw: Any, *, is_add: bool) -> list[Any] | None:
    elements = raw if isinstance(raw, list) else [raw]
    values = [value for each in elements if (value := _parse_element(attribute, each)) is not None]
    if not is_add:
        check_one_primary(attribute, values)
    return values or None


def _parse_element(attribute: Attribute, raw: Any) -> Any:
    if is_cleared(raw):
        return None
    if not attribute.is_complex:
        return _parse_plain(attribute, raw, attribute.name)
    element = as_element(attribute, raw)
    if not isinstance(element, Mapping):
        raise InvalidValueException(detail=f"'{attribute.name}' must be an object, not {_shown(raw)}.")
    parts = _parse_parts(attribute, element)
    kept = {name: value for name, value in parts.items() if value is not None}
    if kept and attribute.name == "members":
        return _with_member_id(kept)
    return kept or None


def _parse_object(attribute: Attribute, raw: Any) -> dict[str, Any] | None:
    """Parse the value of a single complex attribute: its sub-attributes, None to clear one."""
    element = as_element(attribute, raw)
    if is_cleared(element):
        return None
    if not isinstance(element, Mapping):
        raise InvalidValueException(detail=f"'{attribute.name}' must be an object, not {_shown(raw)}.")
    parts = _parse_parts(attribute, element)
    return None if not parts and not isinstance(raw, Mapping) else parts


def _parse_selected(attribute: Attribute, sub: Attribute | None, raw: Any) -> dict[str, Any]:
    """Parse the sub-attributes to write to each element that a selector matches."""
    if not attribute.is_complex:
        raise InvalidValueException(
            detail=f"The values of '{attribute.name}' cannot be changed, only replaced."
        )
    if sub is not None:
        name = f"{attribute.name}.{sub.name}"
        return {sub.name: None if is_cleared(raw) else _parse_plain(sub, raw, name)}
    if is_cleared(raw):
        return dict.fromkeys(each.name for each in attribute.sub_attributes.values())
    values = _parse_list(attribute, raw, is_add=True) or [{}]
    if len(values) > 1:
        raise InvalidValueException(detail=f"The filter of the path takes one object of '{attribute.name}'.")
    selected: dict[str, Any] = values[0]
    return selected


def _parse_parts(attribute: Attribute, element: Mapping[str, Any]) -> dict[str, Any]:
    """Parse the declared sub-attributes of an object; None stands for a cleared one."""
    parts: dict[str, Any] = {}
    for key, raw in element.items():
        sub = attribute.sub_attributes.get(key.lower())
        if sub is None or sub.mutability == "readOnly":
            continue
        name = sub.name
        parts[name] = None if is_cleared(raw) else _parse_plain(sub, raw, f"{attribute.name}.{name}")
    return parts


def _known_parts(attribute: Attribute, element: Mapping[str, Any]) -> dict[str, Any]:
    return {sub.name: value for name, value in element.items() if (sub := attribute.sub(name))}


def _with_member_id(element: dict[str, Any]) -> dict[str, Any]:
    """Return a member that has its id as `value`; the id may be the end of `$ref` instead.

    Raises scim2_models.InvalidValueException for a member without an id.
    """
    member_id, reference = element.get("value"), element.get("$ref")
    if not member_id and isinstance(reference, str):
        member_id = reference.rstrip("/").rpartition("/")[2]
    if not isinstance(member_id, str) or not member_id:
        raise InvalidValueException(
            detail="Each of the members needs a 'value': the id of a user or a group."
        )
    return {**element, "value": member_id}


def _parse_plain(attribute: Attribute, raw: Any, name: str) -> Any:
    kind = attribute.type
    if kind == "any":
        return raw
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
    expected = _EXPECTED.get(kind, "one of its sub-attributes")
    raise InvalidValueException(detail=f"'{name}' must be {expected}, not {_shown(raw)}.")


def _shown(raw: Any) -> str:
    """Name the type of a refused value; the value itself may be personal data."""
    if raw is None:
        return "null"
    return {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}.get(
        type(raw), "a number"
    )
