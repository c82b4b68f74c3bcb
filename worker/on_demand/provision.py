"""Users and groups, now: five explained steps for each, as Entra's own *Provision on demand* shows them.

find -> scope -> match -> evaluate -> perform. The same decision core as a cycle, asked about one subject that
was just read by itself. That is its own confirmation, so the ceilings do not apply, and neither does mode
`report`: they hold back what Leaver does unasked. Protected accounts and the last admin stay, whoever asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from store.logs import provisioning_log
from store.logs.journal import LogSubject
from store.records import (
    Action,
    Cause,
    Connection,
    Cycle,
    CycleKind,
    CycleStatus,
    LogStatus,
    Origin,
    Policy,
    Step,
    SubjectType,
)
from worker.apply.apply_plan import BATCH_SIZE, NOTHING_APPLIED, Applied, apply
from worker.cycle import record
from worker.errors import DatabaseAway, LeaseLost, NeedsHuman, WorkerError, Yielded, as_worker_error
from worker.locks.hold import Hold
from worker.on_demand import change_steps as outcome
from worker.on_demand import match_steps as steps
from worker.on_demand.entra import ACTOR, EntraSubject, subject_for_entra
from worker.on_demand.related import restrict_to_subject, with_holders_named
from worker.on_demand.report import OnDemandReport, OnDemandResult
from worker.on_demand.subject import ResolvedSubject, find
from worker.progress import ProgressReporter, Watch, ignore_progress, report_progress
from worker.reconcile import guard
from worker.reconcile.completeness import gaps
from worker.reconcile.entitlement import entitlement
from worker.reconcile.plan import Decision, Plan, PlanPartition, Verdict
from worker.reconcile.planning import planner
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

SUBJECTS, APPLY = "subjects", "apply"
"""Phases of the progress: through a list, and through the changes of one subject."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BatchPosition:
    """Where in a list of subjects one stands."""

    done: int
    total: int


ALONE = BatchPosition(0, 1)


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What came of one subject, and what is kept of it for Entra (None where it was not even found)."""

    report: OnDemandReport
    subject: EntraSubject | None = None


@dataclass(slots=True)
class ProvisioningRun:
    """One request under way; `steps` grows."""

    services: WorkerServices
    connection: Connection
    hold: Hold
    cycle: Cycle
    reference: str
    is_dry_run: bool
    steps: list[Step]

    @property
    def cause(self) -> Cause:
        """The steps so far go into the provisioning log with every change."""
        kept = tuple(outcome.for_the_log(step) for step in self.steps)
        return Cause(Origin.GRAPH, self.cycle.id, ACTOR, self.hold.fence, kept)


async def provision_each(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    references: Sequence[str],
    *,
    is_dry_run: bool = False,
    watch: Watch = ignore_progress,
) -> list[Provisioned]:
    """Provisions one after the other; every one is a cycle of its own.

    Where only a person can help (a refused credential, a lost permission) the rest is not tried. Raises
    `LeaseLost` where another has taken the connection over, `Yielded` where the process stops.
    """
    done: list[Provisioned] = []
    for reference in references:
        place = BatchPosition(len(done), len(references))
        one = await _provision_one(services, connection, hold, reference, is_dry_run, watch, place)
        done.append(one)
        if one.report.remedy is not None:
            untried = references[len(done) :]
            return done + [Provisioned(replace(one.report, subject=other)) for other in untried]
        await hold.checkpoint_or_yield()
    return done


async def provision(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    reference: str,
    *,
    is_dry_run: bool = False,
    watch: Watch = ignore_progress,
) -> OnDemandReport:
    """Does to one user or group what Entra's truth asks for: creates, updates, enables or disables.

    `reference`: object id, userPrincipalName or mail address of a user; object id or display name of a group;
    or what our own account is known by. A group is written in batches, with a safe point after each. Raises
    `LeaseLost` where another has taken the connection over, `Yielded` where the process stops, `DatabaseAway`
    where our own database does not answer.
    """
    one = await _provision_one(services, connection, hold, reference, is_dry_run, watch, ALONE)
    return one.report


async def _provision_one(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    reference: str,
    is_dry_run: bool,
    watch: Watch,
    place: BatchPosition,
) -> Provisioned:
    cycle = await record.begin(services, connection, hold.fence, CycleKind.ON_DEMAND)
    run = ProvisioningRun(services, connection, hold, cycle, reference, is_dry_run, [])
    with structlog.contextvars.bound_contextvars(cycle=cycle.id, connection=connection.id):
        one = await _provisioning_record(run, watch, place)
        log.info("on_demand.ended", result=one.report.result)
    return one


@asynccontextmanager
async def sharing_graph(services: WorkerServices) -> AsyncIterator[WorkerServices]:
    """The same services, whose Graph stays open once it was opened: one token for many subjects."""
    async with AsyncExitStack() as stack:
        opened: list[GraphClient] = []

        @asynccontextmanager
        async def open_graph(connection: Connection) -> AsyncIterator[GraphClient]:
            if not opened:
                opened.append(await stack.enter_async_context(services.open_graph(connection)))
            yield opened[0]

        yield replace(services, open_graph=open_graph)


async def _provisioning_record(run: ProvisioningRun, watch: Watch, place: BatchPosition) -> Provisioned:
    """Provisions; however it ends, the cycle's row says so."""
    try:
        async with report_progress(run.services.db, run.connection.tenant_id, run.cycle.id, watch) as tell:
            if place.total > 1:
                tell(SUBJECTS, place.done, place.total)
            return await _provision(run, tell)
    except Exception as error:
        sorted_error = as_worker_error(error)
        if isinstance(sorted_error, DatabaseAway):
            await record.mark_interrupted(
                run.services, run.connection, run.cycle, run.hold.fence, sorted_error
            )
        if isinstance(sorted_error, LeaseLost | DatabaseAway):
            raise sorted_error from error
        if isinstance(sorted_error, Yielded):
            await record.finish_early(
                run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.YIELDED, str(error)
            )
            raise sorted_error from error
        return Provisioned(await _failed(run, sorted_error))


