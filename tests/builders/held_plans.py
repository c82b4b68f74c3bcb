"""Approve a held plan and apply it in this process, as a command does where no worker runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from store.logs import audit_log
from store.records import HeldPlan
from store.tenancy import connections
from worker.cycle import held_plans
from worker.cycle.held_plans import Decided
from worker.locks.lease import for_a_command, holding
from worker.services import WorkerServices


async def approve_and_apply(
    services: WorkerServices,
    held: HeldPlan,
    *,
    checksum: str,
    by: str,
    rows: Collection[int] | None = None,
    actor: str = audit_log.NOBODY,
) -> Decided:
    """Approve the plan, or some of its rows, and apply it."""
    approved = await held_plans.approve(services, held, checksum=checksum, by=by, rows=rows, actor=actor)
    async with services.db.reading() as conn:
        connection = await connections.get(conn, held.tenant_id, held.connection_id)
    lease = replace(for_a_command(services.settings), wait_s=60)
    async with holding(services.db, services.clock, held.tenant_id, connection.id, lease) as hold:
        return await held_plans.apply_approved(services, connection, hold, approved.id, actor)
