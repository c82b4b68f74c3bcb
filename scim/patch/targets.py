"""Find the place of a value in a document: the resource or an extension, the list of an
attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scim.schema.definitions import Attribute, Extension
from scim.schema.paths import Location
from store.records import name_key


def target_object(document: dict[str, Any], location: Location) -> dict[str, Any]:
    """Return the object that holds an attribute: the resource, or its extension.

    A missing extension is created.
    """
    if location.extension is None:
        return document
    found: dict[str, Any] = document.setdefault(_extension_key(document, location.extension), {})
    return found


def as_held(container: Mapping[str, Any], attribute: Attribute) -> Attribute:
    """Return an undeclared attribute under the name that it has in its extension.

    Attribute names are case-insensitive (RFC 7643 §2.1); the first spelling stays.
    """
    if not attribute.is_open or attribute.name in container:
        return attribute
    wanted = attribute.name.lower()
    held = next((name for name in container if name.lower() == wanted), None)
    return attribute if held is None else replace(attribute, name=held)


def _extension_key(document: Mapping[str, Any], extension: Extension) -> str:
    """Return the URN of an extension as the document spells it."""
    if not extension.is_open or extension.urn in document:
        return extension.urn
    wanted = extension.urn.lower()
    return next((name for name in document if name.lower() == wanted), extension.urn)


def drop_extension(document: dict[str, Any], location: Location) -> None:
    """Remove an extension with all its attributes."""
    if location.extension is not None:
        document.pop(_extension_key(document, location.extension), None)


def drop_empty_extension(document: dict[str, Any], location: Location) -> None:
    """Remove an extension without attributes."""
    if location.extension is not None:
        key = _extension_key(document, location.extension)
        if not document.get(key):
            document.pop(key, None)


def elements_of(container: Mapping[str, Any], attribute: Attribute) -> list[Any]:
    """Return a new list of the elements that a filter may select."""
    held = container.get(attribute.name)
    return list(held) if isinstance(held, list) else [] if held is None else [held]


def set_or_remove(container: dict[str, Any], name: str, value: Any) -> None:
    """Set an attribute, or remove it for None, which is no value (RFC 7643 §2.5)."""
    if value is None:
        container.pop(name, None)
    else:
        container[name] = value


def same_text(attribute: Attribute, left: Any, right: Any) -> bool:
    """Whether two values are equal; case counts for case-exact attributes (RFC 7643
    §2.2).
    """
    if isinstance(left, str) and isinstance(right, str) and not attribute.case_exact:
        return name_key(left) == name_key(right)
    return bool(left == right)


def copied(value: Any) -> Any:
    """Return a deep copy."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list | tuple) else value
