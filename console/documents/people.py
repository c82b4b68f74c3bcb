"""Documents of accounts and groups."""

from __future__ import annotations

from collections.abc import Iterable

from console.documents.logs import log_entry
from console.documents.values import JsonDocument, iso
from store.records import Group, JsonValue, LogEntry, User


def user_state(record: User) -> str:
    """Return `active`, `inactive` or `deleted`."""
    if record.deleted_at is not None:
        return "deleted"
    return "active" if record.active else "inactive"


def user(record: User) -> JsonDocument:
    """Return the document of an account."""
    return {
        "id": record.id,
        "connection_id": record.connection_id,
        "user_name": record.user_name,
        "display_name": record.document.get("displayName"),
        "external_id": record.external_id,
        "entra_object_id": record.entra_object_id,
        "holder": {
            "directory_id": record.directory_id,
            "number": record.holder_number,
            "basis": record.holder_basis,
            "seen_at": iso(record.holder_seen_at),
            "sealed_at": iso(record.sealed_at),
        },
        "state": user_state(record),
        "protected": record.is_protected,
        "admin": record.is_admin,
        "origin": record.origin,
        "created_at": iso(record.created_at),
        "last_modified": iso(record.last_modified),
        "deprovisioned_at": iso(record.deprovisioned_at),
        "deprovision_reason": record.deprovision_reason,
        "deleted_at": iso(record.deleted_at),
    }


def decided_pair(people: Iterable[tuple[str, int, str]], *, is_same: bool) -> JsonDocument:
    """Return the document of a decision about people: id of the account, number of the
    holder, and userName of each.
    """
    listed: list[JsonValue] = [
        {"id": user_id, "holder": number, "user_name": user_name} for user_id, number, user_name in people
    ]
    return {"people": listed, "same_person": is_same}


def user_details(
    record: User, groups: Iterable[Group], sessions: int, changes: Iterable[LogEntry]
) -> JsonDocument:
    """Return the document of an account with its groups and latest changes."""
    held: list[JsonValue] = [{"id": each.id, "display_name": each.display_name} for each in groups]
    latest: list[JsonValue] = [log_entry(entry) for entry in changes]
    return {**user(record), "groups": held, "sessions": sessions, "changes": latest}


def group(record: Group, members: int) -> JsonDocument:
    """Return the document of a group."""
    return {
        "id": record.id,
        "connection_id": record.connection_id,
        "display_name": record.display_name,
        "external_id": record.external_id,
        "entra_object_id": record.entra_object_id,
        "origin": record.origin,
        "members": members,
        "created_at": iso(record.created_at),
        "last_modified": iso(record.last_modified),
    }


def group_details(record: Group, users: Iterable[User], groups: Iterable[Group]) -> JsonDocument:
    """Return the document of a group with its direct members."""
    people: list[JsonValue] = [
        {"id": each.id, "user_name": each.user_name, "state": user_state(each)} for each in users
    ]
    inside: list[JsonValue] = [{"id": each.id, "display_name": each.display_name} for each in groups]
    return {**group(record, len(people) + len(inside)), "users": people, "groups": inside}
