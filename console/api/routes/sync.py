"""Operations on cycles, runs, drift reports, held plans and the provisioning log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from console.admin import held_plans, runs
from console.admin.reports import cycles, provisioning_log
from console.admin.reports.cycles import CycleQuery
from console.admin.reports.provisioning_log import LogQuery
from console.admin.run_now import ProvisionRequest
from console.admin.runs import RequestedRun
from console.api.contract import BASE, Caller, Cursor, Limit, Reply, Routes
from console.api.problems import Problem
from console.api.schemas import common as common_schemas
from console.api.schemas import sync as schemas
from console.documents import logs as log_documents
from console.documents import reports as documents
from console.documents import reports as run_documents
from console.documents.reports import whole_cycle
from console.documents.values import JsonDocument
from store.records import CycleKind, CycleStatus, HeldPlan, LogStatus
from worker.cycle.run import CycleRequest

routes = Routes("Sync")


@routes.add(
    "POST",
    "/connections/{connection}/cycles",
    "admin:sync:run",
    status=202,
    problems=("not-found", "no-worker"),
)
async def start_cycle(
    caller: Caller, connection: str, body: schemas.CycleBody
) -> Annotated[Reply, schemas.RunAnswer]:
    """Ask a worker for a cycle now; Location is where to watch it."""
    request = CycleRequest(is_full=body.full, is_dry_run=body.dry_run)
    return _accepted(connection, await runs.request_cycle(caller.services, caller.actor, connection, request))


@routes.add(
    "POST",
    "/connections/{connection}/provision",
    "admin:sync:run",
    status=202,
    problems=("not-found", "no-worker"),
)
async def provision(
    caller: Caller, connection: str, body: schemas.ProvisionBody
) -> Annotated[Reply, schemas.RunAnswer]:
    """Provision users or groups now; Location is where to watch it."""
    request = ProvisionRequest(body.subjects, body.dry_run, body.ask_entra)
    return _accepted(
        connection, await runs.request_provisioning(caller.services, caller.actor, connection, request)
    )


def _accepted(connection: str, run: RequestedRun) -> Reply:
    location = f"{BASE}/connections/{connection}/runs/{run.id}"
    return Reply(run_document(run), {"Location": location, "Retry-After": "1"})


def run_document(run: RequestedRun) -> JsonDocument:
    """Return the document of a run; a stream sends the same."""
    return run_documents.run(run.id, run.kind.value, run.state.value, run.result, run.running)


@routes.add("GET", "/connections/{connection}/runs/{run}", "admin:sync:read", problems=("not-found",))
async def get_run(caller: Caller, connection: str, run: str) -> Annotated[JsonDocument, schemas.RunAnswer]:
    """Read how far a run is, and its report when it is done; kept for an hour.

    With `Accept: text/event-stream` the same document comes as events `progress`
    whenever it changes, and once as `end`.
    """
    return run_document(await runs.show(caller.services, caller.actor, connection, run))


@routes.add("GET", "/connections/{connection}/cycles", "admin:sync:read", problems=("not-found",))
async def list_cycles(
    caller: Caller,
    connection: str,
    kind: CycleKind | None = None,
    status: CycleStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Annotated[JsonDocument, schemas.CyclePageAnswer]:
    """List the cycles of a connection, the newest first."""
    query = CycleQuery(kind=kind, status=status, before=caller.position(cursor), limit=limit)
    found = await cycles.list_page(caller.services, caller.actor, connection, query)
    return caller.page(map(whole_cycle, found.cycles), found.next)


@routes.add("GET", "/connections/{connection}/cycles/{cycle}", "admin:sync:read", problems=("not-found",))
async def get_cycle(
    caller: Caller, connection: str, cycle: str
) -> Annotated[JsonDocument, schemas.CycleAnswer]:
    """Read one cycle."""
    return whole_cycle(await cycles.get(caller.services, caller.actor, connection, cycle))


@routes.add("GET", "/connections/{connection}/drift", "admin:report:read", problems=("not-found",))
async def get_drift(
    caller: Caller, connection: str, cycle: str | None = None
) -> Annotated[JsonDocument, schemas.DriftAnswer]:
    """Read the drift report of a cycle, or the latest one."""
    found = await cycles.drift_report(caller.services, caller.actor, connection, cycle)
    return documents.drift_report(found.report, unacknowledged=found.unacknowledged)


@routes.add("GET", "/connections/{connection}/log", "admin:report:read", problems=("not-found",))
async def list_log(
    caller: Caller,
    connection: str,
    subject: Annotated[
        str | None, Field(max_length=1_000, description="Id or name of a user or group.")
    ] = None,
    status: LogStatus | None = None,
    correlation: Annotated[str | None, Field(max_length=200)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Annotated[JsonDocument, common_schemas.LogPageAnswer]:
    """List the provisioning log of a connection, the newest entry first."""
    query = LogQuery(
        user=subject, status=status, correlation=correlation, before=caller.number(cursor), limit=limit
    )
    found = await provisioning_log.log(caller.services, caller.actor, connection, query)
    return caller.page(map(log_documents.log_entry, found.entries), found.next)


@routes.add("GET", "/plans", "admin:sync:read", problems=("not-found",))
async def list_plans(
    caller: Caller, connection: str | None = None, decided: bool = False
) -> Annotated[JsonDocument, schemas.PlanPage]:
    """List the plans that wait for a person, the newest first; with `decided` all."""
    found = await held_plans.list_all(caller.services, caller.actor, connection, all_states=decided)
    return caller.page(map(documents.plan, found))


@routes.add("GET", "/plans/{plan}", "admin:sync:read", problems=("not-found",))
async def get_plan(caller: Caller, plan: str) -> Annotated[JsonDocument, schemas.PlanAnswer]:
    """Read a held plan with every change that it would make."""
    return documents.plan(await held_plans.show(caller.services, caller.actor, plan))


@routes.add(
    "POST",
    "/plans/{plan}/approve",
    "admin:sync:approve",
    status=202,
    problems=("not-found", "conflict", "no-worker"),
)
async def approve_plan(
    caller: Caller, plan: str, body: schemas.DecisionBody
) -> Annotated[Reply, schemas.RunAnswer]:
    """Approve exactly this plan, or some of its rows; Location is where to watch it.

    A worker applies it. Without one nothing is decided. What became of each row is in
    the plan afterwards.
    """
    found = await _checked(caller, plan, body)
    run = await held_plans.request_approval(
        caller.services, caller.actor, found.id, rows=_rows(body.rows), by=body.by
    )
    return _accepted(found.connection_id, run)


@routes.add("POST", "/plans/{plan}/reject", "admin:sync:approve", problems=("not-found", "conflict"))
async def reject_plan(
    caller: Caller, plan: str, body: schemas.RejectionBody
) -> Annotated[JsonDocument, schemas.PlanAnswer]:
    """Reject exactly this plan, or some of its rows: an accepted risk."""
    found = await _checked(caller, plan, body)
    until = body.until
    if until is not None and until.tzinfo is None:
        raise Problem("invalid-value", "`until` needs a time zone, for example 2027-01-31T00:00:00Z.")
    rejected = await held_plans.reject(
        caller.services, caller.actor, found.id, rows=_rows(body.rows), until=until, by=body.by
    )
    return documents.plan(rejected)


async def _checked(caller: Caller, plan: str, body: schemas.DecisionBody) -> HeldPlan:
    """Return the plan. Raises `Problem` where it is not the one that was looked at."""
    found = await held_plans.show(caller.services, caller.actor, plan)
    if found.checksum != body.checksum:
        raise Problem("conflict", "The plan has another checksum: look at it again.")
    return found


def _rows(numbers: Sequence[int]) -> Sequence[int]:
    return list(dict.fromkeys(numbers))
