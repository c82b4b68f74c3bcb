"""Provision one user or group now, in five explained steps as Entra's *Provision on
demand*.

find -> scope -> match -> evaluate -> perform. The same decision core as in a cycle,
asked about one subject that was just read by itself. That is its own confirmation, so
the ceilings do not apply, and neither does mode `report`: they hold back what Leaver
does unasked. Protected accounts and the last admin stay, even if an admin asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from store.logs import provisioning_log
from store.logs.journal import LogSubject
from store.records import (
    Action,
    Cause,
    Connection,
    CycleKind,
    DriftFinding,
    EvidenceAge,
    LogStatus,
    Origin,
    Policy,
    Step,
    SubjectType,
)
from worker.apply import findings
from worker.apply.apply_plan import BATCH_SIZE, NOTHING_APPLIED, Applied, apply
from worker.apply.leaver_evidence import load_leaver_facts
from worker.apply.removal_evidence import evidence_age, reverification
from worker.cycle.record import CycleRecord, cycle_record
from worker.errors import NeedsHuman, WorkerError
from worker.locks.hold import Hold
from worker.on_demand import change_steps, match_steps
from worker.on_demand.entra import ACTOR, EntraSubject, subject_for_entra
from worker.on_demand.related import restrict_to_subject, with_holders_named
from worker.on_demand.report import OnDemandReport, OnDemandResult
from worker.on_demand.subject import ResolvedSubject, find
from worker.progress import Watch, ignore_progress
from worker.reconcile import guard
from worker.reconcile.completeness import gaps
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.plan import Change, Decision, Plan, PlanPartition, Verdict
from worker.reconcile.planning import planner
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

SUBJECTS, STEPS, APPLY = "subjects", "steps", "apply"
"""Phases of the progress: through a list, through the five steps of one subject, and
through its changes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BatchPosition:
    """The position of a subject in a list of subjects."""

    done: int
    total: int


ALONE = BatchPosition(0, 1)


@dataclass(frozen=True, slots=True)
class SubjectRequest:
    """What is asked for one subject."""

    reference: str
    is_dry_run: bool
    actor: str | None
    """The person who asks; None if not known."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The report on one subject, and what is kept of it for Entra (None if it was not
    found).
    """

    report: OnDemandReport
    subject: EntraSubject | None = None


@dataclass(slots=True)
class ProvisioningRun:
    """One request that is being worked on; `steps` grows."""

    record: CycleRecord
    reference: str
    actor: str
    steps: list[Step]

    @property
    def cause(self) -> Cause:
        """Return the cause of a change; the provisioning log keeps the steps so far."""
        kept = tuple(change_steps.for_the_log(step) for step in self.steps)
        return Cause(Origin.GRAPH, self.record.cycle.id, self.actor, self.record.fence, steps=kept)


async def provision_each(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    references: Sequence[str],
    *,
    is_dry_run: bool = False,
    watch: Watch = ignore_progress,
    actor: str | None = None,
) -> list[Provisioned]:
    """Provision subjects one after the other; each is a cycle of its own.

    If only a person can help (a refused credential, a lost permission) the rest is not
    tried. Raises `LeaseLost` if another process has taken the connection over,
    `Yielded` if the process stops.
    """
    done: list[Provisioned] = []
    for reference in references:
        position = BatchPosition(len(done), len(references))
        asked = SubjectRequest(reference, is_dry_run, actor)
        provisioned = await _provision_one(services, connection, hold, asked, watch, position)
        done.append(provisioned)
        if provisioned.report.remedy is not None:
            untried = references[len(done) :]
            return done + [Provisioned(replace(provisioned.report, subject=other)) for other in untried]
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
    actor: str | None = None,
) -> OnDemandReport:
    """Provision one user or group as Entra demands: create, update, enable or disable
    it.

    `reference`: object id, userPrincipalName or mail address of a user; object id or
    display name of a group; or a name of the account here. A group is written in
    batches, with a safe point after each. Raises `LeaseLost` if another process has
    taken the connection over, `Yielded` if the process stops, `DatabaseAway` if
    Leaver's own database does not answer.
    """
    asked = SubjectRequest(reference, is_dry_run, actor)
    provisioned = await _provision_one(services, connection, hold, asked, watch, ALONE)
    return provisioned.report


async def _provision_one(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    asked: SubjectRequest,
    watch: Watch,
    position: BatchPosition,
) -> Provisioned:
    async with cycle_record(
        services, connection, hold, CycleKind.ON_DEMAND, watch, is_dry_run=asked.is_dry_run
    ) as record:
        run = ProvisioningRun(record, asked.reference, asked.actor or ACTOR, [])
        provisioned = await _provision(run, position)
    if record.failure is not None:
        provisioned = Provisioned(await _failed(run, record.failure))
    log.info(
        "on_demand.ended",
        result=provisioned.report.result,
        cycle=record.cycle.id,
        connection=connection.id,
    )
    return provisioned


@asynccontextmanager
async def sharing_graph(services: WorkerServices) -> AsyncIterator[WorkerServices]:
    """Share one Graph client: one token for many subjects."""
    async with AsyncExitStack() as stack:
        opened: list[GraphClient] = []

        @asynccontextmanager
        async def open_graph(connection: Connection) -> AsyncIterator[GraphClient]:
            if not opened:
                opened.append(await stack.enter_async_context(services.open_graph(connection)))
            yield opened[0]

        yield replace(services, open_graph=open_graph)


