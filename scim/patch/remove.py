"""Remove values from a document (RFC 7644 §3.5.2.2).

Entra lists what to remove in the value of the operation.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from typing import Any

from scim2_models.path import FilterNode

from scim.patch.elements import has_no_value, identifying_names, merged, parts_key, text_key
from scim.patch.operations import Operation
from scim.patch.targets import (
    as_held,
    drop_empty_extension,
    drop_extension,
    elements_of,
    set_or_remove,
    target_object,
)
from scim.patch.value_filters import matcher
from scim.schema.definitions import Attribute


def remove(document: dict[str, Any], operation: Operation) -> None:
    """Remove what an operation names; raises the scim2_models exception of RFC 7644
    table 9.
    """
    location, attribute = operation.location, operation.location.attribute
    if attribute is None:
        drop_extension(document, location)
        return
    container = target_object(document, location)
    attribute = as_held(container, attribute)
    if location.selector is not None:
        _remove_selected(container, attribute, location.selector, location.sub)
    elif location.sub is not None:
        _remove_sub(container, attribute, location.sub)
    elif operation.value is not None and not (attribute.is_open and _is_one(container, attribute, operation)):
        _remove_listed(container, attribute, operation.value)
    else:
        container.pop(attribute.name, None)
    drop_empty_extension(document, location)


def _is_one(container: Mapping[str, Any], attribute: Attribute, operation: Operation) -> bool:
    """Whether an undeclared attribute has one value, and a remove lists one."""
    return not isinstance(container.get(attribute.name), list) and len(operation.value) == 1


def _remove_listed(container: dict[str, Any], attribute: Attribute, wanted: list[Any]) -> None:
    held = container.get(attribute.name)
    elements = held if isinstance(held, list) else [] if held is None else [held]
    by_names: dict[tuple[str, ...], set[Hashable]] = {}
    plain: set[Hashable] = set()
    for one in wanted:
        if isinstance(one, Mapping):
            names = identifying_names(attribute, one) if "value" in one else tuple(sorted(one))
            by_names.setdefault(names, set()).add(parts_key(attribute, one, names))
        else:
            plain.add(text_key(attribute, one))
    kept = [each for each in elements if not _is_listed(attribute, each, plain, by_names)]
    if len(kept) < len(elements):
        set_or_remove(container, attribute.name, kept or None)


def _is_listed(
    attribute: Attribute,
    element: Any,
    plain: Set[Hashable],
    by_names: Mapping[tuple[str, ...], Set[Hashable]],
) -> bool:
    """Whether a remove lists an element: by its value and type, else by all that is
    given of it.
    """
    if not isinstance(element, Mapping):
        return text_key(attribute, element) in plain
    return any(parts_key(attribute, element, names) in keys for names, keys in by_names.items())


def _remove_selected(
    container: dict[str, Any], attribute: Attribute, selector: FilterNode, sub: Attribute | None
) -> None:
    elements = elements_of(container, attribute)
    selected = list(map(matcher(selector, attribute), elements))
    if not any(selected):
        return
    if sub is not None:
        for element, is_selected in zip(elements, selected, strict=True):
            if is_selected:
                element.pop(sub.name, None)
    kept = [
        each
        for each, is_selected in zip(elements, selected, strict=True)
        if not is_selected or (sub is not None and not has_no_value(attribute, each))
    ]
    set_or_remove(container, attribute.name, merged(attribute, kept) or None)


def _remove_sub(container: dict[str, Any], attribute: Attribute, sub: Attribute) -> None:
    current = container.get(attribute.name)
    for element in current if isinstance(current, list) else [current or {}]:
        element.pop(sub.name, None)
    if isinstance(current, list):
        current = merged(attribute, [each for each in current if not has_no_value(attribute, each)])
    set_or_remove(container, attribute.name, current or None)
