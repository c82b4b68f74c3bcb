"""What a person decides about a held plan, by its checksum: exactly that plan is applied, or nothing of it.

An approved plan is old by then. So everybody in it is re-read once more in Graph, and only who is still gone
goes; and every change carries the version it was planned on, so that a row that moved since is left alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from store.records import (
    Cause,
    Connection,
    CycleKind,
    CycleStatus,
    HeldPlan,
    Origin,
    PlanStatus,
)
from store.sync import held_plans
from store.sync.held_plans import RemainingRows
from store.tenancy import connections
from worker.apply.apply_plan import Applied, apply
from worker.apply.removal_evidence import reverification, verify_now
from worker.cycle import record
from worker.errors import Terminal, as_worker_error
from worker.locks.hold import Hold
from worker.locks.lease import for_a_command, holding
from worker.reconcile import guard
from worker.reconcile.plan import Dropped, Plan
from worker.reconcile.plan_json import PlanUnreadable, plan_from_json
from worker.services import WorkerServices

PATIENCE_S = 120.0
"""How long a decision waits for a cycle to give way."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decided:
    """A plan after the decision, and what became of its rows."""

    plan: HeldPlan
    applied: Applied
    dropped: tuple[Dropped, ...]
    """Approved rows left alone, each with why: no longer gone, or not to be confirmed now."""


async def approve(
    services: WorkerServices, held: HeldPlan, *, checksum: str, by: str, rows: Collection[int] | None = None
) -> Decided:
    """Approves the plan, whole or the rows of these numbers (from 0, in its order), and applies it.

    A plan that was approved and whose applying broke off is applied again. Raises `VersionMoved` where it
    waits no longer or the checksum is another, `WorkerError` where it cannot be applied now (still approved).
    """
    chosen = _chosen(held, rows)
    rest = _rest(held, rows)
    if checksum != held.checksum or held.status is not PlanStatus.APPROVED:
        held = await _decide(services, held, PlanStatus.APPROVED, checksum, by, rest=rest)
    async with services.db.reading() as conn:
        connection = await connections.get(conn, held.tenant_id, held.connection_id)
    lease = replace(for_a_command(services.settings), wait_s=PATIENCE_S)
    async with holding(services.db, services.clock, held.tenant_id, connection.id, lease) as hold:
        decided = await _apply(services, connection, hold, held, chosen, by)
    log.info("plan.applied", plan=held.id, applied=decided.applied.counts, dropped=len(decided.dropped))
    return decided


async def reject(
    services: WorkerServices,
    held: HeldPlan,
    *,
    checksum: str,
    by: str,
    rows: Collection[int] | None = None,
    until: datetime | None = None,
) -> HeldPlan:
    """Reject the plan, whole or the rows of these numbers: an accepted risk that no cycle asks about again.

    It holds until the facts in Entra change, or until the date. Raises `VersionMoved`, `Terminal` for an unknown row
    and for a date that has passed.
    """
    if until is not None and until <= services.clock():
        raise Terminal(f"{until:%Y-%m-%d %H:%M} UTC has passed: choose a later date, or none.")
    _chosen(held, rows)
    rest = _rest(held, rows)
    return await _decide(services, held, PlanStatus.REJECTED, checksum, by, until=until, rest=rest)


def _rest(held: HeldPlan, rows: Collection[int] | None) -> RemainingRows | None:
    """Return the rows that a decision about these rows leaves waiting; None where it decides all."""
    frozen = plan_from_json(held.body)
    if rows is None or len(set(rows)) == len(frozen.changes):
        return None
    keys = held.body.get("keys") or [change.removal_key for change in frozen.changes]
    assert isinstance(keys, list)
    left = [number for number in range(len(frozen.changes)) if number not in set(rows)]
    plan = frozen.subset([frozen.changes[number] for number in left])
    body = {**plan.to_json(), "keys": [keys[number] for number in left]}
    return RemainingRows(
        plan.checksum, body, [str(keys[number]) for number in sorted(set(rows))], held.expires_at
    )


def _chosen(held: HeldPlan, rows: Collection[int] | None) -> Plan:
    """The plan as it was held, or those of its rows that are approved; raises `Terminal`."""
    try:
        frozen = plan_from_json(held.body)
    except PlanUnreadable as error:
        raise Terminal(str(error)) from error
    if rows is None:
        return frozen
    if unknown := sorted(set(rows) - set(range(len(frozen.changes)))):
        raise Terminal(f"The plan has {len(frozen.changes)} rows; there is no row {unknown[0]}.")
    return frozen.subset([frozen.changes[number] for number in sorted(set(rows))])


async def _apply(
    services: WorkerServices, connection: Connection, hold: Hold, held: HeldPlan, chosen: Plan, by: str
) -> Decided:
    cycle = await record.begin(services, connection, hold.fence, CycleKind.ON_DEMAND)
    try:
        age, evidence = await verify_now(services, connection, chosen.absentees)
        settlement = guard.partition_approved(chosen, evidence)
        cause = Cause(Origin.GRAPH, cycle.id, by, hold.fence, age)
        applied = await apply(
            services.db,
            connection,
            settlement.apply,
            cause,
            lambda _done: hold.checkpoint_or_yield(),
            clock=services.clock,
            reverify=reverification(services, connection, chosen),
        )
    except Exception as error:
        await record.finish_early(services, connection, cycle, hold.fence, CycleStatus.FAILED, str(error))
        raise as_worker_error(error) from error
    await record.finish_on_demand(services, connection, cycle, hold.fence, applied)
    held = await _decide(services, held, PlanStatus.APPLIED, held.checksum, by)
    return Decided(held, applied, settlement.dropped)


async def _decide(
    services: WorkerServices,
    held: HeldPlan,
    status: PlanStatus,
    checksum: str,
    by: str,
    *,
    until: datetime | None = None,
    rest: RemainingRows | None = None,
) -> HeldPlan:
    now = services.clock()
    return await services.db.write(
        lambda conn: held_plans.decide(
            conn, held.tenant_id, held.id, status, checksum=checksum, by=by, now=now, until=until, rest=rest
        )
    )
