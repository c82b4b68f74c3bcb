"""End every session of a person whose access ended, and write a receipt of it.

What the vendor's app registered ends with it: the receipt names it to the app.

Tokens need no write: they name the period of access that they were issued in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, String, Table, bindparam, cast, literal, null, select
from sqlalchemy.types import TypeEngine

from store import tables
from store.directory.receipts import due_at, payload
from store.engine.bulk_write import bind_names, insert_statement, update_statement
from store.engine.list_lookups import Lookup, unindexed, union_of, with_one_of
from store.integration.app_keys import ended_part
from store.keys import new_id
from store.lifecycle.transaction import Transaction
from store.records import Action, Cause, JsonValue, User
from store.tables.base import UtcDateTime

_s, _t, _k = tables.sessions.c, tables.api_tokens.c, tables.app_keys.c


def _of_users(table: Table, what: str, is_live: ColumnElement[bool], **columns: ColumnElement[Any]) -> Lookup:
    """Return the query for what users hold in a table, with the columns of `_HELD`."""
    shown = [columns.get(name, cast(null(), type_)).label(name) for name, type_ in _HELD_COLUMNS.items()]
    ours = unindexed(table.c.tenant_id) == bindparam("scope_tenant")
    held = select(literal(what).label("what"), table.c.id, table.c.user_id, table.c.expires_at, *shown)
    return with_one_of(held.where(ours, is_live), table.c.user_id, "ids")


_HELD_COLUMNS: Mapping[str, TypeEngine[Any]] = {
    "kind": String(),
    "name": String(),
    "reference": String(),
    "idle_until": UtcDateTime(),
    "period": Integer(),
    "holder_number": Integer(),
}
_HELD = union_of(
    _of_users(
        tables.sessions,
        "session",
        _s.revoked_at.is_(None),
        kind=_s.purpose,
        name=_s.client,
        idle_until=_s.idle_until,
    ),
    _of_users(
        tables.api_tokens,
        "token",
        _t.revoked_at.is_(None),
        name=_t.name,
        period=_t.period,
        holder_number=_t.holder_number,
    ),
    _of_users(
        tables.app_keys, "app_key", _k.ended_at.is_(None), kind=_k.kind, name=_k.label, reference=_k.reference
    ),
)
"""What users hold that is not ended: one trip for all three tables."""
_REVOKE = update_statement(
    tables.sessions, ("revoked_at", "revoke_reason", "revoked_by", "revoked_origin", "revoked_ref")
)
_END_APP_KEY = update_statement(tables.app_keys, ("ended_at", "end_reason"))
_ADD_RECEIPT = insert_statement(tables.receipts)


class EndedAccess(Struct, frozen=True):
    """An account before and after the change that ended a period of access."""

    before: User
    after: User
    action: Action
    cause: Cause

    @property
    def reason(self) -> str:
        if self.action is Action.CHANGE_HOLDER:
            return "holder_changed"
        if self.after.active:
            return "sealed"
        return self.after.deprovision_reason or self.action.value


async def end_access(tx: Transaction, ended: Sequence[EndedAccess]) -> None:
    """Add to the transaction the end of all sessions, receipts and events."""
    if not ended:
        return
    values = tx.scope | {"ids": sorted({each.before.id for each in ended})}
    held = _by_user(await _HELD.rows(tx.conn, values))
    revoked: list[dict[str, Any]] = []
    ended_keys: list[dict[str, Any]] = []
    written: list[dict[str, Any]] = []
    for each in ended:
        rows = held.get(each.before.id, ())
        revoked += [_revoked(tx, each, row) for row in rows if row["what"] == "session"]
        ended_keys += [
            {"id": row["id"], "ended_at": tx.now, "end_reason": each.reason}
            for row in rows
            if row["what"] == "app_key"
        ]
        receipt = _receipt(tx, each, rows)
        written.append(receipt)
        if receipt["ended"]:
            tx.journal.add_event("session.revoked", each.before.id, payload(receipt))
    if revoked:
        tx.pending.append((_REVOKE, [bind_names(tables.sessions, row) for row in revoked]))
    if ended_keys:
        tx.pending.append((_END_APP_KEY, [bind_names(tables.app_keys, row) for row in ended_keys]))
    tx.pending.append((_ADD_RECEIPT, [bind_names(tables.receipts, row) for row in written]))


def _by_user(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(row)
    return found


def _revoked(tx: Transaction, each: EndedAccess, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "revoked_at": tx.now,
        "revoke_reason": each.reason,
        "revoked_by": each.cause.actor,
        "revoked_origin": each.cause.origin.value,
        "revoked_ref": each.cause.correlation_id,
    }


def _receipt(tx: Transaction, each: EndedAccess, held: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    user = each.before
    worked: list[JsonValue] = [_part(row) for row in held if _worked(tx, user, row)]
    return {
        "id": new_id(),
        "tenant_id": tx.tenant_id,
        "connection_id": tx.connection_id,
        "user_id": user.id,
        "holder_number": user.holder_number,
        "period": user.period,
        "at": tx.now,
        "action": each.action.value,
        "reason": each.reason,
        "origin": each.cause.origin.value,
        "actor": each.cause.actor,
        "correlation_id": each.cause.correlation_id,
        "ended": worked,
        "due_at": due_at(worked, tx.now),
        "acknowledged_at": None,
        "acknowledged_by": None,
    }


def _worked(tx: Transaction, user: User, row: Mapping[str, Any]) -> bool:
    """Return whether it gave access until now."""
    ends_at = row["expires_at"]
    if row["what"] == "session":
        ends_at = min(ends_at, row["idle_until"])
    is_current = row["what"] != "token" or (row["holder_number"], row["period"]) == (
        user.holder_number,
        user.period,
    )
    return is_current and (ends_at is None or ends_at > tx.now)


def _part(row: Mapping[str, Any]) -> JsonValue:
    """Return what ended as a receipt names it."""
    if row["what"] == "session":
        return {"kind": "session", "id": row["id"], "purpose": row["kind"], "client": row["name"]}
    if row["what"] == "token":
        return {"kind": "token", "id": row["id"], "name": row["name"]}
    return ended_part(row["id"], row["kind"], row["reference"], row["name"])
