"""Rows of held plans by removal key: those that wait, and those that a person rejected.

No cycle judges or counts such a row again (`worker.reconcile.guard`). It ends when its
facts in Entra change, or on its date.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, PlanStatus, TenantId
from store.sync.held_plans import FOR_EVER

_c = tables.plans.c
# Not an approved plan: one whose applying broke off is listed nowhere as waiting, and
# its rows would keep their access unseen. The next cycle judges them anew.
_IN_FORCE = (PlanStatus.HELD.value, PlanStatus.REJECTED.value)


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
    for row in (await conn.execute(_in_force(tenant_id, connection_id, now))).mappings():
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
    for row in (await conn.execute(_in_force(tenant_id, connection_id, now))).mappings():
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


def _in_force(tenant_id: TenantId, connection_id: ConnectionId, now: datetime) -> Select[Any]:
    return select(tables.plans).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.status.in_(_IN_FORCE),
        _c.expires_at > now,
    )


def _live_keys(row: RowMapping) -> list[str]:
    ended = set(row["body"].get("ended", ()))
    return [key for key in row["body"].get("keys", ()) if key not in ended]


def decided_by(sentence: str) -> str | None:
    """Return the person that the sentence of an accepted risk names."""
    found = _PERSON.search(sentence)
    return found.group(1) if found else None


_PERSON = re.compile(r"rejected by (.+) on \d{4}-\d{2}-\d{2}")


def _accepted_by(row: RowMapping) -> str:
    until = "" if row["expires_at"] >= FOR_EVER else f" until {row['expires_at']:%Y-%m-%d}"
    return f"Accepted risk: rejected by {row['decided_by']} on {row['decided_at']:%Y-%m-%d}{until}."
