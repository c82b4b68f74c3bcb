"""What the guard remembers of earlier cycles: the last good one, the removals of a day,
and the rows of held plans by removal key.

No cycle judges or counts a row again that waits or that a person rejected
(`worker.reconcile.guard`). It ends when its facts in Entra change, or on its date.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import Row, fetch
from store.errors import NotFound
from store.logs import provisioning_log
from store.records import Action, ConnectionId, CycleKind, PlanStatus, TenantId
from store.sync.held_plans import FOR_EVER

REMOVAL_WINDOW = timedelta(hours=24)

_c, _cycle, _connection = tables.plans.c, tables.cycles.c, tables.connections.c
# Not an approved plan: one whose applying broke off is listed nowhere as waiting, and
# its rows would keep their access unseen. The next cycle judges them anew.
_IN_FORCE = select(tables.plans).where(
    _c.tenant_id == bindparam("tenant"),
    _c.connection_id == bindparam("connection"),
    or_(_c.status == PlanStatus.HELD.value, _c.status == PlanStatus.REJECTED.value),
    _c.expires_at > bindparam("now"),
)
_MARKS = select(_connection.credential_changed_at, _connection.restored_at).where(
    _connection.tenant_id == bindparam("tenant"),
    _connection.id == bindparam("connection"),
    _connection.deleted_at.is_(None),
)
_DECIDED = select(_c.id).where(
    _c.tenant_id == bindparam("tenant"),
    _c.connection_id == bindparam("connection"),
    or_(
        _c.status == PlanStatus.APPROVED.value,
        _c.status == PlanStatus.APPLIED.value,
        _c.status == PlanStatus.REJECTED.value,
    ),
)
_LAST_GOOD = (
    select(_cycle.counts, _cycle.token_roles, _cycle.scope_key, _cycle.finished_at)
    .where(_cycle.tenant_id == bindparam("tenant"), _cycle.connection_id == bindparam("connection"))
    .where(_cycle.complete, _cycle.is_dry_run.is_(False), _cycle.finished_at.is_not(None))
    .where(or_(_cycle.kind == CycleKind.INITIAL.value, _cycle.kind == CycleKind.FULL.value))
    .where(
        or_(
            _cycle.held_plan_id.is_(None),
            _cycle.held_plan_id.in_(_DECIDED),
            # A plan of an earlier cycle that still waits says nothing against this one.
            exists().where(_c.id == _cycle.held_plan_id, _c.cycle_id != _cycle.id),
        )
    )
    .order_by(_cycle.started_at.desc(), _cycle.id)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Memory:
    """Results of earlier cycles: the fields of `worker.reconcile.state.History`."""

    last_good_counts: Mapping[str, int] = field(default_factory=dict)
    last_token_roles: frozenset[str] | None = None
    last_scope_key: str | None = None
    removals_last_24h: Mapping[Action, int] = field(default_factory=dict)
    credential_changed_at: datetime | None = None
    restored_at: datetime | None = None
    last_complete_at: datetime | None = None
    """When the last good cycle ended. It was a full one, so its counts are complete."""


async def history(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, now: datetime
) -> Memory:
    """Return what the guard compares a plan with: the last good cycle, and removals of
    24 hours.

    A good cycle is complete and held nothing, or a person decided its held plan. A dry
    run holds nothing, so it is none.
    Otherwise the next plan would be compared with a reading that was held as
    suspicious, and the same wrong answer of Graph given twice would pass.

    Raises `NotFound`.
    """
    of_connection = {"tenant": tenant_id, "connection": connection_id}
    marks = await fetch(conn, _MARKS, of_connection)
    if not marks:
        raise NotFound("this tenant has no such connection: `leaver connection list` shows all")
    good = await fetch(conn, _LAST_GOOD, of_connection)
    removals = await provisioning_log.removals_since(conn, tenant_id, connection_id, now - REMOVAL_WINDOW)
    if not good:
        return Memory(removals_last_24h=removals, **marks[0])
    roles = good[0]["token_roles"]
    return Memory(
        last_good_counts=good[0]["counts"],
        last_token_roles=None if roles is None else frozenset(roles),
        last_scope_key=good[0]["scope_key"],
        removals_last_24h=removals,
        last_complete_at=good[0]["finished_at"],
        **marks[0],
    )


@dataclass(frozen=True, slots=True)
class DecidedRows:
    """Removal keys that no cycle judges again."""

    waiting: frozenset[str]
    """Rows of plans that wait."""
    accepted: Mapping[str, str]
    """Rows that a person rejected, each with who decided and until when."""


async def load(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, now: datetime
) -> DecidedRows:
    """Return the rows of plans that wait or were rejected, without those that ended."""
    waiting: set[str] = set()
    accepted: dict[str, str] = {}
    for row in await fetch(conn, _IN_FORCE, _of(tenant_id, connection_id, now)):
        keys = _live_keys(row)
        if row["status"] == PlanStatus.HELD.value:
            waiting.update(keys)
        else:
            accepted.update(dict.fromkeys(keys, _accepted_by(row)))
    return DecidedRows(frozenset(waiting), accepted)


async def end_rows(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    due: Collection[str],
    left_alone: Collection[str],
    now: datetime,
) -> None:
    """Forget the rows that are no longer due: their facts in Entra changed.

    `due` are the removal keys that a complete cycle found. Rows of the accounts and
    groups in `left_alone` (our ids) stay: they changed here while Graph was read. A
    plan that waits and has no row left is superseded.
    """
    for row in await fetch(conn, _IN_FORCE, _of(tenant_id, connection_id, now)):
        keys = _live_keys(row)
        over = {key for key in keys if key not in due and key.split(":")[1] not in left_alone}
        if not over:
            continue
        ended = sorted({*row["body"].get("ended", ()), *over})
        values: dict[str, Any] = {"body": {**row["body"], "ended": ended}}
        if len(over) == len(keys) and row["status"] == PlanStatus.HELD.value:
            values["status"] = PlanStatus.SUPERSEDED.value
        await conn.execute(
            update(tables.plans).where(_c.tenant_id == tenant_id, _c.id == row["id"]).values(**values)
        )


def _of(tenant_id: TenantId, connection_id: ConnectionId, now: datetime) -> dict[str, Any]:
    return {"tenant": tenant_id, "connection": connection_id, "now": now}


def _live_keys(row: Row) -> list[str]:
    ended = set(row["body"].get("ended", ()))
    return [key for key in row["body"].get("keys", ()) if key not in ended]


def decided_by(sentence: str) -> str | None:
    """Return the person that the sentence of an accepted risk names."""
    found = _PERSON.search(sentence)
    return found.group(1) if found else None


_PERSON = re.compile(r"rejected by (.+) on \d{4}-\d{2}-\d{2}")


def _accepted_by(row: Row) -> str:
    until = "" if row["expires_at"] >= FOR_EVER else f" until {row['expires_at']:%Y-%m-%d}"
    return f"Accepted risk: rejected by {row['decided_by']} on {row['decided_at']:%Y-%m-%d}{until}."
