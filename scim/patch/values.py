"""Parse the values of a body into the form in which their attribute is kept.

Values are parsed once, where an operation or a resource is read. The functions that
write to a document only see parsed values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import orjson
from scim2_models import InvalidValueException

from scim.json_body import check_numbers
from scim.schema.definitions import Attribute
from scim.schema.entra_quirks import as_element, boolean_of, is_cleared, only_value
from scim.schema.paths import Location

LABELS = frozenset({"type", "primary"})
"""Sub-attributes that describe an element and are no value by themselves."""

Write = Literal["add", "replace", "whole"]
"""How a value is written: by an operation of a PATCH, or with its whole resource (POST,
PUT).
"""

_TEXT_TYPES = frozenset({"string", "reference", "binary", "dateTime"})
_EXPECTED = {
    "string": "a string",
    "reference": "a string",
    "binary": "a base64 string",
    "dateTime": "a string holding a date and time",
    "integer": "an integer",
    "decimal": "a number",
    "boolean": "true or false",
}


def parse_value(location: Location, raw: Any, write: Write) -> Any:
    """Return the value to write at a location, or None to clear it.

    The form depends on the location. A multi-valued attribute gets a list. A single
    complex attribute and the elements of a selector get an object of sub-attributes, in
    which None clears one. Everything else gets a plain value. Names get the case of the
    schema; unknown and read-only sub-attributes are left out (RFC 7644 §3.3).

    Raises scim2_models.InvalidValueException for a value of the wrong type, and for one
    that is not empty and of which nothing is understood: only null, an empty list or,
    for a single plain value or the manager, the empty string clears (Entra SCIM page,
    "Update User": `manager` is cleared so).
    """
    attribute = location.attribute
    if attribute is None:
        return None
    if location.selector is not None:
        return _parse_selected(attribute, location.sub, raw)
    if location.sub is not None:
        name = f"{attribute.name}.{location.sub.name}"
        return None if is_cleared(raw) else _parse_only(location.sub, raw, name)
    if attribute.multi_valued:
        return _parse_list(attribute, raw, write)
    if is_cleared(raw):
        if raw == "" and attribute.is_complex and attribute.name != "manager":
            _refuse_empty_text(attribute, write)
        return None
    if attribute.is_complex:
        return _parse_object(attribute, raw)
    parse = _parse_plain if write == "whole" else _parse_only
    return parse(attribute, raw, attribute.name)


def parse_removed(location: Location, raw: Any) -> list[Any] | None:
    """Return the elements that a `remove` lists in its value, or None to remove all.

    Entra lists what to remove (compliance page, "remove member"). A server that follows
    RFC 7644 §3.5.2.2 ignores the value and empties the group. An empty list removes
    nothing; only a remove without a value, or with null, removes all. Where the
    location is not a multi-valued attribute the value is ignored. Raises
    scim2_models.InvalidValueException for an element of which nothing is understood.
    """
    attribute = location.attribute
    if attribute is None or location.sub or location.selector:
        return None
    if not (attribute.multi_valued or attribute.is_open):
        return None
    if raw is None:
        return None
    elements = raw if isinstance(raw, list) else [raw]
    return [_parse_removed_element(attribute, each) for each in elements]


def check_one_primary(attribute: Attribute, values: list[Any]) -> None:
    """Refuse several primary values (RFC 7643 §2.4: true must appear no more than
    once).
    """
    if attribute.is_complex and sum(each.get("primary") is True for each in values) > 1:
        raise InvalidValueException(detail=f"Only one value of '{attribute.name}' can be primary.")


def _parse_list(attribute: Attribute, raw: Any, write: Write) -> list[Any] | None:
    if raw is None:
        return None
    if raw == "":
        _refuse_empty_text(attribute, write)
        return None
    elements = raw if isinstance(raw, list) else [raw]
    values = [value for each in elements if (value := _parse_element(attribute, each)) is not None]
    if write != "add":
        check_one_primary(attribute, values)
    if write == "replace" and elements and not values:
        raise InvalidValueException(
            detail=f"The values of '{attribute.name}' are all empty: expected {_element_form(attribute)}, "
            "or null or [] to clear it."
        )
    return values or None


def _refuse_empty_text(attribute: Attribute, write: Write) -> None:
    """Raise InvalidValueException for the empty string where a list or an object is
    expected.

    In a whole resource it is like no value, except for the members of a group. A PATCH
    that sends it, or members given so, would empty the list by a value that is no list.
    """
    if write != "whole" or attribute.name == "members":
        form = "a list" if attribute.multi_valued else "an object"
        raise InvalidValueException(
            detail=f"'{attribute.name}' must be {form}, not an empty string: send null or [] to clear it."
        )


def _parse_element(attribute: Attribute, raw: Any) -> Any:
    """Parse one element of a list; None for one that has labels or empty values only.

    Entra sends `{"type": "work", "value": ""}` for users without an e-mail address.
    Raises InvalidValueException for labels beside undeclared names: `{"type": "work",
    "email": …}`.
    """
    if not attribute.is_complex:
        return None if is_cleared(raw) else _parse_plain(attribute, raw, attribute.name)
    parts = _known_parts(attribute, raw)
    kept = parts
    if None in parts.values():
        kept = {name: value for name, value in parts.items() if value is not None}
    if attribute.name == "members":
        return _with_member_id(kept)
    if kept.keys() - LABELS:
        return kept
    if not parts.keys() - LABELS and len(parts) < len(raw):
        raise _not_understood(attribute)
    return None


def _parse_removed_element(attribute: Attribute, raw: Any) -> Any:
    if not attribute.is_complex:
        return _parse_plain(attribute, raw, attribute.name)
    kept = {name: value for name, value in _known_parts(attribute, raw).items() if value is not None}
    if not kept:
        raise _not_understood(attribute)
    return _with_member_id(kept) if attribute.name == "members" else kept


def _parse_object(attribute: Attribute, raw: Any) -> dict[str, Any] | None:
    """Parse the value of a single complex attribute: `{}` changes nothing.

    A list of one object is read like the object (`entra_quirks.reference_object`); an
    empty list clears the attribute.
    """
    if isinstance(raw, list) and len(raw) > 1:
        raise InvalidValueException(detail=f"'{attribute.name}' has one value, not {len(raw)}.")
    if raw == []:
        return None
    return {} if raw == {} else _known_parts(attribute, raw)


def _parse_selected(attribute: Attribute, sub: Attribute | None, raw: Any) -> dict[str, Any]:
    """Parse the sub-attributes to write to each element that a selector matches."""
    if not attribute.is_complex:
        raise InvalidValueException(
            detail=f"The values of '{attribute.name}' cannot be changed, only replaced."
        )
    if sub is not None:
        name = f"{attribute.name}.{sub.name}"
        return {sub.name: None if is_cleared(raw) else _parse_only(sub, raw, name)}
    if is_cleared(raw):
        return dict.fromkeys(each.name for each in attribute.sub_attributes.values())
    if isinstance(raw, list):
        if len(raw) != 1:
            raise InvalidValueException(
                detail=f"The filter of the path takes one object of '{attribute.name}'."
            )
        raw = raw[0]
    return _known_parts(attribute, raw)


def _known_parts(attribute: Attribute, raw: Any) -> dict[str, Any]:
    """Parse an object; raises InvalidValueException where it has no declared
    sub-attribute.
    """
    element = as_element(attribute, raw)
    if not isinstance(element, Mapping):
        raise InvalidValueException(
            detail=f"'{attribute.name}' must be an object, not {_shown(raw)}: expected "
            f"{_element_form(attribute)}."
        )
    parts = _parse_parts(attribute, element)
    if not parts and not any(attribute.sub(key) for key in element):
        raise _not_understood(attribute)
    return parts


def _not_understood(attribute: Attribute) -> InvalidValueException:
    return InvalidValueException(
        detail=f"Nothing in the value of '{attribute.name}' is understood: expected {_element_form(attribute)}."
    )


def _element_form(attribute: Attribute) -> str:
    names = [each.name for each in attribute.sub_attributes.values() if each.mutability != "readOnly"]
    return "an object with " + ", ".join(f"'{name}'" for name in names) if names else "a string"


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


def _with_member_id(element: dict[str, Any]) -> dict[str, Any]:
    """Return a member that has its id as `value`; the id may be the end of `$ref`
    instead.

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


