"""Request a run of a worker, and look how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.references import find_connection
from console.admin.run_now import ProvisionRequest
from console.admin.services import Services
from store.records import Connection, Cycle, CycleKind, JsonValue
from store.sync import cycles
from store.sync.cycles import Progress
from worker.cycle.run import CycleRequest
from worker.jobs import requests
from worker.jobs.dispatch import WAITING
from worker.jobs.queue import JobId, JobKind, JobState
from worker.services import build_services


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """A cycle, on-demand provisioning or the applying of a plan: what a worker carries
    out, or has carried out within the last hour.
    """

    id: str
    kind: JobKind
    state: JobState
    result: Mapping[str, JsonValue] | None = None
    running: tuple[Cycle, Progress | None] | None = None
    """The cycle of the connection that runs now, where this run is under way."""

    @property
    def has_ended(self) -> bool:
        """Return whether nothing more will come of it."""
        return self.state not in (JobState.QUEUED, JobState.RUNNING)


@requires("admin:sync:run")
async def request_cycle(
    services: Services, actor: Actor, connection: str, request: CycleRequest
) -> RequestedRun:
    """Ask a worker for a cycle. Raises `UnknownReference`, `NoWorkerRuns`."""
    found = await _find(services, actor, connection)
    detail: dict[str, JsonValue] = {"full": request.is_full, "dry_run": request.is_dry_run}
    await _note(services, actor, found, "sync_requested", detail)
    job_id = await requests.request_cycle(build_services(services.settings, services.db), found, request)
    return requested(job_id, JobKind.CYCLE)


@requires("admin:sync:run")
async def request_provisioning(
    services: Services, actor: Actor, connection: str, request: ProvisionRequest
) -> RequestedRun:
    """Ask a worker to provision subjects. Raises `UnknownReference`, `NoWorkerRuns`.

    The audit entry names no subject: subjects are personal data.
    """
    found = await _find(services, actor, connection)
    detail: dict[str, JsonValue] = {
        "subjects": len(request.subjects),
        "dry_run": request.is_dry_run,
        "ask_entra": request.asks_entra,
    }
    await _note(services, actor, found, "provision_requested", detail)
    job_id = await requests.request_provisioning(
        build_services(services.settings, services.db),
        found,
        request.subjects,
        is_dry_run=request.is_dry_run,
        asks_entra=request.asks_entra,
        actor=actor.label,
    )
    return requested(job_id, JobKind.ON_DEMAND)


async def show(services: Services, actor: Actor, connection: str, run: str) -> RequestedRun:
    """Return a run by its id. Raises `UnknownReference`, also an hour after its end."""
    found = await _find(services, actor, connection)
    kind, _, slot = run.partition(".")
    if kind not in set(JobKind) or not slot.isalnum():
        raise UnknownReference(Noun.RUN, run, connection_name=found.name)
    job_id = JobId(f"{kind}:{found.id}:{slot}")
    progress = await requests.look(build_services(services.settings, services.db), job_id)
    if progress.state is JobState.UNKNOWN:
        raise UnknownReference(Noun.RUN, run, connection_name=found.name)
    running = None
    if progress.state is JobState.RUNNING:
        async with services.db.reading() as conn:
            running = await cycles.running(conn, found.tenant_id, found.id)
    if running is not None and kind != JobKind.CYCLE and running[0].kind is not CycleKind.ON_DEMAND:
        running = running[0], Progress(WAITING)  # another run, which has to give way first
    return RequestedRun(run, JobKind(kind), progress.state, progress.result, running)


def requested(job_id: JobId, kind: JobKind) -> RequestedRun:
    """Return the run of a job that was submitted now."""
    return RequestedRun(run_id(job_id), kind, JobState.QUEUED)


def run_id(job_id: JobId) -> str:
    """Return the id of the run that a job carries out: it names no connection."""
    kind, _, rest = job_id.partition(":")
    return f"{kind}.{rest.rpartition(':')[2]}"


async def _find(services: Services, actor: Actor, reference: str) -> Connection:
    async with services.db.reading() as conn:
        return await find_connection(conn, actor, reference)


async def _note(
    services: Services, actor: Actor, found: Connection, deed: str, detail: dict[str, JsonValue]
) -> None:
    async def work(conn: AsyncConnection) -> None:
        await audit.record(conn, actor, found, deed, **detail)

    await services.db.write(work)
