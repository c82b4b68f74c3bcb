"""Held plans: who waits, and what a person decides."""

from __future__ import annotations

import getpass
from collections.abc import Sequence

from console import references
from console.services import Services
from store import plans, tenants
from store.records import HeldPlan, PlanStatus


async def waiting(
    services: Services, connection_reference: str | None, *, everything: bool
) -> Sequence[HeldPlan]:
    """Gives held plans, the newest first; with `everything` decided and expired ones too."""
    status = None if everything else PlanStatus.HELD
    async with services.db.reading() as conn:
        if connection_reference is not None:
            found = await references.connection(conn, connection_reference)
            return await plans.list_for(conn, found.tenant_id, found.id, status=status)
        each = [await plans.list_for(conn, t.id, status=status) for t in await tenants.list_all(conn)]
        return sorted((plan for some in each for plan in some), key=lambda p: p.created_at, reverse=True)


async def decide(services: Services, reference: str, *, approve: bool, by: str | None) -> HeldPlan:
    """Approves or rejects exactly the plan that is named; raises `VersionMoved` if it waits no longer."""
    async with services.db.reading() as conn:
        plan = await references.plan(conn, reference)
    status = PlanStatus.APPROVED if approve else PlanStatus.REJECTED
    return await services.db.write(
        lambda conn: plans.decide(
            conn, plan.tenant_id, plan.id, status, checksum=plan.checksum, by=by or _this_person()
        )
    )


def _this_person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number without a name
        return "operator"
