"""Approve or reject a held plan by its checksum: exactly that plan is applied, or
nothing of it.

An approved plan is old by then. So every subject in it is re-read once more in Graph,
and only absentees that are still gone are removed; every change carries the version it
was planned on, so that a row that moved since is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from store.logs import audit_log
from store.records import (
    Cause,
    Connection,
    CycleKind,
    GraphId,
    HeldPlan,
    JsonValue,
    Origin,
    PlanStatus,
)
from store.sync import held_plans
from store.tenancy import connections
from worker.apply.apply_plan import Applied, apply
from worker.cycle.record import cycle_record
from worker.errors import Terminal, TryAgain
from worker.locks.hold import Hold
from worker.locks.lease import for_a_command, holding
from worker.reconcile import guard
from worker.reconcile.plan import Dropped, Plan, PlanPartition
from worker.reconcile.plan_json import PlanUnreadable, plan_from_json
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

PATIENCE_S = 120.0
"""How long a decision waits for a cycle to give way."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decided:
    """A plan after the decision, and the outcome of its rows."""

    plan: HeldPlan
    applied: Applied
    dropped: tuple[Dropped, ...]
    """Approved rows left alone, each with why: no longer gone, or not to be confirmed
    now.
    """


@dataclass(frozen=True, slots=True)
class _Decision:
    """A decision about a held plan, with its entry in the audit log."""

    status: PlanStatus
    checksum: str
    by: str
    """The name that the plan keeps."""
    actor: str
    """The actor of the audit entry."""
    note: Mapping[str, JsonValue] = field(default_factory=dict)


async def approve(
    services: WorkerServices,
    held: HeldPlan,
    *,
    checksum: str,
    by: str,
    rows: Collection[int] | None = None,
    actor: str = audit_log.NOBODY,
) -> Decided:
    """Approve the plan, whole or the rows of these numbers (from 0, in its order), and
    apply it.

    A plan that was approved and whose applying broke off is applied again. Raises
    `VersionMoved` if it waits no longer or the checksum is another, `WorkerError` if it
    cannot be applied now (it stays approved).
    """
    chosen = _chosen(held, rows)
    if checksum != held.checksum or held.status is not PlanStatus.APPROVED:
        note: dict[str, JsonValue] = {} if rows is None else {"rows": sorted(set(rows))}
        decision = _Decision(PlanStatus.APPROVED, checksum, by, actor, note)
        held = await _decide(services, held, decision)
    async with services.db.reading() as conn:
        connection = await connections.get(conn, held.tenant_id, held.connection_id)
    lease = replace(for_a_command(services.settings), wait_s=PATIENCE_S)
    async with holding(services.db, services.clock, held.tenant_id, connection.id, lease) as hold:
        decided = await _apply(services, connection, hold, held, chosen, by, actor)
    log.info("plan.applied", plan=held.id, applied=decided.applied.counts, dropped=len(decided.dropped))
    return decided


async def reject(
    services: WorkerServices, held: HeldPlan, *, checksum: str, by: str, actor: str = audit_log.NOBODY
) -> HeldPlan:
    """Reject the plan: nothing of it happens, and the next cycle compares again.

    Raises `VersionMoved` if it waits no longer or the checksum is another.
    """
    return await _decide(services, held, _Decision(PlanStatus.REJECTED, checksum, by, actor))


def _chosen(held: HeldPlan, rows: Collection[int] | None) -> Plan:
    """Return the plan as it was held, or its approved rows. Raises `Terminal`."""
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
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    held: HeldPlan,
    chosen: Plan,
    by: str,
    actor: str,
) -> Decided:
    async with cycle_record(services, connection, hold, CycleKind.ON_DEMAND) as record:
        partition = await _confirm(services, connection, chosen)
        cause = Cause(Origin.GRAPH, record.cycle.id, by, hold.fence)
        applied = await apply(
            services.db, connection, partition.apply, cause, lambda _done: hold.checkpoint_or_yield()
        )
        await record.finish_on_demand(applied)
    if record.failure is not None:
        raise record.failure
    done: dict[str, JsonValue] = {action.value: number for action, number in applied.counts.items()}
    decision = _Decision(PlanStatus.APPLIED, held.checksum, by, actor, {"applied": done})
    held = await _decide(services, held, decision)
    return Decided(held, applied, partition.dropped)


async def _decide(services: WorkerServices, held: HeldPlan, decision: _Decision) -> HeldPlan:
    now = services.clock()
    return await services.db.write(
        lambda conn: held_plans.decide(
            conn,
            held.tenant_id,
            held.id,
            decision.status,
            checksum=decision.checksum,
            by=decision.by,
            actor=decision.actor,
            note=decision.note,
            now=now,
        )
    )


async def _confirm(services: WorkerServices, connection: Connection, plan: Plan) -> PlanPartition:
    """Re-read every absentee of the plan now."""
    from worker.graph.read.evidence import verify_absentees

    async with services.open_graph(connection) as graph:
        graph.prioritize()
        groups = await _assigned_groups(graph, connection)
        return guard.partition_approved(
            plan, await verify_absentees(graph, connection, plan.absentees, groups)
        )


async def _assigned_groups(graph: GraphClient, connection: Connection) -> frozenset[GraphId]:
    from worker.graph.read.application import read_application, read_assignments

    application = await read_application(graph, connection)
    rows, proof = await read_assignments(graph, application.id)
    if not proof.finished:
        raise TryAgain(f"The assignments could not be read whole, so nobody is removed now. {proof.detail}")
    return frozenset(GraphId(row.principal_id) for row in rows if row.principal_type == "Group")
