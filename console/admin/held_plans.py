"""List, show, approve and reject held plans."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from console.admin import runs
from console.admin.actor import Actor, requires
from console.admin.references import find_connection, find_plan, visible_tenants
from console.admin.run_now import RunObserver
from console.admin.runs import RequestedRun
from console.admin.services import Services
from store.records import HeldPlan, PlanStatus
from store.sync import held_plans as stored_plans
from worker.cycle import held_plans
from worker.jobs import dispatch, requests
from worker.jobs.queue import JobKind
from worker.locks.worker_presence import is_worker_alive
from worker.services import WorkerServices, build_services


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
    services: Services,
    actor: Actor,
    plan: str,
    *,
    rows: Collection[int] = (),
    by: str | None = None,
    observer: RunObserver | None = None,
) -> HeldPlan:
    """Approve exactly this plan, or some of its rows, and apply it: by a running
    worker, else in this process.

    `by` names the person who decided; the default is the actor. Raises `VersionMoved`
    if the plan no longer waits, `WorkerError` where it cannot be applied now: it stays
    approved.
    """
    found = await show(services, actor, plan)
    if not await is_worker_alive(services.settings.database_url):
        services.sealer()  # it is applied here and needs the key: raise before it is approved
    approved = await _approve(services, actor, found, rows, by)
    async with services.db.reading() as conn:
        connection = await find_connection(conn, actor, found.connection_id)
    with (observer or RunObserver()).watching(connection) as watch:
        await dispatch.apply_plan(_of_worker(services), approved, actor.label, watch)
    return await show(services, actor, found.id)


@requires("admin:sync:approve", recent=True)
async def request_approval(
    services: Services, actor: Actor, plan: str, *, rows: Collection[int] = (), by: str | None = None
) -> RequestedRun:
    """Approve exactly this plan, or some of its rows, and ask a worker to apply it.

    Raises `NoWorkerRuns` before anything is decided, and `VersionMoved` if the plan no
    longer waits.
    """
    found = await show(services, actor, plan)
    await requests.require_worker(_of_worker(services))
    approved = await _approve(services, actor, found, rows, by)
    return runs.requested(
        await requests.request_plan(_of_worker(services), approved, actor.label), JobKind.PLAN
    )


async def _approve(
    services: Services, actor: Actor, found: HeldPlan, rows: Collection[int], by: str | None
) -> HeldPlan:
    return await held_plans.approve(
        _of_worker(services),
        found,
        checksum=found.checksum,
        by=by or actor.name,
        rows=rows or None,
        actor=actor.label,
    )


def _of_worker(services: Services) -> WorkerServices:
    return build_services(services.settings, services.db)


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
        _of_worker(services),
        found,
        checksum=found.checksum,
        rows=rows or None,
        until=until,
        by=by or actor.name,
        actor=actor.label,
    )
