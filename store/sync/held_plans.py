"""Held plans: stored whole, waiting for a person to decide on exactly this checksum."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import NotFound, VersionMoved
from store.keys import new_id, utc_now
from store.records import ConnectionId, CycleId, HeldPlan, JsonValue, PlanId, PlanStatus, TenantId

_c = tables.plans.c


def _to_plan(row: RowMapping) -> HeldPlan:
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
    now: datetime | None = None,
) -> HeldPlan:
    """Store a plan for a person to decide, beside those that wait already.

    `body["keys"]` has the removal key of each row: a later cycle leaves these rows alone. A plan with the same
    checksum that still waits is kept, so that its age and expiry stay.
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
        created_at=now or utc_now(),
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
    return plan


_UNDECIDED = (PlanStatus.HELD.value, PlanStatus.APPROVED.value)
FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Expiry of a rejection that holds until the facts change."""


@dataclass(frozen=True, slots=True)
class DecidedRows:
    """Removal keys that no cycle judges again."""

    waiting: frozenset[str]
    """Rows of plans that wait, or that were approved and are not applied yet."""
    accepted: Mapping[str, str]
    """Rows that a person rejected, each with who decided and until when."""


async def decided_rows(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, now: datetime
) -> DecidedRows:
    """Return the rows of plans that wait or were rejected, by removal key, without those whose facts changed."""
    query = _in_force(tenant_id, connection_id, now)
    waiting: set[str] = set()
    accepted: dict[str, str] = {}
    for row in (await conn.execute(query)).mappings():
        keys = _live_keys(row)
        if row["status"] in _UNDECIDED:
            waiting.update(keys)
        else:
            accepted.update(dict.fromkeys(keys, _accepted_by(row)))
    return DecidedRows(frozenset(waiting), accepted)


async def end_rows(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    due: Collection[str],
    unread: Collection[str],
    now: datetime,
) -> None:
    """Forget the rows that are no longer due: their facts in Entra changed.

    `due` are the removal keys that a complete cycle found; rows of the accounts and groups in `unread` (our ids) were
    left alone by it and stay. A plan that waits and has no row left is superseded.
    """
    for row in (await conn.execute(_in_force(tenant_id, connection_id, now))).mappings():
        keys = _live_keys(row)
        over = {key for key in keys if key not in due and key.split(":")[1] not in unread}
        if not over:
            continue
        values: dict[str, Any] = {
            "body": {**row["body"], "ended": sorted({*row["body"].get("ended", ()), *over})}
        }
        if len(over) == len(keys) and row["status"] == PlanStatus.HELD.value:
            values["status"] = PlanStatus.SUPERSEDED.value
        await conn.execute(
            update(tables.plans).where(_c.tenant_id == tenant_id, _c.id == row["id"]).values(**values)
        )


def _in_force(tenant_id: TenantId, connection_id: ConnectionId, now: datetime) -> Select[Any]:
    statuses = (*_UNDECIDED, PlanStatus.REJECTED.value)
    return select(tables.plans).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.status.in_(statuses),
        _c.expires_at > now,
    )


def _live_keys(row: RowMapping) -> list[str]:
    ended = set(row["body"].get("ended", ()))
    return [key for key in row["body"].get("keys", ()) if key not in ended]


def _accepted_by(row: RowMapping) -> str:
    until = "" if row["expires_at"] >= FOR_EVER else f" until {row['expires_at']:%Y-%m-%d}"
    return f"Accepted risk: rejected by {row['decided_by']} on {row['decided_at']:%Y-%m-%d}{until}."


async def supersede(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> int:
    """Ends the plan that waits, because a later cycle saw the whole directory otherwise; gives how many."""
    waiting = update(tables.plans).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.status == PlanStatus.HELD.value
    )
    return (await conn.execute(waiting.values(status=PlanStatus.SUPERSEDED.value))).rowcount


async def get(conn: AsyncConnection, tenant_id: TenantId, plan_id: PlanId) -> HeldPlan:
    query = select(tables.plans).where(_c.tenant_id == tenant_id, _c.id == plan_id)
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound("no such plan: `leaver plan list` shows all")
    return _to_plan(row)


async def find(conn: AsyncConnection, reference: str, tenant_id: TenantId | None = None) -> HeldPlan:
    """Gives the plan with this id or checksum (its beginning is enough); raises `NotFound`. For the operator."""
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
    """Gives plans, the newest first."""
    query = select(tables.plans).where(_c.tenant_id == tenant_id)
    if connection_id is not None:
        query = query.where(_c.connection_id == connection_id)
    if status is not None:
        query = query.where(_c.status == status.value)
    rows = await conn.execute(query.order_by(_c.created_at.desc(), _c.id).limit(limit))
    return [_to_plan(row) for row in rows.mappings()]


@dataclass(frozen=True, slots=True)
class RemainingRows:
    """The rows of a held plan that a decision about some rows leaves waiting."""

    checksum: str
    body: Mapping[str, JsonValue]
    decided_keys: Sequence[str]
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
    now: datetime | None = None,
    until: datetime | None = None,
    rest: RemainingRows | None = None,
) -> HeldPlan:
    """Approves or rejects a held plan, or notes that an approved one was applied.

    Raises `NotFound`, and `VersionMoved` if the checksum is another or the plan no longer waits (decided, expired).
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
    decided = await get(conn, tenant_id, plan_id)
    if rest is not None:
        await _keep_waiting(conn, decided, rest, at)
    return decided


async def _keep_waiting(conn: AsyncConnection, decided: HeldPlan, rest: RemainingRows, at: datetime) -> None:
    """Leave the rows that were not decided held, as a plan of their own that expires when the whole would have."""
    mine = {**decided.body, "keys": rest.decided_keys}
    await conn.execute(
        update(tables.plans).where(_c.tenant_id == decided.tenant_id, _c.id == decided.id).values(body=mine)
    )
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


async def expire(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, now: datetime
) -> int:
    """Ends the plans whose time is over; gives how many."""
    over = (
        update(tables.plans)
        .where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
        .where(_c.status == PlanStatus.HELD.value, _c.expires_at <= now)
        .values(status=PlanStatus.EXPIRED.value)
    )
    return (await conn.execute(over)).rowcount
