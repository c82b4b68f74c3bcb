"""Hold what waits for a person: the unmatched accounts of a connection on one sheet,
everything else as the plan of its cycle.

Accounts without an answer in Entra come one by one over weeks. Each on a plan of its
own would be a wall of decisions; what comes later joins the sheet that waits
(identity.md, W9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from store.records import Connection, Cycle, DriftKind, HeldPlan, JsonValue, PlanId, PlanStatus
from store.sync import held_plans
from worker.cycle.report import HeldPlanReport
from worker.reconcile.plan import Change, Plan, PlanPartition
from worker.reconcile.plan_json import PlanUnreadable, due_rows_from_json

log = structlog.get_logger(__name__)

SHEET = "unmatched_accounts"
"""The mark of the sheet, in the body of its plan."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some rows of what a cycle holds, each with its removal key."""

    plan: Plan
    keys: tuple[str, ...]
    reasons: tuple[str, ...]

    def body(self) -> dict[str, JsonValue]:
        return {**self.plan.to_json(), "keys": list(self.keys)}


async def hold(
    conn: AsyncConnection,
    connection: Connection,
    cycle: Cycle,
    partition: PlanPartition,
    now: datetime,
) -> HeldPlanReport | None:
    """Store what a cycle holds; return the plan to look at, None where none waits."""
    if partition.hold is None:
        return await _still_held(conn, connection) if partition.waiting else None
    pairs = list(zip(partition.hold.changes, partition.hold_keys, strict=True))
    unmatched = [pair for pair in pairs if pair[0].kind is DriftKind.UNMATCHED_ACCOUNT]
    others = [pair for pair in pairs if pair[0].kind is not DriftKind.UNMATCHED_ACCOUNT]
    sentences = {change.hold_reason for change, _ in unmatched}
    expires_at = now + timedelta(days=connection.policy.held_plan_days)
    scope = conn, connection.tenant_id, connection.id
    held: HeldPlan | None = None
    if unmatched:
        rows = _rows(partition.hold, unmatched, sorted(sentences))
        held = await _on_the_sheet(conn, connection, cycle, rows, expires_at, now)
    if others:
        rows = _rows(partition.hold, others, [r for r in partition.reasons if r not in sentences])
        held = await held_plans.hold(
            *(*scope, cycle.id, rows.plan.checksum, " ".join(rows.reasons), rows.body(), expires_at), now=now
        )
    assert held is not None, "a held plan has rows"
    return _report(held)


def _rows(plan: Plan, pairs: Sequence[tuple[Change, str]], reasons: Sequence[str]) -> _Rows:
    return _Rows(plan.subset(change for change, _ in pairs), tuple(key for _, key in pairs), tuple(reasons))


async def _on_the_sheet(
    conn: AsyncConnection,
    connection: Connection,
    cycle: Cycle,
    rows: _Rows,
    expires_at: datetime,
    now: datetime,
) -> HeldPlan:
    """Put rows on the connection's sheet: on the one that waits, if there is one."""
    scope = conn, connection.tenant_id, connection.id
    waiting = await held_plans.list_for(*scope, status=PlanStatus.HELD)
    sheet = next((plan for plan in waiting if plan.body.get("sheet") == SHEET), None)
    earlier = _due_rows(sheet) if sheet is not None else None
    if earlier is not None:
        rows = _joined(earlier, rows)
    reason = " ".join(rows.reasons)
    body: Mapping[str, JsonValue] = {**rows.body(), "sheet": SHEET}
    if sheet is None:
        return await held_plans.hold(
            *(*scope, cycle.id, rows.plan.checksum, reason, body, expires_at), now=now
        )
    return await held_plans.supersede(conn, sheet, cycle.id, rows.plan.checksum, reason, body, now=now)


def _due_rows(sheet: HeldPlan) -> _Rows | None:
    """Return the rows of a sheet that are still due.

    None, and a warning, if it cannot be read: a new one takes its place, which later
    cycles fill again.
    """
    try:
        plan, due = due_rows_from_json(sheet.body)
    except PlanUnreadable as unreadable:
        log.warning("sheet.unreadable", plan=sheet.id, why=str(unreadable))
        return None
    return _rows(plan, due, sorted({change.hold_reason for change, _ in due}))


def _joined(earlier: _Rows, new: _Rows) -> _Rows:
    """Return the rows of both; what is looked at anew takes the place of what was."""
    kept = [
        (change, key)
        for change, key in zip(earlier.plan.changes, earlier.keys, strict=True)
        if key not in new.keys
    ]
    absentees = {each.subject.key: each for each in (*earlier.plan.absentees, *new.plan.absentees)}
    changes = (*(change for change, _ in kept), *new.plan.changes)
    whole = replace(new.plan, changes=changes, absentees=tuple(absentees[key] for key in sorted(absentees)))
    return _Rows(
        whole.subset(changes),
        (*(key for _, key in kept), *new.keys),
        tuple(dict.fromkeys((*new.reasons, *earlier.reasons))),
    )


async def _still_held(conn: AsyncConnection, connection: Connection) -> HeldPlanReport | None:
    """Return the newest plan that waits."""
    scope = conn, connection.tenant_id, connection.id
    for plan in await held_plans.list_for(*scope, status=PlanStatus.HELD, limit=1):
        return _report(plan)
    return None


def _report(plan: HeldPlan) -> HeldPlanReport:
    return HeldPlanReport(PlanId(plan.id), plan.checksum, plan.reason)
