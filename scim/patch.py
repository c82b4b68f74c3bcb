"""Applying operations to a document: RFC 7644 §3.5.2 and both of Entra's dialects, on plain dicts.

scim2-models is the referee (`tests/unit/scim/test_scim_patch_agrees.py`); this engine exists because it is some
hundred times faster and because it reads what Entra really sends (`scim.quirks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scim2_models import (
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
    NoTargetException,
)
from scim2_models.path import FilterNode

from scim.operations import IMPLIED_KEYS, Operation, is_never_kept, refuse_ambiguous
from scim.paths import Location, locate
from scim.quirks import is_cleared, removed_elements, repaired_key
from scim.schema import FILLED_IN, Attribute, Shape
from scim.selection import described_by, fold, selects
from scim.values import check_one_primary, clean, clean_sub


def read_resource(shape: Shape, body: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read a whole resource (POST, PUT): its document and the names no schema declares.

    Read-only attributes are ignored (RFC 7644 §3.3), nulls too. Raises scim2_models.InvalidSyntaxException or
    InvalidValueException.
    """
    if not isinstance(body, Mapping):
        raise InvalidSyntaxException(detail=f"The body must be a JSON object: one {shape.name}.")
    document: dict[str, Any] = {}
    ignored: list[str] = []
    _read_keys(shape, document, None, body, ignored)
    require(shape, document, but=FILLED_IN)
    return document, tuple(ignored)


def _read_keys(
    shape: Shape, document: dict[str, Any], urn: str | None, body: Mapping[str, Any], ignored: list[str]
) -> None:
    refuse_ambiguous(body)
    for key, value in body.items():
        if is_cleared(value) or (urn is None and key.lower() in IMPLIED_KEYS):
            continue
        path = repaired_key(key) if urn is None else f"{urn}:{key}"
        location = locate(shape, path)
        if location is None:
            ignored.append(path)
        elif location.attribute is None:
            if not isinstance(value, Mapping):
                raise InvalidValueException(detail=f"The value of '{path}' must be an object.")
            _read_keys(
                shape, document, location.extension.urn if location.extension else None, value, ignored
            )
        elif location.attribute.mutability != "readOnly" and not is_never_kept(location):
            _write(document, location, value, is_add=False)


