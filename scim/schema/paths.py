"""Resolve an attribute path: names, dots, brackets, and every form of URN."""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct
from scim2_models import InvalidPathException, Path
from scim2_models.path import AttrPath, Comparison, FilterNode, ValuePath

from scim.schema.definitions import CUSTOM_URN, Attribute, Extension, Shape

LONGEST_PATH = 4_096
DEEPEST_PATH = 20
PLAIN_PATH = re.compile(r"(\$?[A-Za-z][A-Za-z0-9$_-]*)(?:\.(\$?[A-Za-z][A-Za-z0-9$_-]*))?")


class Location(Struct, frozen=True):
    """The target of an attribute path.

    `attribute` None is the whole resource or the whole extension.
    """

    extension: Extension | None
    attribute: Attribute | None
    sub: Attribute | None = None
    selector: FilterNode | None = None


def locate(shape: Shape, path: str) -> Location | None:
    """Return what an attribute path designates, or None when no schema declares it.

    Raises scim2_models.InvalidPathException when the path is not a path at all (RFC
    7644 §3.5.2, figure 7).
    """
    return _locate_cached(shape, path) if len(path) <= 256 else _locate(shape, path)


def _locate(shape: Shape, path: str) -> Location | None:
    extension, rest = _split_urn(shape, path)
    if not rest:
        return Location(extension, None)
    if rest.lower().startswith("urn:"):
        Path(rest)  # raises for what is no path; else its schema is undeclared
        return None
    name, selector, sub_name = _parse(rest)
    if extension is None:
        extension, attribute = _own_or_enterprise(shape, name)
    else:
        attribute = extension.attribute(name)
    if attribute is None:
        return None
    if sub_name is None:
        return Location(extension, attribute, None, selector)
    sub = attribute.sub(sub_name)
    return Location(extension, attribute, sub, selector) if sub else None


_locate_cached = lru_cache(maxsize=4096)(_locate)


def _split_urn(shape: Shape, path: str) -> tuple[Extension | None, str]:
    """Split a leading schema URN off a path; the older `URN.attribute` is read like
    `URN:attribute`.

    Entra wrote a dot there before December 2018 (Microsoft Learn, "Known issues and
    resolutions with SCIM 2.0 compliance").
    """
    lowered = path.lower()
    if not lowered.startswith("urn:"):
        return None, path
    candidates = [(shape.urn, None), *((each.urn, each) for each in shape.extensions.values())]
    for urn, extension in candidates:
        if lowered.startswith(urn.lower()) and path[len(urn) : len(urn) + 1] in ("", ":", "."):
            return extension, path[len(urn) + 1 :]
    custom = CUSTOM_URN.match(path)
    if custom and (found := shape.extension(custom[1])):
        return found, path[custom.end() :]
    return None, path


def _own_or_enterprise(shape: Shape, name: str) -> tuple[Extension | None, Attribute | None]:
    """Find a bare name in the core schema, else in a declared extension.

    Entra has sent the enterprise attributes without their URN: `"path": "manager"`
    (older Microsoft tutorials, sample S32).
    """
    own = shape.attributes.get(name.lower())
    if own:
        return None, own
    for extension in shape.extensions.values():
        if name.lower() in extension.attributes:
            return extension, extension.attributes[name.lower()]
    return None, None


def _parse(path: str) -> tuple[str, FilterNode | None, str | None]:
    """Parse a path without URN: the attribute, the filter that selects values, the
    sub-attribute.
    """
    plain = PLAIN_PATH.fullmatch(path)
    if plain:
        return plain[1], None, plain[2]
    if len(path) > LONGEST_PATH or path.count("(") > DEEPEST_PATH:
        raise InvalidPathException(
            detail="The path is too long, or its filter nests too deep: name one attribute."
        )
    try:
        node = Path(path).ast
    except InvalidPathException as error:
        raise InvalidPathException(
            detail=f"'{path[:200]}' is no attribute path: {error.detail}. See the target attributes of Entra's mapping."
        ) from error
    if isinstance(node, ValuePath):
        return node.attr_path.attr, node.val_filter, node.sub_attr
    if isinstance(node, Comparison) and node.attr_path.sub_attr:
        # `emails.type eq "work"` selects the same values (RFC 7644 errata 7122).
        inner = Comparison(AttrPath(node.attr_path.sub_attr), node.op, node.value)
        return node.attr_path.attr, inner, None
    attr_path = node if isinstance(node, AttrPath) else getattr(node, "attr_path")  # noqa: B009
    return attr_path.attr, None, attr_path.sub_attr