async def _provision(run: ProvisioningRun, position: BatchPosition) -> Provisioned:
    from worker.graph.read.evidence import verify_absentees

    record, services, connection = run.record, run.record.services, run.record.connection
    policy = connection.policy
    if position.total > 1:
        record.report_progress(SUBJECTS, position.done, position.total)
    else:
        record.report_progress(STEPS, 0, len(change_steps.NAMES))
    async with services.open_graph(connection) as graph:
        graph.prioritize()
        resolved = await find(graph, services, connection, run.reference)
        run.steps += [
            match_steps.find_step(resolved, policy),
            match_steps.scope_step(resolved, policy),
            match_steps.match_step(resolved, policy),
        ]
        if position.total == 1:
            record.report_progress(STEPS, len(run.steps), len(change_steps.NAMES))
        # In a thread: a group may bring ten thousand users, and the lease is renewed
        # meanwhile.
        plan = await asyncio.to_thread(_plan, resolved, policy, services.clock())
        age = await evidence_age(services, connection)
        evidence = await verify_absentees(graph, connection, plan.absentees, resolved.snapshot.members)
    partition = guard.partition(plan, _verdict(resolved, policy), evidence)
    run.steps.append(change_steps.evaluate_step(plan, partition, evidence))
    if position.total == 1:
        record.report_progress(STEPS, len(run.steps), len(change_steps.NAMES))
    subject = subject_for_entra(resolved, policy, partition.apply)
    if record.is_dry_run or not partition.apply:
        return Provisioned(await _nothing_done(run, resolved, partition), subject)
    async with services.db.reading() as conn:
        facts = await load_leaver_facts(conn, connection, plan.changes)
    applied = await _apply(run, plan, partition.apply, age)
    run.steps.append(change_steps.perform_step(applied))
    result = change_steps.result_of(applied, resolved.type, partition, resolved.others)
    repaired = findings.repaired(plan, partition, applied, evidence, services.clock(), run.actor, facts)
    return Provisioned(await _ended(run, result, applied, findings=repaired), subject)


async def _apply(run: ProvisioningRun, plan: Plan, changes: Sequence[Change], age: EvidenceAge) -> Applied:
    record = run.record

    async def safe_point(done: int) -> None:
        # Changes that fit into one transaction need no progress bar.
        if len(changes) > BATCH_SIZE:
            record.report_progress(APPLY, done, len(changes))
        await record.hold.checkpoint_or_yield()

    await safe_point(0)
    services = record.services
    return await apply(
        services.db,
        record.connection,
        changes,
        structs.replace(run.cause, evidence=age),
        safe_point,
        clock=services.clock,
        reverify=reverification(services, record.connection, plan),
    )


def _plan(resolved: ResolvedSubject, policy: Policy, now: datetime) -> Plan:
    """Plan the subject; for other users only the names they give up. Pure."""
    entitlement = entitlement_of(resolved.snapshot, policy)
    whole = planner.plan(resolved.snapshot, resolved.state, policy, now, entitlement, resolved.focus)
    return with_holders_named(restrict_to_subject(whole, resolved.others), resolved.state, entitlement)


def _verdict(resolved: ResolvedSubject, policy: Policy) -> Verdict:
    """Return the guard's verdict on one subject: removals only if this reading is
    complete.
    """
    incomplete = gaps(resolved.snapshot, policy.scope)
    return Verdict(Decision.ADD_ONLY if incomplete else Decision.APPLY, incomplete)


async def _nothing_done(
    run: ProvisioningRun, resolved: ResolvedSubject, partition: PlanPartition
) -> OnDemandReport:
    evaluated = run.steps[-1]
    would: OnDemandResult | None = None
    if partition.apply:
        step, result = change_steps.dry_run_step(partition.apply), OnDemandResult.SKIPPED
        would = change_steps.result_of_actions({change.action for change in partition.apply}, resolved.type)
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
    """Report a failure in the step it happened in. It quarantines nothing: the admin
    sees it.
    """
    name = change_steps.NAMES[min(len(run.steps), len(change_steps.NAMES) - 1)]
    run.steps.append(Step(name, LogStatus.FAILURE, str(error)))
    run.steps += change_steps.not_reached(run.steps)
    await _log(run, OnDemandResult.FAILED, None)
    return OnDemandReport(
        subject=run.reference,
        result=OnDemandResult.FAILED,
        steps=tuple(run.steps),
        cycle_id=run.record.cycle.id,
        actor=run.actor,
        error=str(error),
        remedy=error.remedy if isinstance(error, NeedsHuman) else None,
    )


async def _ended(
    run: ProvisioningRun,
    result: OnDemandResult,
    applied: Applied,
    resolved: ResolvedSubject | None = None,
    findings: Sequence[DriftFinding] = (),
) -> OnDemandReport:
    await run.record.finish_on_demand(applied, findings)
    # What was looked up, and found as it should be, is no attempt to change anything.
    if not applied.changes and not run.record.is_dry_run and result is not OnDemandResult.UNCHANGED:
        await _log(run, result, resolved)
    return OnDemandReport(run.reference, result, tuple(run.steps), run.record.cycle.id, actor=run.actor)


async def _log(run: ProvisioningRun, result: OnDemandResult, resolved: ResolvedSubject | None) -> None:
    """Log an attempt that changed nothing; the lifecycle logs the others."""
    status = LogStatus.FAILURE if result is OnDemandResult.FAILED else LogStatus.SKIPPED
    row = resolved.row if resolved else None
    services, connection = run.record.services, run.record.connection
    await services.db.write(
        lambda conn: provisioning_log.append(
            conn,
            connection.tenant_id,
            connection.id,
            run.cause,
            action=Action.OTHER,
            status=status,
            subject=LogSubject(
                resolved.type if resolved else SubjectType.USER, row.id if row else None, run.reference
            ),
            now=services.clock(),
        )
    )
