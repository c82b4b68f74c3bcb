"""Approve or reject a held plan by its checksum: exactly that plan is applied, or
nothing of it.

An approved plan is old by then. So every subject in it is re-read once more in Graph,
and only absentees that are still gone are removed; every change carries the version it
was planned on, so that a row that moved since is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from store.logs import audit_log
from store.records import (
    Cause,
    Connection,
    CycleKind,
    HeldPlan,
    JsonValue,
    Origin,
    OutcomeStatus,
    PlanId,
    PlanStatus,
)
from store.sync import held_plans
from store.sync.held_plans import RemainingRows
from worker.apply import findings
from worker.apply.apply_plan import Applied, apply
from worker.apply.leaver_evidence import load_leaver_facts
from worker.apply.removal_evidence import reverification, verify_now
from worker.cycle import checkpoint
from worker.cycle.record import cycle_record
from worker.errors import Terminal
from worker.locks.hold import Hold
from worker.progress import Watch, ignore_progress
from worker.reconcile import guard
from worker.reconcile.plan import Change, Dropped, Plan
from worker.reconcile.plan_json import PlanUnreadable, plan_from_json
from worker.services import WorkerServices

LEFT_ALONE = "left_alone"
"""State of an approved row that Entra's answer of then spoke against."""
NOT_DONE = (LEFT_ALONE, OutcomeStatus.SKIPPED.value, OutcomeStatus.FAILED.value)

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
    waiting: int = 0
    """How many rows of the plan were not decided and go on waiting."""


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
    until: datetime | None = None
    """With `rejected`: the date until which the risk is accepted."""
    rest: RemainingRows | None = None
    """The rows that are left waiting."""
    outcomes: Mapping[str, JsonValue] | None = None
    """With `applied`: the outcome of each row, by its number."""


async def approve(
    services: WorkerServices,
    held: HeldPlan,
    *,
    checksum: str,
    by: str,
    rows: Collection[int] | None = None,
    actor: str = audit_log.NOBODY,
) -> HeldPlan:
    """Approve the plan, whole or the rows of these numbers (from 0, in its order);
    `apply_approved` applies it.

    A plan that was approved and whose applying broke off stays as it is. Raises
    `VersionMoved` if it waits no longer or the checksum is another, `Terminal` for an
    unknown row.
    """
    _chosen(held, rows)
    if checksum == held.checksum and held.status is PlanStatus.APPROVED and rows is None:
        return held
    note: dict[str, JsonValue] = {} if rows is None else {"rows": sorted(set(rows))}
    decision = _Decision(PlanStatus.APPROVED, checksum, by, actor, note, rest=_rest(held, rows))
    return await _decide(services, held, decision)


async def apply_approved(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    plan_id: PlanId,
    actor: str = audit_log.NOBODY,
    watch: Watch = ignore_progress,
) -> Decided:
    """Apply the approved rows of a plan under the lease, or what is left of them.

    Raises `Terminal` for a plan that is not approved or was applied already, and
    `WorkerError` if it cannot be applied now: it stays approved.
    """
    async with services.db.reading() as conn:
        held = await held_plans.get(conn, connection.tenant_id, plan_id)
    if held.status is not PlanStatus.APPROVED:
        raise Terminal(f"The plan is {held.status.value}: only an approved plan is applied.")
    decided = await _apply(services, connection, hold, held, actor, watch)
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
    actor: str = audit_log.NOBODY,
) -> HeldPlan:
    """Reject the plan, whole or the rows of these numbers: an accepted risk.

    No cycle judges these rows again until their facts in Entra change, or until the
    date. Raises `VersionMoved` if the plan waits no longer or the checksum is another,
    `Terminal` for an unknown row and for a date that has passed.
    """
    if until is not None and until <= services.clock():
        raise Terminal(f"{until:%Y-%m-%d %H:%M} UTC has passed: choose a later date, or none.")
    if rows is not None:
        _chosen(held, rows)
    note: dict[str, JsonValue] = {} if rows is None else {"rows": sorted(set(rows))}
    note |= {} if until is None else {"until": until.isoformat()}
    decision = _Decision(PlanStatus.REJECTED, checksum, by, actor, note, until, _rest(held, rows))
    return await _decide(services, held, decision)


