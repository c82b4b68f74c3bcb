"""Assessment results of users. No function deletes any (invariant I8).

They belong to the account and its holder: a later holder of the account does not see
them (invariant I10).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
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

    Of a deprovisioned user too. Under a seal only those since: whose the earlier ones
    are is not known.
    """
    query = _of_user(tenant_id, user_id).join(
        tables.users, (_u.id == _c.user_id) & (_u.tenant_id == _c.tenant_id)
    )
    query = query.where(
        _c.holder_number == _u.holder_number, or_(_u.sealed_at.is_(None), _c.taken_at >= _u.sealed_at)
    )
    return await _read(conn, query)


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
