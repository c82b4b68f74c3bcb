"""What is written down of a cycle: that it runs, how it ended, what it found, what waits, what comes next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from store import errors
from store.records import (
    Action,
    Connection,
    ConnectionId,
    Cycle,
    CycleId,
    CycleKind,
    CycleStatus,
    DriftFinding,
    DriftKind,
    Fence,
    JsonValue,
    PlanId,
    RowDigest,
    SubjectType,
    TenantId,
)
from store.sync import cycles, digests, held_plans, leases
from store.sync import drift_reports as drift
from store.tenancy import connections
from worker.apply.apply_plan import Applied
from worker.cycle import checkpoint as lineages
from worker.cycle import schedule
from worker.cycle.checkpoint import CheckpointDraft
from worker.cycle.report import HeldPlanReport
from worker.errors import DatabaseAway, LeaseLost, NeedsHuman, TryAgain
from worker.reconcile.digests import ComparedState, unchanged_groups, unchanged_users
from worker.reconcile.plan import PlanPartition
from worker.reconcile.snapshot import Completeness
from worker.services import WorkerServices

T = TypeVar("T")

AGREED_AT_ONCE = 5_000
FINDINGS_AT_ONCE = 1_000
"""In one transaction: a push waits for no more."""
DIED = "This cycle was cut off: its process ended, or the database was away. The next cycle looks again."


@dataclass(frozen=True, slots=True)
class CycleOutcome:
    """How a cycle ended that came to its end."""

    status: CycleStatus
    complete: bool
    completeness: Completeness
    counts: Mapping[str, int]
    drift: Mapping[DriftKind, int]
    applied: Mapping[Action, int]
    skipped: int
    scope_key: str
    findings: Iterable[DriftFinding]
    settlement: PlanPartition
    keeps_beat: bool
    """The next cycle follows from this one; a dry run leaves the schedule alone."""
    looked_at: frozenset[str] | None = None
    """What the findings of an increment know its subjects by; None: everybody was looked at."""
    missed: int | None = None
    """Drift that the increments before should have found."""
    draft: CheckpointDraft | None = None
    """What the next increment may continue from; None: nothing is."""


async def _under_lease(
    services: WorkerServices,
    connection: Connection,
    fence: Fence,
    work: Callable[[AsyncConnection], Awaitable[T]],
) -> T:
    """Writes if the lease still holds; raises `LeaseLost` and writes nothing if it does not."""

    async def fenced(conn: AsyncConnection) -> T:
        await leases.check(conn, connection.tenant_id, fence)
        return await work(conn)

    try:
        return await services.db.write(fenced)
    except errors.FencedOut as error:
        raise LeaseLost(str(error)) from error


async def begin(
    services: WorkerServices,
    connection: Connection,
    fence: Fence,
    kind: CycleKind,
    why_full: str | None = None,
) -> Cycle:
    """Notes that a cycle begins, and that those before it which never ended did not survive."""
    now = services.clock()

    async def work(conn: AsyncConnection) -> Cycle:
        for left in await cycles.latest(conn, connection.tenant_id, connection.id, finished=False):
            await cycles.finish(
                conn,
                connection.tenant_id,
                left.id,
                cycles.CycleResult(CycleStatus.FAILED, complete=None, error=DIED),
                now=now,
            )
        return await cycles.start(conn, connection.tenant_id, connection.id, kind, why_full=why_full, now=now)

    return await _under_lease(services, connection, fence, work)


async def read_everything(
    services: WorkerServices, connection: Connection, fence: Fence, cycle: Cycle, why: str
) -> Cycle:
    """Notes that a cycle that began as an increment reads everything after all, and why."""

    async def work(conn: AsyncConnection) -> Cycle:
        return await cycles.mark_read_everything(conn, connection.tenant_id, cycle.id, CycleKind.FULL, why)

    return await _under_lease(services, connection, fence, work)


async def finish(
    services: WorkerServices, connection: Connection, cycle: Cycle, fence: Fence, ending: CycleOutcome
) -> HeldPlanReport | None:
    """Writes all a cycle came to, if the lease still holds; gives the plan that waits.

    The drift report goes first, in parts, so that no push waits for the whole of it; it is shown once the cycle
    has ended, and that is one transaction with all the rest.
    """
    now = services.clock()
    tenant_id = connection.tenant_id
    await _record_drift(services, connection, cycle, fence, ending)

    async def work(conn: AsyncConnection) -> HeldPlanReport | None:
        await held_plans.expire(conn, tenant_id, connection.id, now)
        held = await _hold(conn, connection, cycle, ending.settlement, now)
        if ending.status is CycleStatus.APPLIED and ending.looked_at is None:
            # Everything was read and nothing has to wait: what waited before is no longer so.
            await held_plans.supersede(conn, tenant_id, connection.id)
        await cycles.finish(
            conn,
            tenant_id,
            cycle.id,
            cycles.CycleResult(
                ending.status,
                complete=ending.complete,
                completeness=completeness_to_json(ending.completeness),
                counts=ending.counts,
                drift={kind.value: number for kind, number in ending.drift.items()},
                applied={action.value: number for action, number in ending.applied.items()},
                skipped=ending.skipped,
                held_plan_id=held.id if held else None,
                token_roles=ending.completeness.token_roles,
                scope_key=ending.scope_key,
                increments_missed=ending.missed,
            ),
            now=now,
        )
        if ending.keeps_beat:
            await _continue_from(conn, connection, ending)
            next_due = schedule.next_due(connection, now)
            people = ending.counts.get("users")
            await connections.note_success(conn, tenant_id, connection.id, next_due, now, people=people)
        return held

    return await _under_lease(services, connection, fence, work)


async def save_digests(
    services: WorkerServices, connection: Connection, fence: Fence, compared: ComparedState
) -> None:
    """Notes on the rows what they agree on with Entra from now on, in parts."""
    for kind, agreed in (
        (SubjectType.USER, unchanged_users(compared)),
        (SubjectType.GROUP, unchanged_groups(compared)),
    ):
        while part := list(islice(agreed, AGREED_AT_ONCE)):
            note = partial(_note_agreed, connection=connection, kind=kind, part=part)
            await _under_lease(services, connection, fence, note)


async def _note_agreed(
    conn: AsyncConnection, connection: Connection, kind: SubjectType, part: list[RowDigest]
) -> None:
    await digests.save(conn, connection.tenant_id, connection.id, kind, part)


async def _record_drift(
    services: WorkerServices, connection: Connection, cycle: Cycle, fence: Fence, ending: CycleOutcome
) -> None:
    of_cycle = (connection.tenant_id, connection.id, cycle.id)
    earlier = await _under_lease(
        services, connection, fence, lambda conn: drift.start_report(conn, *of_cycle)
    )
    findings = drift.merge_with_previous(
        ending.findings, earlier, complete=ending.complete, looked_at=ending.looked_at
    )
    while part := list(islice(findings, FINDINGS_AT_ONCE)):
        await _under_lease(services, connection, fence, partial(_add_to_report, of_cycle=of_cycle, part=part))


async def _add_to_report(
    conn: AsyncConnection, of_cycle: tuple[TenantId, ConnectionId, CycleId], part: list[DriftFinding]
) -> None:
    await drift.add(conn, *of_cycle, part)


async def _continue_from(conn: AsyncConnection, connection: Connection, ending: CycleOutcome) -> None:
    """Saves what the next increment continues from, if nothing of this cycle is left over.

    Else an increment keeps what it continued from itself, which is told again; after a full cycle only
    another full one finds what is left.
    """
    is_done = ending.status in (CycleStatus.APPLIED, CycleStatus.REPORTED) and not ending.skipped
    if is_done and ending.draft is not None:
        await lineages.save(conn, connection, ending.draft)
    elif ending.looked_at is None:
        await lineages.forget(conn, connection)


async def _hold(
    conn: AsyncConnection, connection: Connection, cycle: Cycle, settlement: PlanPartition, now: datetime
) -> HeldPlanReport | None:
    if settlement.hold is None:
        return None
    reason = " ".join(settlement.reasons)
    plan = await held_plans.hold(
        conn,
        connection.tenant_id,
        connection.id,
        cycle.id,
        settlement.hold.checksum,
        reason,
        settlement.hold.to_json(),
        now + timedelta(days=connection.policy.held_plan_days),
        now=now,
    )
    return HeldPlanReport(PlanId(plan.id), plan.checksum, plan.reason)


async def finish_on_demand(
    services: WorkerServices, connection: Connection, cycle: Cycle, fence: Fence, applied: Applied
) -> None:
    """Notes what a request for one subject changed; schedule, drift report and held plans stay."""
    now = services.clock()

    async def work(conn: AsyncConnection) -> None:
        await cycles.finish(
            conn,
            connection.tenant_id,
            cycle.id,
            cycles.CycleResult(
                CycleStatus.APPLIED,
                complete=None,
                applied={action.value: number for action, number in applied.counts.items()},
                skipped=applied.skipped + applied.failed,
            ),
            now=now,
        )

    await _under_lease(services, connection, fence, work)


async def finish_early(
    services: WorkerServices,
    connection: Connection,
    cycle: Cycle,
    fence: Fence,
    status: CycleStatus,
    why: str,
) -> None:
    """Notes that a cycle gave way, or failed; nothing is known of the directory by it."""
    now = services.clock()

    async def work(conn: AsyncConnection) -> None:
        ended = cycles.CycleResult(status, complete=None, error=why)
        await cycles.finish(conn, connection.tenant_id, cycle.id, ended, now=now)

    await _under_lease(services, connection, fence, work)


async def mark_interrupted(
    services: WorkerServices, connection: Connection, cycle: Cycle, fence: Fence, away: DatabaseAway
) -> None:
    """Notes that the database went away under a cycle, if it is back by now; else the next cycle notes it."""
    with suppress(errors.TryAgain):
        await finish_early(services, connection, cycle, fence, CycleStatus.FAILED, str(away))


async def note_failure(
    services: WorkerServices, connection: Connection, fence: Fence, error: Exception
) -> Connection:
    """Puts the next cycle off, and the connection into quarantine where a person has to act."""
    now = services.clock()
    needs_human = isinstance(error, NeedsHuman)
    reason = f"{error} {error.remedy}" if isinstance(error, NeedsHuman) else str(error)

    async def work(conn: AsyncConnection) -> Connection:
        failed = await connections.note_failure(
            conn, connection.tenant_id, connection.id, reason, now, quarantine=needs_human
        )
        delay_s = error.delay_s if isinstance(error, TryAgain) else 0.0
        if retry_at := schedule.retry_at(failed, now, delay_s):
            await connections.schedule(conn, connection.tenant_id, connection.id, retry_at)
        return failed

    return await _under_lease(services, connection, fence, work)


def completeness_to_json(completeness: Completeness) -> dict[str, JsonValue]:
    """The proof as it is kept with the cycle."""
    body: dict[str, JsonValue] = asdict(completeness)
    body["token_roles"] = sorted(completeness.token_roles)
    body["missing_roles"] = sorted(completeness.missing_roles)
    return body
