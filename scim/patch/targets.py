"""Where a value stands in a document: the resource or an extension, one attribute, the values of an array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim2_models import InvalidPathException, NoTargetException

from scim.patch.value_filters import fold
from scim.schema.definitions import Attribute
from scim.schema.paths import Location


def target_object(document: dict[str, Any], location: Location) -> dict[str, Any]:
    """Return the object an attribute is in: the resource itself, or its extension, made where it is not there."""
    if location.extension is None:
        return document
    found: dict[str, Any] = document.setdefault(location.extension.urn, {})
    return found


def clear_extension(document: dict[str, Any], location: Location) -> None:
    """Take a whole extension away; raises scim2_models.NoTargetException for the resource itself."""
    if location.extension is None:
        raise NoTargetException(detail="The path names the whole resource: to remove that is a DELETE.")
    document.pop(location.extension.urn, None)


def drop_empty_extension(document: dict[str, Any], location: Location) -> None:
    """Take an extension away that holds nothing any more."""
    if location.extension is not None and not document.get(location.extension.urn):
        document.pop(location.extension.urn, None)


def elements_of(container: Mapping[str, Any], attribute: Attribute) -> list[Any]:
    """Return the values a filter may select; raises scim2_models.InvalidPathException where there can be only one."""
    if not attribute.multi_valued:
        raise InvalidPathException(
            detail=f"'{attribute.name}' has one value: a path into it cannot hold a filter."
        )
    return list(container.get(attribute.name) or ())


def set_or_remove(container: dict[str, Any], name: str, value: Any) -> None:
    """Set an attribute, or take it away: None is no value (RFC 7643 §2.5)."""
    if value is None:
        container.pop(name, None)
    else:
        container[name] = value


def same_text(attribute: Attribute, left: Any, right: Any) -> bool:
    """Whether two values are equal, letter case aside where the attribute is not case-exact (RFC 7643 §2.2)."""
    if isinstance(left, str) and isinstance(right, str) and not attribute.case_exact:
        return fold(left) == fold(right)
    return bool(left == right)


def copied(value: Any) -> Any:
    """Return a copy that can be changed all through."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list | tuple) else value
