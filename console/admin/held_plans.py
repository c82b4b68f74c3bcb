"""Held plans: who waits, and what a person decides."""

from __future__ import annotations

import getpass
from collections.abc import Collection, Sequence

from console.admin import references
from console.admin.services import Services
from store.records import HeldPlan, PlanStatus
from store.sync import held_plans as plans
from store.tenancy import tenants
from worker.cycle import held_plans
from worker.cycle.held_plans import Decided
from worker.services import build_services


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


async def approve(services: Services, reference: str, rows: Collection[int], by: str | None) -> Decided:
    """Approves exactly the plan that is named, or some of its rows, and applies it now.

    Raises `VersionMoved` if it waits no longer, `WorkerError` where it cannot be applied now.
    """
    plan = await _plan(services, reference)
    return await held_plans.approve(
        build_services(services.settings, services.db),
        plan,
        checksum=plan.checksum,
        by=by or _this_person(),
        rows=rows or None,
    )


async def reject(services: Services, reference: str, by: str | None) -> HeldPlan:
    """Rejects exactly the plan that is named; raises `VersionMoved` if it waits no longer."""
    plan = await _plan(services, reference)
    worker = build_services(services.settings, services.db)
    return await held_plans.reject(worker, plan, checksum=plan.checksum, by=by or _this_person())


async def _plan(services: Services, reference: str) -> HeldPlan:
    async with services.db.reading() as conn:
        return await references.plan(conn, reference)


def _this_person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number without a name
        return "operator"
