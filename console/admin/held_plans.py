"""List, show, approve and reject held plans."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from console.admin.actor import Actor, requires
from console.admin.references import find_connection, find_plan, visible_tenants
from console.admin.services import Services
from store.records import HeldPlan, PlanStatus
from store.sync import held_plans as stored_plans
from worker.cycle import held_plans
from worker.cycle.held_plans import Decided
from worker.services import build_services


async def list_all(
    services: Services,
    actor: Actor,
    connection: str | None = None,
    *,
    all_states: bool = False,
    status: PlanStatus = PlanStatus.HELD,
) -> Sequence[HeldPlan]:
    """Return the plans of a status, the newest first; by default those that wait.

    With `all_states` decided and expired plans are returned too.
    """
    wanted = None if all_states else status
    async with services.db.reading() as conn:
        if connection is not None:
            found = await find_connection(conn, actor, connection)
            return await stored_plans.list_for(conn, found.tenant_id, found.id, status=wanted)
        plans = [
            plan
            for tenant in await visible_tenants(conn, actor)
            for plan in await stored_plans.list_for(conn, tenant.id, status=wanted)
        ]
    return sorted(plans, key=lambda plan: plan.created_at, reverse=True)


async def show(services: Services, actor: Actor, plan: str) -> HeldPlan:
    """Return one plan with every change that it would make."""
    async with services.db.reading() as conn:
        return await find_plan(conn, actor, plan)


@requires("admin:sync:approve", recent=True)
async def approve(
    services: Services, actor: Actor, plan: str, *, rows: Collection[int] = (), by: str | None = None
) -> Decided:
    """Approve exactly this plan, or some of its rows, and apply it now.

    `by` names the person who decided; the default is the actor. Raises `VersionMoved`
    if the plan no longer waits, `WorkerError` where it cannot be applied now.
    """
    found = await show(services, actor, plan)
    return await held_plans.approve(
        build_services(services.settings, services.db),
        found,
        checksum=found.checksum,
        by=by or actor.name,
        rows=rows or None,
        actor=actor.label,
    )


@requires("admin:sync:approve")
async def reject(
    services: Services,
    actor: Actor,
    plan: str,
    *,
    rows: Collection[int] = (),
    until: datetime | None = None,
    by: str | None = None,
) -> HeldPlan:
    """Reject exactly this plan, or some of its rows: an accepted risk.

    It holds until the facts in Entra change, or until the date. Raises `VersionMoved`
    if the plan no longer waits, `WorkerError` for an unknown row or a past date.
    """
    found = await show(services, actor, plan)
    return await held_plans.reject(
        build_services(services.settings, services.db),
        found,
        checksum=found.checksum,
        rows=rows or None,
        until=until,
        by=by or actor.name,
        actor=actor.label,
    )
