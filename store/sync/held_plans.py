"""Held plans: stored whole until a person decides on exactly this checksum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import Row, fetch
from store.errors import NotFound, VersionMoved
from store.keys import new_id, utc_now
from store.logs import audit_log, events
from store.records import ConnectionId, CycleId, HeldPlan, JsonValue, PlanId, PlanStatus, TenantId

_c = tables.plans.c

FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Expiry of a rejection that holds until the facts change."""


_OVER = select(tables.plans).where(
    _c.tenant_id == bindparam("of_tenant"),
    _c.connection_id == bindparam("of_connection"),
    _c.status == PlanStatus.HELD.value,
    _c.expires_at <= bindparam("now"),
)


def _to_plan(row: Row | RowMapping) -> HeldPlan:
    fields: dict[str, Any] = dict(row)
    fields["status"] = PlanStatus(row["status"])
    return HeldPlan(**fields)


async def hold(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_id: CycleId,
    checksum: str,
    reason: str,
    body: Mapping[str, JsonValue],
    expires_at: datetime,
    *,
    since: datetime | None = None,
    now: datetime | None = None,
) -> HeldPlan:
    """Store a plan for a person to decide, beside those that wait already.

    `body["keys"]` has the removal key of each row: a later cycle leaves these rows
    alone (`store.sync.guard_memory`). A waiting plan with the same checksum is kept, so
    that its age and expiry stay.
    """
    waiting = await list_for(conn, tenant_id, connection_id, status=PlanStatus.HELD)
    for plan in waiting:
        if plan.checksum == checksum:
            return plan
    plan = HeldPlan(
        id=PlanId(new_id()),
        tenant_id=tenant_id,
        connection_id=connection_id,
        cycle_id=cycle_id,
        checksum=checksum,
        status=PlanStatus.HELD,
        reason=reason,
        body=body,
        created_at=since or now or utc_now(),
        expires_at=expires_at,
    )
    await conn.execute(
        insert(tables.plans).values(
            id=plan.id,
            tenant_id=tenant_id,
            connection_id=connection_id,
            cycle_id=cycle_id,
            checksum=checksum,
            status=plan.status.value,
            reason=reason,
            body=body,
            created_at=plan.created_at,
            expires_at=expires_at,
        )
    )
    detail: dict[str, JsonValue] = {"checksum": checksum, "reason": reason, "rows": _row_count(body)}
    await _tell(conn, plan, "plan.held", {**detail, "expiresAt": expires_at.isoformat()}, now or utc_now())
    return plan


async def supersede(
    conn: AsyncConnection,
    earlier: HeldPlan,
    cycle_id: CycleId,
    checksum: str,
    reason: str,
    body: Mapping[str, JsonValue],
    *,
    now: datetime,
) -> HeldPlan:
    """Hold a plan in the place of one that waits; its age and its expiry stay."""
    if checksum == earlier.checksum:
        return earlier
    of_earlier = (_c.tenant_id == earlier.tenant_id, _c.id == earlier.id)
    await conn.execute(update(tables.plans).where(*of_earlier).values(status=PlanStatus.SUPERSEDED.value))
    return await hold(
        conn,
        earlier.tenant_id,
        earlier.connection_id,
        cycle_id,
        checksum,
        reason,
        body,
        earlier.expires_at,
        since=earlier.created_at,
        now=now,
    )


def _row_count(body: Mapping[str, JsonValue]) -> int:
    rows = body.get("keys") or body.get("changes") or ()
    return len(rows) if isinstance(rows, list) else 0


async def _tell(
    conn: AsyncConnection, plan: HeldPlan, event_type: str, detail: Mapping[str, JsonValue], at: datetime
) -> None:
    payload = {"cycleId": plan.cycle_id, **detail}
    await events.add(conn, plan.tenant_id, plan.connection_id, event_type, plan.id, payload, now=at)


async def get(conn: AsyncConnection, tenant_id: TenantId, plan_id: PlanId) -> HeldPlan:
    query = select(tables.plans).where(_c.tenant_id == tenant_id, _c.id == plan_id)
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound("no such plan: `leaver plan list` shows all")
    return _to_plan(row)


async def find(conn: AsyncConnection, reference: str, tenant_id: TenantId | None = None) -> HeldPlan:
    """Return the plan with this id or checksum, of which the beginning is enough.

    Raises `NotFound`. For the operator.
    """
    query = select(tables.plans).where(
        (_c.id == reference) | _c.checksum.startswith(reference, autoescape=True)
    )
    if tenant_id is not None:
        query = query.where(_c.tenant_id == tenant_id)
    row = (await conn.execute(query.order_by(_c.created_at.desc()).limit(1))).mappings().first()
    if row is None or not reference:
        raise NotFound("no such plan: `leaver plan list` shows all")
    return _to_plan(row)


async def list_for(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId | None = None,
    *,
    status: PlanStatus | None = None,
    limit: int = 100,
) -> list[HeldPlan]:
    """Return plans, the newest first."""
    query = select(tables.plans).where(_c.tenant_id == tenant_id)
    if connection_id is not None:
        query = query.where(_c.connection_id == connection_id)
    if status is not None:
        query = query.where(_c.status == status.value)
    rows = await conn.execute(query.order_by(_c.created_at.desc(), _c.id).limit(limit))
    return [_to_plan(row) for row in rows.mappings()]