def _parse_only(attribute: Attribute, raw: Any, name: str) -> Any:
    """Parse the one value of a PATCH; an undeclared attribute may hold any object."""
    return _parse_plain(attribute, raw if attribute.type == "any" else only_value(raw), name)


def _parse_plain(attribute: Attribute, raw: Any, name: str) -> Any:
    kind = attribute.type
    if isinstance(raw, str) and kind in _TEXT_TYPES:
        return raw
    check_numbers(raw)
    if kind == "any":
        return raw
    if kind == "boolean":
        value = boolean_of(raw)
        if value is not None:
            return value
    elif (kind == "integer" and isinstance(raw, int) and not isinstance(raw, bool)) or (
        kind == "decimal" and isinstance(raw, int | float) and not isinstance(raw, bool)
    ):
        return raw
    elif kind == "string" and isinstance(raw, int | float) and not isinstance(raw, bool):
        return orjson.dumps(raw).decode()  # `"employeeNumber": 4711`, as the field reads it
    expected = _EXPECTED.get(kind, "one of its sub-attributes")
    raise InvalidValueException(detail=f"'{name}' must be {expected}, not {_shown(raw)}.")


def _shown(raw: Any) -> str:
    """Name the type of a refused value; the value itself may be personal data."""
    if raw is None:
        return "null"
    return {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}.get(
        type(raw), "a number"
    )
