"""Assessment results of users, kept when the account ends (invariant I8).

They belong to the account and its holder: a later holder of the account does not see
them (invariant I10). Only an explicit erasure, or the operator's retention, deletes
any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory import joined_holders, people
from store.directory.joined_holders import Holder
from store.directory.people import ProvedHolder
from store.errors import NotFound, UniquenessConflict
from store.keys import new_id, utc_now
from store.records import AssessmentResult, Erasure, HolderBasis, JsonValue, TenantId, UserId

_c = tables.assessment_results.c
_e = tables.erasures.c
_u = tables.users.c


@dataclass(frozen=True, slots=True)
class ResultDetails:
    """What a result may have beside title and score."""

    taken_at: datetime | None = None
    document: Mapping[str, JsonValue] | None = None
    idempotency_key: str | None = None
    """A second write with this key returns the first result."""


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user_id: UserId,
    title: str,
    score: int,
    *,
    taken_at: datetime | None = None,
    details: ResultDetails | None = None,
) -> AssessmentResult:
    """Save a result of the account's present holder.

    Raises `NotFound` if the tenant never had this user, and `UniquenessConflict` if the
    idempotency key was used for another result of the same holder.
    """
    query = select(_u.holder_number).where(_u.id == user_id, _u.tenant_id == tenant_id)
    number = (await conn.execute(query.with_for_update())).scalar_one_or_none()
    if number is None:
        raise NotFound("no such user")
    more, at = details or ResultDetails(), utc_now()
    key = more.idempotency_key
    known = await _with_key(conn, tenant_id, user_id, number, key) if key else None
    if known is not None:
        if (known.title, known.score, known.document) != (title, score, more.document):
            raise UniquenessConflict("idempotencyKey", str(key))
        return known
    values: dict[str, Any] = {
        "id": new_id(),
        "tenant_id": tenant_id,
        "user_id": user_id,
        "title": title,
        "score": score,
        "taken_at": more.taken_at or taken_at or at,
        "recorded_at": at,
        "document": more.document,
        "idempotency_key": key,
        "holder_number": number,
    }
    await conn.execute(insert(tables.assessment_results).values(values))
    return AssessmentResult(**values)


async def list_for_user(
    conn: AsyncConnection, tenant_id: TenantId, user_id: UserId
) -> list[AssessmentResult]:
    """Return the results of the account's present holder, the newest first.

    Of a deprovisioned user too, of every account of the tenant that a proof gives to
    the same person, and of every holder that a person declared to be the same one.
    Under a seal only those since: whose the earlier ones are is not known.
    """
    present = select(
        *(_u.holder_number, _u.sealed_at, _u.directory_id, _u.entra_object_id, _u.holder_basis)
    ).where(_u.tenant_id == tenant_id, _u.id == user_id)
    row = (await conn.execute(present)).first()
    if row is None:
        return []
    if row.sealed_at is not None:
        query = _of_user(tenant_id, user_id).where(_c.holder_number == row.holder_number)
        return await _read(conn, query.where(_c.recorded_at >= row.sealed_at))
    present_holder = Holder(user_id, row.holder_number)
    everyone = [present_holder, *sorted(await joined_holders.same_person(conn, tenant_id, present_holder))]
    theirs = [and_(_c.user_id == each.user_id, _c.holder_number == each.number) for each in everyone]
    if row.directory_id and row.holder_basis == HolderBasis.PROOF.value:
        proved = await people.proved_holders(conn, tenant_id, row.directory_id, row.entra_object_id)
        theirs += map(_of_holder, proved)
    query = select(tables.assessment_results).where(_c.tenant_id == tenant_id, or_(*theirs))
    return await _read(conn, query.order_by(_c.taken_at.desc(), _c.id))


def _of_holder(holder: ProvedHolder) -> ColumnElement[bool]:
    mine = and_(_c.user_id == holder.user_id, _c.holder_number == holder.number)
    return mine if holder.sealed_at is None else mine & (_c.recorded_at < holder.sealed_at)


async def list_for_holder(
    conn: AsyncConnection, tenant_id: TenantId, user_id: UserId, holder_number: int
) -> list[AssessmentResult]:
    """Return the results of one of the account's holders, for an admin."""
    return await _read(conn, _of_user(tenant_id, user_id).where(_c.holder_number == holder_number))


async def erase(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user_id: UserId,
    holder_number: int,
    *,
    actor: str,
    reason: str,
    now: datetime | None = None,
) -> Erasure | None:
    """Erase the results of one holder for good, and keep only the trace of it.

    None if the tenant never had this user.
    """
    known = select(_u.id).where(_u.id == user_id, _u.tenant_id == tenant_id)
    if (await conn.execute(known)).first() is None:
        return None
    erased = await conn.execute(
        delete(tables.assessment_results).where(
            _c.tenant_id == tenant_id, _c.user_id == user_id, _c.holder_number == holder_number
        )
    )
    trace = Erasure(
        new_id(), tenant_id, user_id, holder_number, now or utc_now(), actor, reason, erased.rowcount
    )
    await conn.execute(
        insert(tables.erasures).values(
            id=trace.id,
            tenant_id=tenant_id,
            user_id=user_id,
            holder_number=holder_number,
            at=trace.at,
            actor=actor,
            reason=reason,
            results=trace.results,
        )
    )
    return trace


async def erasures(conn: AsyncConnection, tenant_id: TenantId, user_id: UserId) -> list[Erasure]:
    """Return what was erased of an account, the newest first."""
    query = select(tables.erasures).where(_e.tenant_id == tenant_id, _e.user_id == user_id)
    rows = await conn.execute(query.order_by(_e.at.desc(), _e.id))
    return [Erasure(**row) for row in rows.mappings()]


async def _with_key(
    conn: AsyncConnection, tenant_id: TenantId, user_id: UserId, holder_number: int, key: str
) -> AssessmentResult | None:
    query = _of_user(tenant_id, user_id).where(_c.holder_number == holder_number, _c.idempotency_key == key)
    found = await _read(conn, query)
    return found[0] if found else None


def _of_user(tenant_id: TenantId, user_id: UserId) -> Select[Any]:
    query = select(tables.assessment_results).where(_c.tenant_id == tenant_id, _c.user_id == user_id)
    return query.order_by(_c.taken_at.desc(), _c.id)


async def _read(conn: AsyncConnection, query: Select[Any]) -> list[AssessmentResult]:
    return [AssessmentResult(**row) for row in (await conn.execute(query)).mappings()]
