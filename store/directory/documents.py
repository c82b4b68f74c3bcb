"""The columns that are made of a SCIM document, and how two documents differ."""

from __future__ import annotations

from typing import Any

import orjson

from store.directory.flat_attributes import differences, flatten, work_emails
from store.errors import InvalidRecord
from store.keys import SEVERAL_WORK_EMAILS, search_key
from store.records import Document, JsonValue, Modified, exact_key

LONGEST_IDENTIFIER = 1000


def user_columns(document: Document) -> dict[str, Any]:
    """Return the columns that a user's document decides; raise `InvalidRecord`.

    `active` is true where the document does not say: RFC 7643 §4.1.1 leaves that to the
    service provider.
    """
    user_name = _required(document, "userName")
    active = document.get("active", True)
    if not isinstance(active, bool):
        raise InvalidRecord("`active` must be true or false")
    return {
        "user_name": user_name,
        "external_id": _identifier(document, "externalId"),
        "active": active,
        "document": _storable({**document, "active": active}),
        **document_keys(document),
    }


def document_keys(document: Document) -> dict[str, Any]:
    """Return the columns by which a user is searched without regard to case."""
    user_name, display_name = document["userName"], document.get("displayName")
    return {
        "user_name_key": search_key(str(user_name)),
        "display_name_key": search_key(display_name) if isinstance(display_name, str) else None,
        "work_email_key": work_email_key(document),
    }


def group_columns(document: Document) -> dict[str, Any]:
    """Return the columns that a group's document decides; raise `InvalidRecord`."""
    display_name = _required(document, "displayName")
    return {
        "display_name": display_name,
        "display_name_key": search_key(display_name),
        "external_id": _identifier(document, "externalId"),
        "document": _storable({key: value for key, value in document.items() if key != "members"}),
    }


def work_email_key(document: Document) -> str | None:
    """Return the key of the user's work e-mail address.

    Users with several addresses have the key `SEVERAL_WORK_EMAILS`.
    """
    keys = {search_key(address) for address in work_emails(document)}
    return SEVERAL_WORK_EMAILS if len(keys) > 1 else next(iter(keys), None)


def modified(before: Document, after: Document) -> tuple[Modified, ...]:
    """Return what differs between two documents, sorted by path.

    Only attributes that differ are flattened.
    """
    if not before:
        return differences({}, flatten(after))
    changed = {
        name for name in before.keys() | after.keys() if not _is_same(before.get(name), after.get(name))
    }
    return differences(flatten(_only(before, changed)), flatten(_only(after, changed)))


def _is_same(one: JsonValue, other: JsonValue) -> bool:
    """Return whether two values are the same JSON: Python takes True for 1."""
    if type(one) is str:
        return one == other
    return one is other or orjson.dumps(one) == orjson.dumps(other)


def _only(document: Document, names: set[str]) -> Document:
    return {name: value for name, value in document.items() if name in names}


def _required(document: Document, attribute: str) -> str:
    value = document.get(attribute)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRecord(f"`{attribute}` is missing or empty")
    return value


def _identifier(document: Document, attribute: str) -> str | None:
    value: JsonValue = document.get(attribute)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_IDENTIFIER:
        raise InvalidRecord(f"`{attribute}` must be a text of at most {LONGEST_IDENTIFIER} characters")
    return exact_key(value)


def _storable(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document, or raise `InvalidRecord` if PostgreSQL cannot keep it.

    NUL and lone surrogates are refused on every database alike.
    """
    try:
        encoded = orjson.dumps(document)
    except (TypeError, ValueError) as error:
        raise InvalidRecord(f"the document is not JSON: {error}") from error
    if b"\\u0000" in encoded:
        raise InvalidRecord("the document holds a NUL character")
    return document
