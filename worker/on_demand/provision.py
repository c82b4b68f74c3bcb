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
from worker.on_demand.related import about_the_subject, with_holders_told
from worker.on_demand.report import OnDemandReport, OnDemandResult
from worker.on_demand.subject import Looked, find
from worker.progress import Tell, Watch, nobody, telling
from worker.reconcile import guard
from worker.reconcile.completeness import gaps
from worker.reconcile.entitlement import entitlement
from worker.reconcile.plan import Decision, Plan, Settlement, Verdict
from worker.reconcile.planning import planner
from worker.services import Services

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

SUBJECTS, APPLY = "subjects", "apply"
"""Phases of the progress: through a list, and through the changes of one subject."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a list of subjects one stands."""

    done: int
    total: int


ALONE = Place(0, 1)


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What came of one subject, and what is kept of it for Entra (None where it was not even found)."""

    report: OnDemandReport
    subject: EntraSubject | None = None


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
        kept = tuple(outcome.for_the_log(step) for step in self.steps)
        return Cause(Origin.GRAPH, self.cycle.id, ACTOR, self.hold.fence, kept)


async def provision_each(
    services: Services,
    connection: Connection,
    hold: Hold,
    references: Sequence[str],
    *,
    is_dry_run: bool = False,
    watch: Watch = nobody,
) -> list[Provisioned]:
    """Provisions one after the other; every one is a cycle of its own.

    Where only a person can help (a refused credential, a lost permission) the rest is not tried. Raises
    `LeaseLost` where another has taken the connection over, `Yielded` where the process stops.
    """
    done: list[Provisioned] = []
    for reference in references:
        place = Place(len(done), len(references))
        one = await _provision_one(services, connection, hold, reference, is_dry_run, watch, place)
        done.append(one)
        if one.report.remedy is not None:
            untried = references[len(done) :]
            return done + [Provisioned(replace(one.report, subject=other)) for other in untried]
        await hold.safe_point()
    return done


async def provision(
    services: Services,
    connection: Connection,
    hold: Hold,
    reference: str,
    *,
    is_dry_run: bool = False,
    watch: Watch = nobody,
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
    services: Services,
    connection: Connection,
    hold: Hold,
    reference: str,
    is_dry_run: bool,
    watch: Watch,
    place: Place,
) -> Provisioned:
    cycle = await record.begin(services, connection, hold.fence, CycleKind.ON_DEMAND)
    run = Run(services, connection, hold, cycle, reference, is_dry_run, [])
    with structlog.contextvars.bound_contextvars(cycle=cycle.id, connection=connection.id):
        one = await _recorded(run, watch, place)
        log.info("on_demand.ended", result=one.report.result)
    return one


@asynccontextmanager
async def sharing_graph(services: Services) -> AsyncIterator[Services]:
    """The same services, whose Graph stays open once it was opened: one token for many subjects."""
    async with AsyncExitStack() as stack:
        opened: list[GraphClient] = []

        @asynccontextmanager
        async def open_graph(connection: Connection) -> AsyncIterator[GraphClient]:
            if not opened:
                opened.append(await stack.enter_async_context(services.open_graph(connection)))
            yield opened[0]

        yield replace(services, open_graph=open_graph)


async def _recorded(run: Run, watch: Watch, place: Place) -> Provisioned:
    """Provisions; however it ends, the cycle's row says so."""
    try:
        async with telling(run.services.db, run.connection.tenant_id, run.cycle.id, watch) as tell:
            if place.total > 1:
                tell(SUBJECTS, place.done, place.total)
            return await _provision(run, tell)
    except Exception as error:
        sorted_error = as_worker_error(error)
        if isinstance(sorted_error, DatabaseAway):
            await record.cut_off(run.services, run.connection, run.cycle, run.hold.fence, sorted_error)
        if isinstance(sorted_error, LeaseLost | DatabaseAway):
            raise sorted_error from error
        if isinstance(sorted_error, Yielded):
            await record.end_early(
                run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.YIELDED, str(error)
            )
            raise sorted_error from error
        return Provisioned(await _failed(run, sorted_error))


