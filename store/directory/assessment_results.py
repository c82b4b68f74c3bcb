"""Assessment results of users. No function deletes any (invariant I8).

They belong to the account and its holder: a later holder of the account does not see
them (invariant I10).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory import joined_holders
from store.directory.joined_holders import Holder
from store.errors import NotFound
from store.keys import new_id, utc_now
from store.records import AssessmentResult, TenantId, UserId

_c = tables.assessment_results.c
_u = tables.users.c


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user_id: UserId,
    title: str,
    score: int,
    *,
    taken_at: datetime | None = None,
) -> AssessmentResult:
    """Save a result; raise `NotFound` if the tenant never had this user."""
    query = select(_u.holder_number).where(_u.id == user_id, _u.tenant_id == tenant_id)
    number = (await conn.execute(query)).scalar_one_or_none()
    if number is None:
        raise NotFound("no such user")
    result = AssessmentResult(new_id(), tenant_id, user_id, title, score, taken_at or utc_now(), number)
    await conn.execute(
        insert(tables.assessment_results).values(
            id=result.id,
            tenant_id=tenant_id,
            user_id=user_id,
            title=title,
            score=score,
            taken_at=result.taken_at,
            holder_number=result.holder_number,
        )
    )
    return result


async def list_for_user(
    conn: AsyncConnection, tenant_id: TenantId, user_id: UserId
) -> list[AssessmentResult]:
    """Return the results of the account's present holder, the newest first.

    Of a deprovisioned user too, and of every holder that a person declared to be the
    same one. Under a seal only those since: whose the earlier ones are is not known.
    """
    present = select(_u.holder_number, _u.sealed_at).where(_u.tenant_id == tenant_id, _u.id == user_id)
    row = (await conn.execute(present)).first()
    if row is None:
        return []
    if row.sealed_at is not None:
        query = _of_user(tenant_id, user_id).where(_c.holder_number == row.holder_number)
        return await _read(conn, query.where(_c.taken_at >= row.sealed_at))
    present_holder = Holder(user_id, row.holder_number)
    everyone = [present_holder, *sorted(await joined_holders.same_person(conn, tenant_id, present_holder))]
    theirs = [and_(_c.user_id == each.user_id, _c.holder_number == each.number) for each in everyone]
    query = select(tables.assessment_results).where(_c.tenant_id == tenant_id, or_(*theirs))
    return await _read(conn, query.order_by(_c.taken_at.desc(), _c.id))


async def list_for_holder(
    conn: AsyncConnection, tenant_id: TenantId, user_id: UserId, holder_number: int
) -> list[AssessmentResult]:
    """Return the results of one of the account's holders, for an admin."""
    return await _read(conn, _of_user(tenant_id, user_id).where(_c.holder_number == holder_number))


def _of_user(tenant_id: TenantId, user_id: UserId) -> Select[Any]:
    query = select(tables.assessment_results).where(_c.tenant_id == tenant_id, _c.user_id == user_id)
    return query.order_by(_c.taken_at.desc(), _c.id)


async def _read(conn: AsyncConnection, query: Select[Any]) -> list[AssessmentResult]:
    return [AssessmentResult(**row) for row in (await conn.execute(query)).mappings()]
