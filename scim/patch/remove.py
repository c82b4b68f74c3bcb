"""Remove values from a document (RFC 7644 §3.5.2.2).

Entra lists what to remove in the value of the operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim2_models.path import FilterNode

from scim.patch.operations import Operation
from scim.patch.targets import (
    drop_empty_extension,
    elements_of,
    same_text,
    set_or_remove,
    target_object,
)
from scim.patch.value_filters import matches
from scim.schema.definitions import Attribute


def remove(document: dict[str, Any], operation: Operation) -> None:
    """Remove what an operation names; raises the scim2_models exception of RFC 7644
    table 9.
    """
    location, attribute = operation.location, operation.location.attribute
    if attribute is None:
        if location.extension is not None:
            document.pop(location.extension.urn, None)
        return
    container = target_object(document, location)
    if location.selector is not None:
        _remove_selected(container, attribute, location.selector, location.sub)
    elif location.sub is not None:
        _remove_sub(container, attribute, location.sub)
    elif operation.value is not None:
        _remove_listed(container, attribute, operation.value)
    else:
        container.pop(attribute.name, None)
    drop_empty_extension(document, location)


def _remove_listed(container: dict[str, Any], attribute: Attribute, wanted: list[Any]) -> None:
    kept = [
        each
        for each in container.get(attribute.name) or ()
        if not any(_is_listed(attribute, each, one) for one in wanted)
    ]
    set_or_remove(container, attribute.name, kept or None)


def _is_listed(attribute: Attribute, element: Any, wanted: Any) -> bool:
    """Whether an element has every sub-attribute that a parsed value of the remove
    gives.
    """
    if not isinstance(wanted, Mapping) or not isinstance(element, Mapping):
        return same_text(attribute, element, wanted)
    subs = attribute.sub_attributes
    return all(same_text(subs[name.lower()], element.get(name), value) for name, value in wanted.items())


def _remove_selected(
    container: dict[str, Any], attribute: Attribute, selector: FilterNode, sub: Attribute | None
) -> None:
    elements = elements_of(container, attribute)
    matched = [each for each in elements if matches(selector, attribute, each)]
    if sub is None:
        set_or_remove(container, attribute.name, [each for each in elements if each not in matched] or None)
        return
    for element in matched:
        element.pop(sub.name, None)
    set_or_remove(container, attribute.name, [each for each in elements if each] or None)


def _remove_sub(container: dict[str, Any], attribute: Attribute, sub: Attribute) -> None:
    current = container.get(attribute.name)
    for element in current if isinstance(current, list) else [current or {}]:
        element.pop(sub.name, None)
    kept = [each for each in current if each] if isinstance(current, list) else current
    set_or_remove(container, attribute.name, kept or None)