async def _provision(run: Run, tell: Tell) -> Provisioned:
    from worker.graph.read.evidence import confirm

    services, connection = run.services, run.connection
    policy = connection.policy
    async with services.open_graph(connection) as graph:
        graph.make_haste()
        looked = await find(graph, services, connection, run.reference)
        run.steps += [
            steps.find_step(looked, policy),
            steps.scope_step(looked, policy),
            steps.match_step(looked, policy),
        ]
        # In a thread: a group may bring ten thousand people, and the lease is renewed meanwhile.
        plan = await asyncio.to_thread(_plan, looked, policy, services.clock())
        evidence = await confirm(graph, connection, plan.absentees, looked.snapshot.members)
    settlement = guard.settle(plan, _verdict(looked, policy), evidence)
    run.steps.append(outcome.evaluate_step(plan, settlement, evidence))
    subject = subject_for_entra(looked, policy, settlement.apply)
    if run.is_dry_run or not settlement.apply:
        return Provisioned(await _nothing_done(run, looked, settlement), subject)

    async def safe_point(done: int) -> None:
        if len(settlement.apply) > BATCH_SIZE:  # what is written in one go needs no bar
            tell(APPLY, done, len(settlement.apply))
        await run.hold.safe_point()

    await safe_point(0)
    applied = await apply(services.db, connection, settlement.apply, run.cause, safe_point)
    run.steps.append(outcome.perform_step(applied))
    return Provisioned(await _ended(run, outcome.result_of(applied, looked.type), applied), subject)


def _plan(looked: Looked, policy: Policy, now: datetime) -> Plan:
    """What is to be done about the subject; nothing about others but for names they give up. Pure."""
    standing = entitlement(looked.snapshot, policy)
    whole = planner.plan(looked.snapshot, looked.state, policy, now, looked.focus, standing)
    return with_holders_told(about_the_subject(whole, looked.others), looked.state, standing)


def _verdict(looked: Looked, policy: Policy) -> Verdict:
    """The guard's word on one subject: additions always, removals if this reading is whole."""
    incomplete = gaps(looked.snapshot, policy.scope)
    return Verdict(Decision.ADD_ONLY if incomplete else Decision.APPLY, incomplete)


async def _nothing_done(run: Run, looked: Looked, settlement: Settlement) -> OnDemandReport:
    evaluated = run.steps[-1]
    would: OnDemandResult | None = None
    if settlement.apply:
        step, result = outcome.rehearsed_step(settlement.apply), OnDemandResult.SKIPPED
        would = outcome.result_of_actions({change.action for change in settlement.apply}, looked.type)
    elif any(step.status is LogStatus.FAILURE for step in run.steps):
        step, result = _not_performed("Not attempted."), OnDemandResult.FAILED
    elif evaluated.status is LogStatus.WARNING:
        step, result = _not_performed("Nothing was changed."), OnDemandResult.SKIPPED
    else:
        step, result = _not_performed("Nothing to change."), OnDemandResult.UNCHANGED
    run.steps.append(step)
    report = await _ended(run, result, NOTHING_APPLIED, looked)
    return replace(report, would=would)


def _not_performed(detail: str) -> Step:
    return Step("perform", LogStatus.SKIPPED, detail)


async def _failed(run: Run, error: WorkerError) -> OnDemandReport:
    """The step that was under way failed. That quarantines nothing: whoever asked sees it."""
    name = outcome.NAMES[min(len(run.steps), len(outcome.NAMES) - 1)]
    run.steps.append(Step(name, LogStatus.FAILURE, str(error)))
    run.steps += outcome.not_reached(run.steps)
    await record.end_early(
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
    run: Run, result: OnDemandResult, applied: Applied, looked: Looked | None = None
) -> OnDemandReport:
    await record.end_on_demand(run.services, run.connection, run.cycle, run.hold.fence, applied)
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
