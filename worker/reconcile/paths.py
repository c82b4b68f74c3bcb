"""SCIM attribute paths as Entra's mapping writes them, and how they are read from and written to a document.

Four forms: `title`, `name.givenName`, `emails[type eq "work"].value`, and each of these behind a schema URN
and a colon. No document is ever changed in place: what is not on a path is shared between the old document
and the new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from store.records import Document, JsonValue
from worker.reconcile.errors import PolicyError

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MANAGER = f"{ENTERPRISE}:manager"

_CORE = "urn:ietf:params:scim:schemas:core:2.0:"
_PATH = re.compile(
    r"""(?:(?P<urn>urn:.+):)?           # `2.0` in an URN has a dot, so the last colon ends it
        (?P<attribute>\w[\w$-]*)
        (?:\[\s*(?P<key>\w+)\s+eq\s+"(?P<value>[^"]*)"\s*\])?
        (?:\.(?P<sub>\w[\w$-]*))?""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Path:
    """One parsed path; `urn` is None for the core schema, `key` and `value` are the filter's."""

    text: str
    urn: str | None
    attribute: str
    key: str | None
    value: str | None
    sub: str | None

    def read(self, document: Document) -> JsonValue:
        """Gives what the path points at, None where there is nothing or an empty text."""
        holder = document if self.urn is None else document.get(self.urn)
        found = holder.get(self.attribute) if isinstance(holder, Mapping) else None
        if self.key is not None:
            found = self._element(found)
        if self.sub is not None:
            found = found.get(self.sub) if isinstance(found, Mapping) else None
        return None if found == "" else found

    def write(self, document: Document, value: JsonValue) -> Document:
        """Gives a document in which the path points at `value`; None takes it away."""
        if self.urn is None:
            return _with(document, self.attribute, self._changed(document.get(self.attribute), value))
        extension = _mapping(document.get(self.urn))
        extension = _with(extension, self.attribute, self._changed(extension.get(self.attribute), value))
        return _with(document, self.urn, extension or None)

    def _changed(self, found: JsonValue, value: JsonValue) -> JsonValue:
        if self.key is None:
            return value if self.sub is None else _with(_mapping(found), self.sub, value) or None
        assert self.sub is not None  # parse() gives a filtered path one
        elements = list(_elements(found))
        at = next((i for i, element in enumerate(elements) if self._is_ours(element)), len(elements))
        old = _mapping(elements[at]) if at < len(elements) else self._seed()
        new = _with(old, self.sub, value)
        # An element of which only its type and `primary` are left says nothing.
        elements[at : at + 1] = [new] if new.keys() - {self.key, "primary"} else []
        return elements or None

    def _element(self, found: JsonValue) -> JsonValue:
        return next((element for element in _elements(found) if self._is_ours(element)), None)

    def _is_ours(self, element: JsonValue) -> bool:
        # `type` is not case exact (RFC 7643 §4.1.2); `primary eq "True"` is how Entra filters a boolean.
        if not isinstance(element, Mapping):
            return False
        return str(element.get(self.key or "")).lower() == str(self.value).lower()

    def _seed(self) -> Document:
        # Entra's samples have `primary` on every element: true for work mail and work phone, for no address.
        if self.key != "type":
            return {self.key or "": _literal(self.value or "")}
        return {"type": self.value, "primary": self.value == "work" and self.attribute != "addresses"}


@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """Reads a path; raises `PolicyError` for one that Entra's mapping could not hold."""
    match = _PATH.fullmatch(text)
    if match is None:
        raise PolicyError(
            f"The attribute mapping's target {text!r} is not a SCIM path; "
            'write for example name.givenName or emails[type eq "work"].value.'
        )
    urn = match["urn"]
    core = urn is None or urn.lower().startswith(_CORE.lower())
    sub = match["sub"] or ("value" if match["key"] else None)
    return Path(text, None if core else urn, match["attribute"], match["key"], match["value"], sub)


def read_path(document: Document, text: str) -> JsonValue:
    """Gives what a path points at; None where there is nothing. The manager is given as its bare id."""
    return read_manager(document) if text == MANAGER else parse(text).read(document)


def write_paths(document: Document, flat: Mapping[str, JsonValue]) -> Document:
    """Gives the document with every path of `flat` set (None: taken away) and everything else as it was."""
    for text, value in flat.items():
        # RFC 7643 §4.3: the manager is an object with the manager's id as `value`.
        held = {"value": value} if text == MANAGER and value is not None else value
        document = parse(text).write(document, held)
    return document


def read_manager(document: Document) -> JsonValue:
    """Gives the manager's id, stored as an object or (Entra's PATCH) as a bare text."""
    held = parse(MANAGER).read(document)
    return held.get("value") if isinstance(held, Mapping) else held


def _with(mapping: Document, key: str, value: JsonValue) -> Document:
    if value is None:
        return {k: v for k, v in mapping.items() if k != key}
    return {**mapping, key: value}


def _mapping(value: JsonValue) -> Document:
    return value if isinstance(value, Mapping) else {}


def _elements(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _literal(text: str) -> JsonValue:
    return {"true": True, "false": False}.get(text.lower(), text)
