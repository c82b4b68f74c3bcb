"""One user or one group, now: five explained steps, as Entra's own *Provision on demand* shows them.

find -> scope -> match -> evaluate -> perform. The same decision core as a cycle, asked about one subject that
was just read by itself. That is its own confirmation, so the ceilings do not apply, and neither does mode
`report`: they hold back what Leaver does unasked. Protected accounts and the last admin stay, whoever asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from store import provisioning_log
from store.records import (
    Action,
    Cause,
    Connection,
    Cycle,
    CycleKind,
    CycleStatus,
    LogStatus,
    Origin,
    Step,
    SubjectType,
)
from worker import on_demand_steps as steps
from worker import recording
from worker.apply import NOTHING_APPLIED, Applied, apply
from worker.errors import LeaseLost, NeedsHuman, WorkerError, Yielded, as_worker_error
from worker.leasing import Hold
from worker.on_demand_subject import Looked, find
from worker.reconcile import guard, planning
from worker.reconcile.completeness import gaps
from worker.reconcile.plan import Decision, Plan, Settlement, Verdict
from worker.reports import OnDemandReport, OnDemandResult
from worker.services import Services

if TYPE_CHECKING:
    from worker.graph.client import GraphClient

ACTOR = "on demand"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Run:
    """One request under way; `steps` grows."""

    services: Services
    connection: Connection
    hold: Hold
    cycle: Cycle
    reference: str
    is_dry_run: bool
    steps: list[Step]

    @property
    def cause(self) -> Cause:
        """The steps so far go into the provisioning log with every change."""
        return Cause(Origin.GRAPH, self.cycle.id, ACTOR, self.hold.fence, tuple(self.steps))


async def provision(
    services: Services, connection: Connection, hold: Hold, reference: str, *, is_dry_run: bool = False
) -> OnDemandReport:
    """Does to one user or group what Entra's truth asks for: creates, updates, enables or disables.

    `reference`: object id, userPrincipalName or mail address of a user; object id or display name of a group;
    or what our own account is known by. Raises `LeaseLost` where another has taken the connection over.
    """
    cycle = await recording.begin(services, connection, hold.fence, CycleKind.ON_DEMAND)
    run = Run(services, connection, hold, cycle, reference, is_dry_run, [])
    with structlog.contextvars.bound_contextvars(cycle=cycle.id, connection=connection.id):
        report = await _recorded(run)
        log.info("on_demand.ended", result=report.result)
    return report


async def _recorded(run: Run) -> OnDemandReport:
    try:
        return await _provision(run)
    except Exception as error:
        sorted_error = as_worker_error(error)
        if isinstance(sorted_error, LeaseLost | Yielded):
            raise sorted_error from error
        return await _failed(run, sorted_error)


async def _provision(run: Run) -> OnDemandReport:
    services, connection = run.services, run.connection
    policy = connection.policy
    async with services.open_graph(connection) as graph:
        graph.make_haste()
        looked = await find(graph, services, connection, run.reference)
        run.steps += [
            steps.find_step(looked),
            steps.scope_step(looked, policy),
            steps.match_step(looked, policy),
        ]
        plan = planning.plan_subject(looked.snapshot, looked.state, policy, services.clock(), looked.key)
        settlement = await _settle(graph, connection, looked, plan)
    run.steps.append(steps.evaluate_step(plan, settlement))
    if run.is_dry_run or not settlement.apply:
        return await _nothing_done(run, looked, settlement)
    applied = await apply(services.db, connection, settlement.apply, run.cause, _no_safe_point)
    run.steps.append(steps.perform_step(applied))
    return await _ended(run, steps.result_of(applied), applied)


async def _settle(graph: GraphClient, connection: Connection, looked: Looked, plan: Plan) -> Settlement:
    """The guard's word on one subject: additions always, removals if this reading is whole and confirmed."""
    from worker.graph.evidence import confirm

    incomplete = gaps(looked.snapshot, connection.policy.scope)
    verdict = Verdict(Decision.ADD_ONLY if incomplete else Decision.APPLY, incomplete)
    evidence = await confirm(graph, connection, plan.absentees, looked.snapshot.members)
    return guard.settle(plan, verdict, evidence)


async def _no_safe_point(_done: int) -> None:
    """One subject is done in one go; the fence alone decides whether it may be written."""


async def _nothing_done(run: Run, looked: Looked, settlement: Settlement) -> OnDemandReport:
    evaluated = run.steps[-1]
    if settlement.apply:
        detail, result = "Dry run: nothing was changed.", OnDemandResult.SKIPPED
    elif any(step.status is LogStatus.FAILURE for step in run.steps):
        detail, result = "Not attempted.", OnDemandResult.FAILED
    elif evaluated.status is LogStatus.WARNING:
        detail, result = "Nothing was changed.", OnDemandResult.SKIPPED
    else:
        detail, result = "Nothing to change.", OnDemandResult.UNCHANGED
    run.steps.append(Step("perform", LogStatus.SKIPPED, detail))
    return await _ended(run, result, NOTHING_APPLIED, looked)


async def _failed(run: Run, error: WorkerError) -> OnDemandReport:
    """The step that was under way failed. That quarantines nothing: whoever asked sees it."""
    name = steps.NAMES[min(len(run.steps), len(steps.NAMES) - 1)]
    run.steps.append(Step(name, LogStatus.FAILURE, str(error)))
    run.steps += steps.not_reached(run.steps)
    await recording.end_early(run.services, run.connection, run.cycle, CycleStatus.FAILED, str(error))
    await _log(run, OnDemandResult.FAILED, None)
    return OnDemandReport(
        subject=run.reference,
        result=OnDemandResult.FAILED,
        steps=tuple(run.steps),
        cycle_id=run.cycle.id,
        error=str(error),
        remedy=error.remedy if isinstance(error, NeedsHuman) else None,
    )


async def _ended(
    run: Run, result: OnDemandResult, applied: Applied, looked: Looked | None = None
) -> OnDemandReport:
    await recording.end_on_demand(run.services, run.connection, run.cycle, run.hold.fence, applied)
    if not applied.changes:
        await _log(run, result, looked)
    return OnDemandReport(run.reference, result, tuple(run.steps), run.cycle.id)


async def _log(run: Run, result: OnDemandResult, looked: Looked | None) -> None:
    """An attempt that changed nothing is in the provisioning log too; the lifecycle logs the others."""
    status = LogStatus.FAILURE if result is OnDemandResult.FAILED else LogStatus.SKIPPED
    row = looked.row if looked else None
    await run.services.db.write(
        lambda conn: provisioning_log.append(
            conn,
            run.connection.tenant_id,
            run.connection.id,
            run.cause,
            action=Action.OTHER,
            status=status,
            subject_type=looked.type if looked else SubjectType.USER,
            subject_id=row.id if row else None,
            subject_label=run.reference,
            now=run.services.clock(),
        )
    )
