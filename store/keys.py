"""Records made of database rows, and the ids and search keys of rows."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from store.records import (
    ConnectionId,
    GraphId,
    Group,
    GroupId,
    HolderBasis,
    Membership,
    Origin,
    ShownUser,
    SubjectType,
    TenantId,
    User,
    UserId,
    name_key,
)

LONGEST_KEY = 200

# Looked up, not called: an enum's own look-up is a tenth of the time a row takes.
_ORIGINS = {origin.value: origin for origin in Origin}
_BASES: dict[str | None, HolderBasis | None] = {None: None, **{basis.value: basis for basis in HolderBasis}}
SEVERAL_WORK_EMAILS = "*"
"""The `work_email_key` of users with more than one work address: a search looks into
their documents.
"""


def new_id() -> str:
    """Create a UUID of version 7 (RFC 9562): ids made one after another lie side by
    side in an index.
    """
    random = int.from_bytes(os.urandom(10), "big")
    time_ms = time.time_ns() // 1_000_000
    low = 0b10 << 62 | random & (1 << 62) - 1
    text = f"{time_ms << 16 | 0x7000 | random >> 68:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def utc_now() -> datetime:
    return datetime.now(UTC)


def search_key(text: str) -> str:
    """Return the `name_key` of a name as an index holds it.

    A key longer than 200 characters ends in a digest, because no index entry may be
    long.
    """
    key = name_key(text)
    if len(key) <= LONGEST_KEY:
        return key
    return key[:LONGEST_KEY] + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def to_user(row: RowMapping | dict[str, Any]) -> User:
    return User(
        id=UserId(row["id"]),
        tenant_id=TenantId(row["tenant_id"]),
        connection_id=ConnectionId(row["connection_id"]),
        user_name=row["user_name"],
        external_id=row["external_id"],
        entra_object_id=GraphId(row["entra_object_id"]) if row["entra_object_id"] else None,
        active=row["active"],
        document=row["document"],
        version=row["version"],
        origin=_ORIGINS[row["origin"]],
        created_at=row["created_at"],
        last_modified=row["last_modified"],
        is_protected=row["is_protected"],
        is_admin=row["is_admin"],
        deprovisioned_at=row["deprovisioned_at"],
        deprovision_reason=row["deprovision_reason"],
        deleted_at=row["deleted_at"],
        directory_id=row["directory_id"],
        holder_number=row["holder_number"],
        holder_basis=_BASES[row["holder_basis"]],
        holder_seen_at=row["holder_seen_at"],
        push_wrote_at=row["push_wrote_at"],
        push_found_at=row["push_found_at"],
        unread_write_at=row["unread_write_at"],
        agreed_user_name=row["agreed_user_name"],
        agreed_external_id=row["agreed_external_id"],
        period=row["period"],
        sealed_at=row["sealed_at"],
        access_ended_by=_ORIGINS[row["access_ended_by"]] if row["access_ended_by"] else None,
        access_ended_reason=row["access_ended_reason"],
        access_given_by=_ORIGINS[row["access_given_by"]] if row["access_given_by"] else None,
    )


def to_shown_user(row: RowMapping | dict[str, Any]) -> ShownUser:
    return ShownUser(
        id=row["id"],
        tenant_id=row["tenant_id"],
        active=row["active"],
        document=row["document"],
        version=row["version"],
        created_at=row["created_at"],
        last_modified=row["last_modified"],
    )


def to_group(row: RowMapping | dict[str, Any]) -> Group:
    return Group(
        id=GroupId(row["id"]),
        tenant_id=TenantId(row["tenant_id"]),
        connection_id=ConnectionId(row["connection_id"]),
        display_name=row["display_name"],
        external_id=row["external_id"],
        entra_object_id=GraphId(row["entra_object_id"]) if row["entra_object_id"] else None,
        document=row["document"],
        version=row["version"],
        origin=_ORIGINS[row["origin"]],
        created_at=row["created_at"],
        last_modified=row["last_modified"],
        deleted_at=row["deleted_at"],
    )


def to_membership(row: RowMapping | dict[str, Any]) -> Membership:
    return Membership(
        group_id=GroupId(row["group_id"]),
        member_id=row["member_id"],
        member_type=SubjectType(row["member_type"]),
        origin=_ORIGINS[row["origin"]],
    )
