"""Run a cycle or provision subjects now, on a running worker or in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.references import find_connection
from console.admin.services import Services
from store.records import Connection, Cycle, JsonValue, Lease
from store.sync import cycles
from worker.cycle.report import CycleReport
from worker.cycle.run import CycleRequest
from worker.jobs import dispatch
from worker.locks.lease import held_lease
from worker.locks.worker_presence import is_worker_alive
from worker.on_demand.report import OnDemandReport
from worker.progress import Watch, ignore_progress
from worker.services import build_services


@dataclass(frozen=True, slots=True)
class ConnectionBusy:
    """The run that holds the connection when another run is requested."""

    lease: Lease
    running: Cycle | None
    goes_first: bool
    """True for on-demand work, for which a cycle gives way at its next safe point."""


@contextmanager
def _unwatched(_connection: Connection) -> Iterator[Watch]:
    yield ignore_progress


@dataclass(frozen=True, slots=True)
class RunObserver:
    """How a face follows a run."""

    watching: Callable[[Connection], AbstractContextManager[Watch]] = _unwatched
    """Opens a display of progress for the time of the run."""
    say: Callable[[ConnectionBusy], None] = lambda _busy: None
    """Receives the run that has to be waited for; called at most once."""


@dataclass(frozen=True, slots=True)
class ProvisionRequest:
    """The users and groups that are to be provisioned now."""

    subjects: Sequence[str]
    is_dry_run: bool = False
    asks_entra: bool = False
    while_paused: bool = False
    """Do it although the connection is paused: who must go now cannot wait for it."""


@requires("admin:sync:run")
async def sync(
    services: Services,
    actor: Actor,
    connection: str,
    request: CycleRequest,
    observer: RunObserver | None = None,
) -> CycleReport:
    """Run a cycle to its end.

    Raises `UnknownReference`, `SecretKeyMissing`, and `WorkerError` where the cycle
    could not begin.
    """
    observer = observer or RunObserver()
    detail: dict[str, JsonValue] = {"full": request.is_full, "dry_run": request.is_dry_run}
    found = await _begin(services, actor, connection, "sync_requested", detail)
    await _report_busy(services, found, observer, goes_first=False)
    with observer.watching(found) as watch:
        return await dispatch.sync(build_services(services.settings, services.db), found, request, watch)


@requires("admin:sync:run")
async def provision(
    services: Services,
    actor: Actor,
    connection: str,
    request: ProvisionRequest,
    observer: RunObserver | None = None,
) -> list[OnDemandReport]:
    """Provision every subject now and return one report for each, in order.

    Raises `UnknownReference`, `SecretKeyMissing`, and `WorkerError` where the work
    could not begin.
    """
    observer = observer or RunObserver()
    detail: dict[str, JsonValue] = {
        "subjects": len(request.subjects),
        "dry_run": request.is_dry_run,
        "ask_entra": request.asks_entra,
    }
    if request.while_paused:
        detail["while_paused"] = True
    found = await _begin(services, actor, connection, "provision_requested", detail)
    await _report_busy(services, found, observer, goes_first=True)
    with observer.watching(found) as watch:
        return await dispatch.provision_each(
            build_services(services.settings, services.db),
            found,
            request.subjects,
            is_dry_run=request.is_dry_run,
            asks_entra=request.asks_entra,
            while_paused=request.while_paused,
            watch=watch,
            actor=actor.label,
        )


async def _begin(
    services: Services, actor: Actor, reference: str, deed: str, detail: dict[str, JsonValue]
) -> Connection:
    """Return the connection after the request for it was written to the audit log.

    The entry names no subject: subjects are personal data.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, reference)
    if not await is_worker_alive(services.settings.database_url):
        services.sealer()  # the run takes place here and needs the key: raise before it begins
    await services.db.write(lambda conn: audit.record(conn, actor, found, deed, **detail))
    return found


async def _report_busy(
    services: Services, connection: Connection, observer: RunObserver, *, goes_first: bool
) -> None:
    """Report to the observer which run holds the connection and has to end first."""
    held = await held_lease(services.db, datetime.now(UTC), connection.tenant_id, connection.id)
    if held is None:
        return
    async with services.db.reading() as conn:
        running = await cycles.latest(conn, connection.tenant_id, connection.id, limit=1, finished=False)
    observer.say(ConnectionBusy(held, running[0] if running else None, goes_first))