def apply(shape: Shape, document: Mapping[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document after all operations; the one given is not touched, so a failure changes nothing.

    Raises the scim2_models exception that RFC 7644 table 9 names for the mistake.
    """
    result: dict[str, Any] = _copy(document)
    for operation in operations:
        if operation.op == "remove":
            _remove(result, operation)
        else:
            _write(result, operation.location, operation.value, is_add=operation.op == "add")
    require(shape, result)
    return result


def require(shape: Shape, document: Mapping[str, Any], but: frozenset[str] = frozenset()) -> None:
    """Refuse a document without its required attributes (RFC 7643 §2.2), such as a user without userName."""
    for name in shape.required - but:
        if is_cleared(document.get(name)):
            raise InvalidValueException(detail=f"'{name}' is required and has no value.")


def _write(document: dict[str, Any], location: Location, raw: Any, *, is_add: bool) -> None:
    attribute = location.attribute
    if attribute is None:
        _clear_extension(document, location)
        return
    container = _container(document, location)
    if location.selector is not None:
        _write_selected(container, attribute, location.selector, location.sub, raw)
    elif location.sub is not None:
        _write_sub(container, attribute, location.sub, raw)
    elif attribute.multi_valued:
        _write_values(container, attribute, raw, is_add=is_add)
    elif attribute.is_complex:
        _write_object(container, attribute, raw)
    else:
        _put(container, attribute.name, clean(attribute, raw))
    _drop_empty_extension(document, location)


def _clear_extension(document: dict[str, Any], location: Location) -> None:
    if location.extension is None:
        raise NoTargetException(detail="The path names the whole resource: to remove that is a DELETE.")
    document.pop(location.extension.urn, None)


def _write_values(container: dict[str, Any], attribute: Attribute, raw: Any, *, is_add: bool) -> None:
    values = clean(attribute, raw)
    current = container.get(attribute.name) or []
    if not is_add:
        check_one_primary(attribute, values or [])
        _put(container, attribute.name, values)
        return
    new = [value for value in values or () if not any(_same(attribute, value, each) for each in current)]
    check_one_primary(attribute, new)
    if attribute.is_complex and any(value.get("primary") is True for value in new):
        _unmark_primary(current)
    _put(container, attribute.name, [*current, *new] or None)


def _write_object(container: dict[str, Any], attribute: Attribute, raw: Any) -> None:
    """Merge an object into a complex attribute: what it does not name stays (RFC 7644 §3.5.2.3)."""
    values = clean(attribute, raw)
    if values is None and not isinstance(raw, Mapping):
        container.pop(attribute.name, None)
        return
    current: dict[str, Any] = container.get(attribute.name) or {}
    if values and "value" in values and values["value"] != current.get("value"):
        current = {}  # Another manager: the reference and the name of the former one go with it.
    cleared = (
        {key.lower() for key, item in raw.items() if is_cleared(item)} if isinstance(raw, Mapping) else ()
    )
    kept = {name: item for name, item in current.items() if name.lower() not in cleared}
    _put(container, attribute.name, {**kept, **(values or {})} or None)


def _write_sub(container: dict[str, Any], attribute: Attribute, sub: Attribute, raw: Any) -> None:
    value = clean_sub(attribute, sub, raw)
    if not attribute.multi_valued:
        current = container.setdefault(attribute.name, {})
        _put(current, sub.name, value)
        if not current:
            del container[attribute.name]
        return
    elements: list[dict[str, Any]] = container.get(attribute.name) or []
    if not elements and value is not None:
        container[attribute.name] = [{sub.name: value}]
        return
    for element in elements:
        _put(element, sub.name, value)
    check_one_primary(attribute, elements)


def _write_selected(
    container: dict[str, Any], attribute: Attribute, selector: FilterNode, sub: Attribute | None, raw: Any
) -> None:
    """Write to the values a filter selects; where none is, create the one it describes (`described_by`)."""
    elements = _elements(container, attribute)
    matched = [each for each in elements if selects(selector, attribute, each)]
    written = _selected_values(attribute, sub, raw)
    if not matched and any(value is not None for value in written.values()):
        seed = described_by(selector, attribute)
        if seed is None or not selects(selector, attribute, {**seed, **written}):
            raise NoTargetException(detail=f"No value of '{attribute.name}' matches the filter of the path.")
        matched = [seed]
        elements.append(seed)
    new = [element for element in matched if element.get("primary") is not True]
    for element in matched:
        for name, value in written.items():
            _put(element, name, value)
    if written.get("primary") is True:
        _keep_primary(elements, new)
    if None in written.values():
        elements = [each for each in elements if not (each in matched and _says_nothing(each))]
    _put(container, attribute.name, elements or None)


def _selected_values(attribute: Attribute, sub: Attribute | None, raw: Any) -> dict[str, Any]:
    if sub is not None:
        return {sub.name: clean_sub(attribute, sub, raw)}
    if is_cleared(raw):
        return dict.fromkeys(each.name for each in attribute.sub_attributes.values())
    values = clean(attribute, raw) or [{}]
    if len(values) > 1 or not isinstance(values[0], dict):
        raise InvalidValueException(detail=f"The filter of the path takes one object of '{attribute.name}'.")
    return dict(values[0])


def _elements(container: Mapping[str, Any], attribute: Attribute) -> list[Any]:
    if not attribute.multi_valued:
        raise InvalidPathException(
            detail=f"'{attribute.name}' has one value: a path into it cannot hold a filter."
        )
    return list(container.get(attribute.name) or ())


def _keep_primary(elements: list[Any], marked: list[Any]) -> None:
    """Unmark all but the value that was not primary before and is now (RFC 7644 §3.5.2)."""
    if len(marked) > 1:
        raise InvalidValueException(detail="Only one value can be primary.")
    if marked:
        _unmark_primary([each for each in elements if each is not marked[0]])


def _unmark_primary(elements: list[Any]) -> None:
    for element in elements:
        if isinstance(element, dict) and element.get("primary") is True:
            element["primary"] = False


def _says_nothing(element: Any) -> bool:
    """Whether a value was emptied: only its label is left (Logic App validator, SCIM_Null_Update)."""
    return isinstance(element, dict) and not element.keys() - {"type", "primary"}


def _remove(document: dict[str, Any], operation: Operation) -> None:
    location, attribute = operation.location, operation.location.attribute
    if attribute is None:
        _clear_extension(document, location)
        return
    if attribute.required and location.sub is None and location.selector is None:
        raise MutabilityException(detail=f"'{attribute.name}' is required and cannot be removed.")
    container = _container(document, location)
    if location.selector is not None:
        _remove_selected(container, attribute, location.selector, location.sub)
    elif location.sub is not None:
        _remove_sub(container, attribute, location.sub)
    elif attribute.multi_valued and (wanted := removed_elements(operation.value)) is not None:
        _remove_listed(container, attribute, wanted)
    else:
        container.pop(attribute.name, None)
    _drop_empty_extension(document, location)


def _remove_listed(container: dict[str, Any], attribute: Attribute, wanted: list[Mapping[str, Any]]) -> None:
    kept = [
        each
        for each in container.get(attribute.name) or ()
        if not any(
            named and all(_equal_sub(attribute, each, *item) for item in named.items()) for named in wanted
        )
    ]
    _put(container, attribute.name, kept or None)


def _equal_sub(attribute: Attribute, element: Mapping[str, Any], name: str, value: Any) -> bool:
    sub = attribute.sub(name)
    return sub is None or _same_text(sub, element.get(sub.name), value)


def _remove_selected(
    container: dict[str, Any], attribute: Attribute, selector: FilterNode, sub: Attribute | None
) -> None:
    elements = _elements(container, attribute)
    matched = [each for each in elements if selects(selector, attribute, each)]
    if sub is None:
        _put(container, attribute.name, [each for each in elements if each not in matched] or None)
        return
    for element in matched:
        element.pop(sub.name, None)
    _put(container, attribute.name, [each for each in elements if each] or None)


def _remove_sub(container: dict[str, Any], attribute: Attribute, sub: Attribute) -> None:
    current = container.get(attribute.name)
    for element in current if isinstance(current, list) else [current or {}]:
        element.pop(sub.name, None)
    kept = [each for each in current if each] if isinstance(current, list) else current
    _put(container, attribute.name, kept or None)


def _same(attribute: Attribute, left: Any, right: Any) -> bool:
    if not isinstance(left, dict) or not isinstance(right, dict):
        return _same_text(attribute, left, right)
    if left.keys() != right.keys():
        return False
    return all(_same_text(attribute.sub_attributes[name.lower()], left[name], right[name]) for name in left)


def _same_text(attribute: Attribute, left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str) and not attribute.case_exact:
        return fold(left) == fold(right)
    return bool(left == right)


def _container(document: dict[str, Any], location: Location) -> dict[str, Any]:
    if location.extension is None:
        return document
    found: dict[str, Any] = document.setdefault(location.extension.urn, {})
    return found


def _drop_empty_extension(document: dict[str, Any], location: Location) -> None:
    if location.extension is not None and not document.get(location.extension.urn):
        document.pop(location.extension.urn, None)


def _put(container: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        container.pop(name, None)
    else:
        container[name] = value


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value