def _rest(held: HeldPlan, rows: Collection[int] | None) -> RemainingRows | None:
    """Return the rows that a decision about `rows` leaves waiting; None if it decides
    all.
    """
    if rows is None:
        return None
    frozen = plan_from_json(held.body)
    left = [number for number in range(len(frozen.changes)) if number not in set(rows)]
    if not left:
        return None
    keys = held.body.get("keys") or [change.removal_key for change in frozen.changes]
    assert isinstance(keys, list)
    plan = frozen.subset([frozen.changes[number] for number in left])
    chosen = sorted(set(rows))
    body = {**plan.to_json(), "keys": [keys[number] for number in left]}
    body |= {"sheet": held.body["sheet"]} if "sheet" in held.body else {}
    decided = [str(keys[number]) for number in chosen]
    return RemainingRows(plan.checksum, body, decided, chosen, held.expires_at)


def _decided_rows(held: HeldPlan) -> list[int] | None:
    """Return the rows that a person approved of a plan; None for all of them."""
    rows = held.body.get("rows")
    return [int(str(number)) for number in rows] if isinstance(rows, list) else None


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
    actor: str,
    watch: Watch,
) -> Decided:
    chosen, by = _chosen(held, _decided_rows(held)), held.decided_by or actor
    async with cycle_record(services, connection, hold, CycleKind.ON_DEMAND, watch) as record:
        record.report_progress("evidence", 0, None)
        age, evidence = await verify_now(services, connection, chosen.absentees)
        partition = guard.partition_approved(chosen, evidence)
        async with services.db.reading() as conn:
            facts = await load_leaver_facts(conn, connection, chosen.changes)

        async def safe_point(done: int) -> None:
            record.report_progress("apply", done, len(partition.apply))
            await hold.checkpoint_or_yield()

        await safe_point(0)
        applied = await apply(
            services.db,
            connection,
            partition.apply,
            Cause(Origin.GRAPH, record.cycle.id, by, hold.fence, age),
            safe_point,
            clock=services.clock,
            reverify=reverification(services, connection, chosen),
        )
        if applied.skipped or partition.dropped:
            # These rows wait nowhere now: an increment would not look at them again.
            await record.under_lease(lambda conn: checkpoint.forget(conn, connection))
        repaired = findings.repaired(chosen, partition, applied, evidence, services.clock(), by, facts)
        await record.finish_on_demand(applied, repaired)
    if record.failure is not None:
        raise record.failure
    done: dict[str, JsonValue] = {action.value: number for action, number in applied.counts.items()}
    outcomes = _outcomes(held, applied, partition.dropped)
    decision = _Decision(PlanStatus.APPLIED, held.checksum, by, actor, {"applied": done}, outcomes=outcomes)
    held = await _decide(services, held, decision)
    return Decided(
        held, applied, partition.dropped, len(plan_from_json(held.body).changes) - len(chosen.changes)
    )


def _outcomes(held: HeldPlan, applied: Applied, dropped: Collection[Dropped]) -> Mapping[str, JsonValue]:
    """Return what became of each approved row, by its number in the plan."""
    numbers = {_identity(change): str(n) for n, change in enumerate(plan_from_json(held.body).changes)}
    outcomes: dict[str, JsonValue] = {}
    for place, (change, status) in enumerate(zip(applied.changes, applied.statuses, strict=True)):
        outcomes[numbers[_identity(change)]] = {"state": status.value, "why": applied.details.get(place, "")}
    for row in dropped:
        outcomes[numbers[_identity(row.change)]] = {"state": LEFT_ALONE, "why": row.why}
    return outcomes


def _identity(change: Change) -> tuple[str, ...]:
    """Return what a change is about: the re-reading may have given another reason."""
    member = change.member.key if change.member else ""
    return change.action.value, change.subject.local_id or change.subject.key, member


def report_of(plan: HeldPlan) -> dict[str, JsonValue]:
    """Return what came of an applied plan, in numbers and without names."""
    body: Any = plan.body
    changes, outcomes = body.get("changes", []), body.get("outcomes", {})
    states = {number: outcome["state"] for number, outcome in outcomes.items()}
    done = Counter(
        changes[int(number)]["action"] for number, state in states.items() if state == OutcomeStatus.APPLIED
    )
    applied: dict[str, JsonValue] = dict(done)
    return {
        "plan_id": plan.id,
        "status": plan.status.value,
        "applied": applied,
        "left_alone": sum(state in NOT_DONE for state in states.values()),
        "waiting": len(changes) - len(body.get("rows", changes)),
    }


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
            outcomes=decision.outcomes,
            until=decision.until,
            rest=decision.rest,
            now=now,
        )
    )
