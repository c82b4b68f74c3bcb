"""Select the attributes of a response by `attributes` and `excludedAttributes`.

RFC 7644 §3.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from scim.request import ScimRequest
from scim.schema.definitions import Shape
from scim.schema.paths import locate

_ALWAYS = frozenset({"id", "schemas"})
"""Attributes that are always returned (RFC 7643 §7, `returned`)."""

Names = Mapping[str, frozenset[str] | None]
"""Attribute names to the requested sub-attributes; None: all of them.

The name of an extension's attribute is qualified by its URN and a colon.
"""


class Projection(Struct, frozen=True):
    """The requested and the excluded attributes (RFC 7644 §3.9)."""

    included: Names | None = None
    excluded: Names | None = None

    def wants(self, name: str) -> bool:
        """Whether an attribute would be returned that is returned by default."""
        if self.included is not None:
            return name in self.included
        return self.excluded is None or self.excluded.get(name, frozenset()) is not None

    def asks_for(self, name: str) -> bool:
        """Whether an attribute was requested by name."""
        return self.included is not None and name in self.included


EVERYTHING = Projection()


NOTHING = Projection(included={"meta": None})
"""What an answer holds for a token that may write and not read."""


def answer_projection(request: ScimRequest, section: str, shape: Shape) -> Projection:
    """Return what the answer to a request shows: what is asked for, of what the token
    may read.
    """
    if not request.principal.may(section, "read"):
        return NOTHING
    return projection_of(shape, request.query)


def projection_of(shape: Shape, query: Mapping[str, str]) -> Projection:
    """Read the query parameters `attributes` and `excludedAttributes`."""
    if "attributes" not in query and "excludedAttributes" not in query:
        return EVERYTHING
    return read_projection(
        shape, query.get("attributes", "").split(","), query.get("excludedAttributes", "").split(",")
    )


def read_projection(shape: Shape, attributes: Iterable[str], excluded: Iterable[str]) -> Projection:
    """Read both lists; `attributes` wins where a client sends both. Unknown names
    select nothing.
    """
    included_names = _names(shape, attributes)
    if included_names is not None:
        return Projection(included=included_names)
    return Projection(excluded=_names(shape, excluded))


def _names(shape: Shape, paths: Iterable[str]) -> dict[str, frozenset[str] | None] | None:
    given = [path.strip() for path in paths if path.strip()]
    if not given:
        return None
    names: dict[str, frozenset[str] | None] = {}
    for path in given:
        location = locate(shape, path)
        if location is None:
            continue
        if location.attribute is None:
            names[location.extension.urn if location.extension else ""] = None
            continue
        name = _qualified(location.extension.urn if location.extension else None, location.attribute.name)
        before = names.get(name, frozenset())
        names[name] = None if location.sub is None or before is None else before | {location.sub.name}
    return names


def _qualified(urn: str | None, name: str) -> str:
    return f"{urn}:{name}" if urn else name


def project(body: dict[str, Any], projection: Projection) -> dict[str, Any]:
    """Return the requested part of a resource."""
    if projection.included is not None:
        return _included(body, projection.included)
    return body if projection.excluded is None else _excluded(body, projection.excluded)


def _included(body: dict[str, Any], names: Names) -> dict[str, Any]:
    whole = "" in names  # the URN of the resource itself stands for all its own attributes
    kept: dict[str, Any] = {}
    for name, value in body.items():
        if name in _ALWAYS or (whole and not name.startswith("urn:")):
            kept[name] = value
        elif name.startswith("urn:"):
            part = value if name in names else _only(value, names, name)
            if part:
                kept[name] = part
        elif name in names:
            kept[name] = _parts(value, names[name])
    return kept


def _only(extension: Mapping[str, Any], names: Names, urn: str) -> dict[str, Any]:
    wanted = {name: _qualified(urn, name) for name in extension}
    return {name: _parts(extension[name], names[key]) for name, key in wanted.items() if key in names}


def _excluded(body: dict[str, Any], names: Names) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in body.items():
        if name in _ALWAYS or (name not in names and not name.startswith("urn:")):
            kept[name] = value
        elif name.startswith("urn:"):
            if name not in names and (part := _without(value, names, name)):
                kept[name] = part
        elif (subs := names[name]) is not None:
            kept[name] = _parts_but(value, subs)
    return kept


def _without(extension: Mapping[str, Any], names: Names, urn: str) -> dict[str, Any]:
    kept = {}
    for name, value in extension.items():
        subs = names.get(_qualified(urn, name), frozenset())
        if subs is not None:
            kept[name] = _parts_but(value, subs)
    return kept


def _parts(value: Any, subs: frozenset[str] | None) -> Any:
    if subs is None:
        return value
    if isinstance(value, list):
        return [_parts(each, subs) for each in value]
    return (
        {name: item for name, item in value.items() if name in subs} if isinstance(value, Mapping) else value
    )


def _parts_but(value: Any, subs: frozenset[str]) -> Any:
    if not subs:
        return value
    if isinstance(value, list):
        return [_parts_but(each, subs) for each in value]
    return (
        {name: item for name, item in value.items() if name not in subs}
        if isinstance(value, Mapping)
        else value
    )
