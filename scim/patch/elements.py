"""When two elements of a list are the same, and lists without repetitions.

RFC 7643 §2.4 wants each pair of `value` and `type` once. Elements are found by a key,
so that work grows with the lists and not with their product.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from scim.patch.targets import same_text
from scim.patch.values import LABELS
from scim.schema.definitions import Attribute
from store.records import exact_key, name_key

_BY_VALUE_ALONE = frozenset({"roles"})
"""Entra sends `type` with a role of a POST and not with that of a PATCH."""


def element_key(attribute: Attribute, element: Any) -> Hashable:
    """Return what two elements have in common if they are the same one.

    Elements with a `value` are the same by `value` and `type`, roles by `value`;
    others, such as addresses, by everything but `primary`.
    """
    if not isinstance(element, Mapping):
        return text_key(attribute, element)
    if "value" not in element:
        return parts_key(attribute, element, sorted(element.keys() - {"primary"}))
    return parts_key(attribute, element, identifying_names(attribute, element))


def identifying_names(attribute: Attribute, element: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sub-attributes by which an element with a value is found."""
    has_type = "type" in element and attribute.name not in _BY_VALUE_ALONE
    return ("value", "type") if has_type else ("value",)


def parts_key(attribute: Attribute, element: Mapping[str, Any], names: Iterable[str]) -> Hashable:
    """Return the key of some sub-attributes of an element."""
    subs = attribute.sub_attributes
    return tuple((name, text_key(subs.get(name.lower(), attribute), element.get(name))) for name in names)


def text_key(attribute: Attribute, value: Any) -> Hashable:
    """Return the key of one value; case counts for case-exact attributes (RFC 7643
    §2.2).
    """
    if isinstance(value, str):
        return exact_key(value) if attribute.case_exact else name_key(value)
    # Not the value itself: Python takes True for 1, and a dict is no key.
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def merged(attribute: Attribute, elements: Sequence[Any]) -> list[Any]:
    """Return a list in which every element is once: later ones complete the first."""
    if len(elements) < 2:
        return list(elements)  # most lists that Entra sends; keys cost more than the rest
    return united(attribute, (), elements)


def united(attribute: Attribute, current: Sequence[Any], added: Iterable[Any]) -> list[Any]:
    """Return a list with the elements added to those that are there.

    An element that is there already gets what the added one says beyond it, such as
    that it is primary now.
    """
    result = list(current)
    places: dict[Hashable, int] = {}
    for place, each in enumerate(result):
        places.setdefault(element_key(attribute, each), place)
    for each in added:
        place = places.setdefault(element_key(attribute, each), len(result))
        if place == len(result):
            result.append(each)
        elif isinstance(each, dict) and isinstance(result[place], dict):
            result[place] = _completed(attribute, result[place], each)
    return result


def beyond(attribute: Attribute, current: Sequence[Any], added: Iterable[Any]) -> list[Any]:
    """Return the elements that are not there yet just as they were sent.

    Adding the others changes nothing (RFC 7644 §3.5.2.1).
    """
    there: dict[Hashable, Any] = {}
    for each in current:
        there.setdefault(element_key(attribute, each), each)
    return [each for each in added if not _is_as(attribute, there.get(element_key(attribute, each)), each)]


def _is_as(attribute: Attribute, found: Any, element: Any) -> bool:
    """Whether an element that is there holds what the added one does, and no more."""
    if isinstance(found, dict) and isinstance(element, dict):
        return found.keys() == element.keys() and _completed(attribute, found, element) == found
    return found is not None


def _completed(attribute: Attribute, element: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    """Return the element with what another form of it says; a same text keeps its
    spelling.
    """
    subs = attribute.sub_attributes
    new = {
        name: value
        for name, value in by.items()
        if not same_text(subs.get(name.lower(), attribute), element.get(name), value)
    }
    return {**element, **new}


def has_no_value(attribute: Attribute, element: Any) -> bool:
    """Whether an element has nothing left of what it stands for (Logic App validator,
    SCIM_Null_Update).
    """
    if not isinstance(element, Mapping):
        return False
    return "value" not in element if attribute.sub("value") else not element.keys() - LABELS
