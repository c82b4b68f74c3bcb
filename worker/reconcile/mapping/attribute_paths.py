"""SCIM attribute paths as Entra's mapping writes them: read and write a document.

There are four forms: `title`, `name.givenName`, `emails[type eq "work"].value`, and
each of these behind a schema URN and a colon. No document is ever changed in place: the
old document and the new one share everything that is not on a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from store.records import Document, JsonValue

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MANAGER = f"{ENTERPRISE}:manager"

_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_EMPTY: Document = {}

_OBJECT = (dict, Mapping)
"""`dict` comes first: it is the usual type, and its check costs a tenth."""

_PATH = re.compile(
    r"""(?:(?P<urn>urn:.+):)?           # `2.0` in an URN has a dot, so the last colon ends it
        (?P<attribute>\w[\w$-]*)
        (?:\[\s*(?P<key>\w+)\s+eq\s+"(?P<value>[^"]*)"\s*\])?
        (?:\.(?P<sub>\w[\w$-]*))?""",
    re.VERBOSE | re.IGNORECASE,
)


class PolicyError(Exception):
    """A connection's mapping or scoping filter makes no sense; a person must correct
    it.

    Raised before anything is planned: a filter that cannot be read must not decide who
    loses access.
    """


@dataclass(frozen=True, slots=True)
class Path:
    """One parsed path: the value `leaf` inside the object that `place` names."""

    text: str
    place: Place
    leaf: str

    def read(self, document: Document) -> JsonValue:
        """Return the value at the path; None where there is none or an empty text."""
        found = self.place.find(document).get(self.leaf)
        return None if found == "" else found

    def write(self, document: Document, value: JsonValue) -> Document:
        """Return a document with `value` at the path; None takes it away."""
        return self.place.put(document, _with(self.place.find(document), self.leaf, value))


@dataclass(frozen=True, slots=True)
class Place:
    """The object inside a document that holds a path's value; many paths share one.

    `urn` names an extension, `attribute` a complex attribute of it (or of the core
    schema), `key` and `value` the element of a multi-valued one. With none of them the
    place is the document itself.
    """

    urn: str | None = None
    attribute: str | None = None
    key: str | None = None
    value: str = ""

    def find(self, document: Document) -> Document:
        """Return the object; an empty one where there is none."""
        found = document if self.urn is None else _mapping(document.get(self.urn))
        if self.attribute is None:
            return found
        inner = found.get(self.attribute)
        if self.key is None:
            return _mapping(inner)
        return next((element for element in _elements(inner) if self._is_ours(element)), _EMPTY)

    def put(self, document: Document, held: Document) -> Document:
        """Return a document with `held` at this place; leave out an empty object."""
        if self.urn is None:
            return self._put_into(document, held)
        return _with(document, self.urn, self._put_into(_mapping(document.get(self.urn)), held) or None)

    def _put_into(self, schema: Document, held: Document) -> Document:
        if self.attribute is None:
            return held
        if self.key is None:
            return _with(schema, self.attribute, held or None)
        # An element of which only its type and `primary` are left says nothing.
        new = held if self.key in held else {**self._seed(), **held}
        elements = list(_elements(schema.get(self.attribute)))
        at = next((i for i, element in enumerate(elements) if self._is_ours(element)), len(elements))
        elements[at : at + 1] = [new] if new.keys() - {self.key, "primary"} else []
        return _with(schema, self.attribute, elements or None)

    def _is_ours(self, element: Document) -> bool:
        # `type` is not case exact (RFC 7643 §4.1.2), and Entra filters a boolean by
        # `primary eq "True"`.
        held = element.get(self.key or "")
        return held == self.value or str(held).lower() == self.value.lower()

    def _seed(self) -> Document:
        # Entra's samples have `primary` on every element: true for the work mail and
        # the work phone, for no address.
        if self.key != "type":
            return {self.key or "": _literal(self.value)}
        return {"type": self.value, "primary": self.value == "work" and self.attribute != "addresses"}


@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """Parse a path; raise `PolicyError` for one that Entra's mapping cannot hold."""
    match = _PATH.fullmatch(text)
    if match is None:
        raise PolicyError(
            f"The attribute mapping's target {text!r} is not a SCIM path; "
            'write for example name.givenName or emails[type eq "work"].value.'
        )
    urn, attribute = match["urn"], match["attribute"]
    extension = None if urn is None or urn.lower().startswith(_CORE.lower()) else urn
    if match["key"]:
        place = Place(extension, attribute, match["key"], match["value"])
        return Path(text, place, match["sub"] or "value")
    if match["sub"]:
        return Path(text, Place(extension, attribute), match["sub"])
    return Path(text, Place(extension), attribute)


def read_path(document: Document, text: str) -> JsonValue:
    """Return the value at a path; None where there is none.

    The manager is returned as a bare id.
    """
    return read_manager(document) if text == MANAGER else parse(text).read(document)


def write_paths(document: Document, flat: Mapping[str, JsonValue]) -> Document:
    """Return the document with every path of `flat` set; None takes a value away.

    Everything else stays as it was.
    """
    if (manager := flat.get(MANAGER)) is not None:
        # RFC 7643 §4.3: the manager is an object with the manager's id as `value`.
        flat = {**flat, MANAGER: {"value": manager}}
    for place, paths in _by_place(tuple(flat)):
        held = dict(place.find(document))
        for path in paths:
            if (value := flat[path.text]) is None:
                held.pop(path.leaf, None)
            else:
                held[path.leaf] = value
        document = place.put(document, held)
    return document


@lru_cache(maxsize=1024)
def _by_place(texts: tuple[str, ...]) -> tuple[tuple[Place, tuple[Path, ...]], ...]:
    """Group paths by place, so that a place is written once.

    The result is cached, since the same paths come again with every user.
    """
    places: dict[Place, list[Path]] = {}
    for path in map(parse, texts):
        places.setdefault(path.place, []).append(path)
    return tuple((place, tuple(paths)) for place, paths in places.items())


def read_manager(document: Document) -> JsonValue:
    """Return the manager's id, stored as an object or (by a PATCH) as a bare text."""
    held = _mapping(document.get(ENTERPRISE)).get("manager")
    return held.get("value") if isinstance(held, _OBJECT) else held


def _with(mapping: Document, key: str, value: JsonValue) -> Document:
    if value is None:
        return {k: v for k, v in mapping.items() if k != key}
    return {**mapping, key: value}


def _mapping(value: JsonValue) -> Document:
    return value if isinstance(value, _OBJECT) else _EMPTY


def _elements(value: JsonValue) -> Sequence[Document]:
    if not isinstance(value, list | tuple):
        return ()
    return [element for element in value if isinstance(element, _OBJECT)]


def _literal(text: str) -> JsonValue:
    return {"true": True, "false": False}.get(text.lower(), text)