async def count_waiting(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> int:
    """Count the plans of a connection that wait for a decision."""
    query = select(func.count()).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.status == PlanStatus.HELD.value
    )
    found: int = (await conn.execute(query)).scalar_one()
    return found


@dataclass(frozen=True, slots=True)
class RemainingRows:
    """The rows of a held plan that a decision about other rows leaves waiting."""

    checksum: str
    body: Mapping[str, JsonValue]
    decided_keys: Sequence[str]
    decided_rows: Sequence[int]
    """The numbers of the rows that were decided, in the order of the plan."""
    expires_at: datetime


_BEFORE = {
    PlanStatus.APPROVED: PlanStatus.HELD,
    PlanStatus.REJECTED: PlanStatus.HELD,
    PlanStatus.APPLIED: PlanStatus.APPROVED,
}


async def decide(
    conn: AsyncConnection,
    tenant_id: TenantId,
    plan_id: PlanId,
    status: PlanStatus,
    *,
    checksum: str,
    by: str,
    actor: str = audit_log.NOBODY,
    note: Mapping[str, JsonValue] | None = None,
    outcomes: Mapping[str, JsonValue] | None = None,
    until: datetime | None = None,
    rest: RemainingRows | None = None,
    now: datetime | None = None,
) -> HeldPlan:
    """Approve or reject a held plan, or record that an approved one was applied.

    The same transaction writes the audit entry of `actor`, with `note` in its detail,
    keeps the `outcomes` of rows by their number, and leaves the rows in `rest` waiting.
    A rejection holds until the facts change, or until `until`. Raises `NotFound`, and
    `VersionMoved` if the checksum differs or the plan no longer waits (decided,
    expired).
    """
    at = now or utc_now()
    wanted = update(tables.plans).where(
        _c.tenant_id == tenant_id,
        _c.id == plan_id,
        _c.checksum == checksum,
        _c.status == _BEFORE[status].value,
    )
    values: dict[str, object] = {"status": status.value}
    if status is not PlanStatus.APPLIED:
        wanted = wanted.where(_c.expires_at > at)
        values |= {"decided_at": at, "decided_by": by}
    if status is PlanStatus.REJECTED:
        values["expires_at"] = until or FOR_EVER
    if (await conn.execute(wanted.values(**values))).rowcount == 0:
        plan = await get(conn, tenant_id, plan_id)
        raise VersionMoved(
            f"the plan is {plan.status.value}, expires {plan.expires_at:%Y-%m-%d %H:%M} UTC and has the checksum "
            f"{plan.checksum[:12]}: look at it again with `leaver plan show`"
        )
    plan = await get(conn, tenant_id, plan_id)
    await audit_log.record(
        conn,
        tenant_id,
        plan.connection_id,
        actor,
        f"plan.{status.value}",
        plan.id,
        f"plan {checksum[:12]}",
        {"checksum": checksum, "by": by, **(note or {})},
        now=at,
    )
    if status is not PlanStatus.APPLIED:
        decided: dict[str, JsonValue] = {"checksum": checksum, "status": status.value, "by": by}
        await _tell(conn, plan, "plan.decided", {**decided, **(note or {})}, at)
    if outcomes is not None:
        plan = await _add_to_body(conn, plan, {"outcomes": dict(outcomes)})
    return plan if rest is None else await _keep_waiting(conn, plan, rest, at)


async def note_job(conn: AsyncConnection, tenant_id: TenantId, plan_id: PlanId, job_id: str) -> None:
    """Note which job of a worker applies a decided plan: so it is found again."""
    decided = (_c.tenant_id == tenant_id, _c.id == plan_id, _c.decided_at.is_not(None))
    await conn.execute(update(tables.plans).where(*decided).values(job_id=job_id))


async def _keep_waiting(
    conn: AsyncConnection, decided: HeldPlan, rest: RemainingRows, at: datetime
) -> HeldPlan:
    """Hold the rows that were not decided as a plan that expires when the whole would
    have.
    """
    keys: list[JsonValue] = list(rest.decided_keys)
    rows: list[JsonValue] = list(rest.decided_rows)
    decided = await _add_to_body(conn, decided, {"keys": keys, "rows": rows, "rest": rest.checksum})
    await hold(
        conn,
        decided.tenant_id,
        decided.connection_id,
        decided.cycle_id,
        rest.checksum,
        decided.reason,
        rest.body,
        rest.expires_at,
        now=at,
    )
    return decided


async def _add_to_body(conn: AsyncConnection, plan: HeldPlan, facts: Mapping[str, JsonValue]) -> HeldPlan:
    """Write facts about a plan beside its changes, which its checksum covers."""
    body = {**plan.body, **facts}
    await conn.execute(
        update(tables.plans).where(_c.tenant_id == plan.tenant_id, _c.id == plan.id).values(body=body)
    )
    return replace(plan, body=body)


async def expire(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, now: datetime
) -> int:
    """Expire the waiting plans whose time has ended; return how many."""
    values = {"of_tenant": tenant_id, "of_connection": connection_id, "now": now}
    over = list(map(_to_plan, await fetch(conn, _OVER, values)))
    for plan in over:
        await conn.execute(
            update(tables.plans)
            .where(_c.tenant_id == tenant_id, _c.id == plan.id, _c.status == PlanStatus.HELD.value)
            .values(status=PlanStatus.EXPIRED.value)
        )
        await _tell(conn, plan, "plan.expired", {"checksum": plan.checksum}, now)
    return len(over)
