"""Assessment results of users. No function deletes any (invariant I8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import NotFound
from store.keys import new_id, utc_now
from store.records import AssessmentResult, TenantId, UserId

_c = tables.assessment_results.c


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
    result = AssessmentResult(new_id(), tenant_id, user_id, title, score, taken_at or utc_now())
    user = select(tables.users.c.id).where(
        tables.users.c.id == user_id, tables.users.c.tenant_id == tenant_id
    )
    if (await conn.execute(user)).first() is None:
        raise NotFound("no such user")
    await conn.execute(
        insert(tables.assessment_results).values(
            id=result.id,
            tenant_id=tenant_id,
            user_id=user_id,
            title=title,
            score=score,
            taken_at=result.taken_at,
        )
    )
    return result


async def list_for_user(
    conn: AsyncConnection, tenant_id: TenantId, user_id: UserId
) -> list[AssessmentResult]:
    """Return a user's results, the newest first, of deprovisioned users too."""
    query = select(tables.assessment_results).where(_c.tenant_id == tenant_id, _c.user_id == user_id)
    rows = await conn.execute(query.order_by(_c.taken_at.desc(), _c.id))
    return [AssessmentResult(**row) for row in rows.mappings()]
