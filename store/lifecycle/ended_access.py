"""End every session of a person whose access ended, and write a receipt of it.

What the vendor's app registered ends with it: the receipt names it to the app.

Tokens need no write: they name the period of access that they were issued in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from store import tables
from store.directory.receipts import due_at, payload
from store.engine.bulk_write import bind_names, insert_statement, update_statement
from store.engine.list_lookups import unindexed, with_one_of
from store.integration.app_keys import ended_part
from store.keys import new_id
from store.lifecycle.transaction import Transaction
from store.records import Action, Cause, JsonValue, User

_s, _t, _k = tables.sessions.c, tables.api_tokens.c, tables.app_keys.c
_SESSIONS = with_one_of(
    select(_s.id, _s.user_id, _s.purpose, _s.client, _s.created_at, _s.expires_at, _s.idle_until).where(
        unindexed(_s.tenant_id) == bindparam("scope_tenant"), _s.revoked_at.is_(None)
    ),
    _s.user_id,
    "ids",
)
_TOKENS = with_one_of(
    select(_t.id, _t.user_id, _t.name, _t.expires_at, _t.period, _t.holder_number).where(
        unindexed(_t.tenant_id) == bindparam("scope_tenant"), _t.revoked_at.is_(None)
    ),
    _t.user_id,
    "ids",
)
_APP_KEYS = with_one_of(
    select(_k.id, _k.user_id, _k.kind, _k.reference, _k.label, _k.expires_at).where(
        unindexed(_k.tenant_id) == bindparam("scope_tenant"), _k.ended_at.is_(None)
    ),
    _k.user_id,
    "ids",
)
_REVOKE = update_statement(
    tables.sessions, ("revoked_at", "revoke_reason", "revoked_by", "revoked_origin", "revoked_ref")
)
_END_APP_KEY = update_statement(tables.app_keys, ("ended_at", "end_reason"))
_ADD_RECEIPT = insert_statement(tables.receipts)


@dataclass(frozen=True, slots=True)
class EndedAccess:
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
    sessions = _by_user(await _SESSIONS.rows(tx.conn, values))
    tokens = _by_user(await _TOKENS.rows(tx.conn, values))
    app_keys = _by_user(await _APP_KEYS.rows(tx.conn, values))
    revoked: list[dict[str, Any]] = []
    ended_keys: list[dict[str, Any]] = []
    written: list[dict[str, Any]] = []
    for each in ended:
        held = sessions.get(each.before.id, ())
        revoked += [_revoked(tx, each, row) for row in held]
        registered = app_keys.get(each.before.id, ())
        ended_keys += [{"id": row["id"], "ended_at": tx.now, "end_reason": each.reason} for row in registered]
        receipt = _receipt(tx, each, held, tokens.get(each.before.id, ()), registered)
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


def _receipt(
    tx: Transaction,
    each: EndedAccess,
    sessions: Sequence[Mapping[str, Any]],
    tokens: Sequence[Mapping[str, Any]],
    app_keys: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    user = each.before
    worked: list[JsonValue] = [
        {"kind": "session", "id": row["id"], "purpose": row["purpose"], "client": row["client"]}
        for row in sessions
        if min(row["expires_at"], row["idle_until"]) > tx.now
    ]
    worked += [
        {"kind": "token", "id": row["id"], "name": row["name"]}
        for row in tokens
        if (row["holder_number"], row["period"]) == (user.holder_number, user.period)
        and (row["expires_at"] is None or row["expires_at"] > tx.now)
    ]
    worked += [
        ended_part(row["id"], row["kind"], row["reference"], row["label"])
        for row in app_keys
        if row["expires_at"] is None or row["expires_at"] > tx.now
    ]
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
