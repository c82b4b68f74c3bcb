"""Run the `leaver worker` process: register it, run jobs, hand them back when
it stops.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import structlog

from config.logging import configure_logging
from config.settings import Settings, load_settings
from store.database import Database, open_database
from store.tenancy import credential_expiry
from worker.delivery.run import delivering
from worker.graph.auth.kept_tokens import KeptTokens
from worker.jobs import retention
from worker.jobs.runner import Runner, submit_due
from worker.locks import worker_presence
from worker.locks.hold import LeaseSettings
from worker.locks.lease import WORKER
from worker.services import WorkerServices, build_services

RESTART_AFTER_S = 2.0
PRUNE_EVERY_S = 60.0

log = structlog.get_logger(__name__)


Beside: TypeAlias = Callable[[Database], AbstractAsyncContextManager[None]]
"""Context manager of other work the process does beside."""


def main(beside: Beside | None = None) -> None:
    """Run until SIGTERM or SIGINT.

    Raises `SettingsError`, `StoreError` or `AnotherWorker` at its start.
    """
    import uvloop

    settings = load_settings()
    configure_logging(settings)
    uvloop.run(_main(settings, beside or _nothing))


@asynccontextmanager
async def _nothing(_db: Database) -> AsyncIterator[None]:
    yield


async def _main(settings: Settings, beside: Beside) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    db = await open_database(settings.database_url)
    try:
        async with beside(db), working(settings, db):
            await stop.wait()
            log.info("worker.stopping")
    finally:
        await db.close()
    log.info("worker.stopped")


@asynccontextmanager
async def working(settings: Settings, db: Database) -> AsyncIterator[None]:
    """Be a worker while the body runs; it is ready to take jobs when the body begins.

    When the body ends, running jobs have a bounded time to reach a safe point;
    unfinished jobs are handed back. Raises `worker.locks.worker_presence.AnotherWorker`
    if a worker runs on this SQLite database already.
    """
    services = build_services(settings, db, kept=KeptTokens())
    stop, ready = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(_work(services, stop, ready), name="worker")
    is_ready = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait([work, is_ready], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        yield
    finally:
        is_ready.cancel()
        stop.set()
        await work


async def _work(services: WorkerServices, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """Work until `stop` is set; start again if the lock was lost or the database went
    away.
    """
    while not stop.is_set():
        try:
            await _work_once(services, stop, ready)
        except Exception as error:
            if not ready.is_set():
                raise
            log.warning("worker.interrupted", error=type(error).__name__, again_in_s=RESTART_AFTER_S)
            await _first([stop], timeout_s=RESTART_AFTER_S)


async def _work_once(services: WorkerServices, stop: asyncio.Event, ready: asyncio.Event) -> None:
    from worker.jobs.dbos_queue import DbosQueue
    from worker.jobs.dbos_settings import DbosSettings

    settings = services.settings
    engine = DbosQueue(DbosSettings(settings.database_url, tick_s=settings.worker_tick_s))
    async with worker_presence.announce_worker(settings.database_url) as presence:

        async def is_gone(holder: str) -> bool:
            kind, _, process_id = holder.partition(":")
            async with presence.reap_lock(process_id) as is_dead:
                return kind == WORKER and is_dead

        pruned_at = -math.inf

        async def tick() -> None:
            nonlocal pruned_at
            await submit_due(services, engine)
            if time.monotonic() - pruned_at >= PRUNE_EVERY_S:
                pruned_at = time.monotonic()
                await retention.prune(services)
                await services.db.write(lambda conn: credential_expiry.tell_of_tokens(conn, services.clock()))

        lease = LeaseSettings(f"{WORKER}:{presence.process_id}", settings.lease_s, is_gone=is_gone)
        runner = Runner(services, lease)
        try:
            async with engine.start(presence, runner.run, tick) as lost, delivering(services):
                log.info("worker.started", process=presence.process_id)
                ready.set()
                await _first([stop, lost])
        finally:
            await engine.aclose()


async def _first(events: list[asyncio.Event], timeout_s: float | None = None) -> None:
    """Wait until one of the events is set, or the time is over."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