async def _provision(run: ProvisioningRun, tell: ProgressReporter) -> Provisioned:
    from worker.graph.read.evidence import verify_absentees

    services, connection = run.services, run.connection
    policy = connection.policy
    async with services.open_graph(connection) as graph:
        graph.prioritize()
        resolved = await find(graph, services, connection, run.reference)
        run.steps += [
            steps.find_step(resolved, policy),
            steps.scope_step(resolved, policy),
            steps.match_step(resolved, policy),
        ]
        # In a thread: a group may bring ten thousand people, and the lease is renewed meanwhile.
        plan = await asyncio.to_thread(_plan, resolved, policy, services.clock())
        evidence = await verify_absentees(graph, connection, plan.absentees, resolved.snapshot.members)
    settlement = guard.partition(plan, _verdict(resolved, policy), evidence)
    run.steps.append(outcome.evaluate_step(plan, settlement, evidence))
    subject = subject_for_entra(resolved, policy, settlement.apply)
    if run.is_dry_run or not settlement.apply:
        return Provisioned(await _nothing_done(run, resolved, settlement), subject)

    async def safe_point(done: int) -> None:
        if len(settlement.apply) > BATCH_SIZE:  # what is written in one go needs no bar
            tell(APPLY, done, len(settlement.apply))
        await run.hold.checkpoint_or_yield()

    await safe_point(0)
    applied = await apply(services.db, connection, settlement.apply, run.cause, safe_point)
    run.steps.append(outcome.perform_step(applied))
    return Provisioned(await _ended(run, outcome.result_of(applied, resolved.type), applied), subject)


def _plan(resolved: ResolvedSubject, policy: Policy, now: datetime) -> Plan:
    """What is to be done about the subject; nothing about others but for names they give up. Pure."""
    standing = entitlement(resolved.snapshot, policy)
    whole = planner.plan(resolved.snapshot, resolved.state, policy, now, resolved.focus, standing)
    return with_holders_named(restrict_to_subject(whole, resolved.others), resolved.state, standing)


def _verdict(resolved: ResolvedSubject, policy: Policy) -> Verdict:
    """The guard's word on one subject: additions always, removals if this reading is whole."""
    incomplete = gaps(resolved.snapshot, policy.scope)
    return Verdict(Decision.ADD_ONLY if incomplete else Decision.APPLY, incomplete)


async def _nothing_done(
    run: ProvisioningRun, resolved: ResolvedSubject, settlement: PlanPartition
) -> OnDemandReport:
    evaluated = run.steps[-1]
    would: OnDemandResult | None = None
    if settlement.apply:
        step, result = outcome.dry_run_step(settlement.apply), OnDemandResult.SKIPPED
        would = outcome.result_of_actions({change.action for change in settlement.apply}, resolved.type)
    elif any(step.status is LogStatus.FAILURE for step in run.steps):
        step, result = _not_performed("Not attempted."), OnDemandResult.FAILED
    elif evaluated.status is LogStatus.WARNING:
        step, result = _not_performed("Nothing was changed."), OnDemandResult.SKIPPED
    else:
        step, result = _not_performed("Nothing to change."), OnDemandResult.UNCHANGED
    run.steps.append(step)
    report = await _ended(run, result, NOTHING_APPLIED, resolved)
    return replace(report, would=would)


def _not_performed(detail: str) -> Step:
    return Step("perform", LogStatus.SKIPPED, detail)


async def _failed(run: ProvisioningRun, error: WorkerError) -> OnDemandReport:
    """The step that was under way failed. That quarantines nothing: whoever asked sees it."""
    name = outcome.NAMES[min(len(run.steps), len(outcome.NAMES) - 1)]
    run.steps.append(Step(name, LogStatus.FAILURE, str(error)))
    run.steps += outcome.not_reached(run.steps)
    await record.finish_early(
        run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.FAILED, str(error)
    )
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
    run: ProvisioningRun, result: OnDemandResult, applied: Applied, resolved: ResolvedSubject | None = None
) -> OnDemandReport:
    await record.finish_on_demand(run.services, run.connection, run.cycle, run.hold.fence, applied)
    if not applied.changes:
        await _log(run, result, resolved)
    return OnDemandReport(run.reference, result, tuple(run.steps), run.cycle.id)


async def _log(run: ProvisioningRun, result: OnDemandResult, resolved: ResolvedSubject | None) -> None:
    """An attempt that changed nothing is in the provisioning log too; the lifecycle logs the others."""
    status = LogStatus.FAILURE if result is OnDemandResult.FAILED else LogStatus.SKIPPED
    row = resolved.row if resolved else None
    await run.services.db.write(
        lambda conn: provisioning_log.append(
            conn,
            run.connection.tenant_id,
            run.connection.id,
            run.cause,
            action=Action.OTHER,
            status=status,
            subject=LogSubject(
                resolved.type if resolved else SubjectType.USER, row.id if row else None, run.reference
            ),
            now=run.services.clock(),
        )
    )
