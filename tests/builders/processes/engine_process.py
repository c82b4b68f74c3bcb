"""A worker process whose jobs only say that they ran: what the engine's tests kill, stop and run in pairs.

    python -m tests.builders.processes.engine_process DATABASE_URL SECONDS_PER_JOB [MAX_RECOVERY_ATTEMPTS]

Prints a line for each thing that happens: `ready`, `run <slot>`, `done <slot>`, `gave way <slot>`, `stopped`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping

from store.records import JsonValue
from worker.errors import Yielded
from worker.jobs.dbos_queue import DbosQueue
from worker.jobs.dbos_settings import DbosSettings
from worker.jobs.queue import Job
from worker.locks import worker_presence


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(database_url: str, seconds_per_job: float, max_recovery_attempts: int = 10) -> None:
    async def run(job: Job, halt: asyncio.Event) -> Mapping[str, JsonValue]:
        say(f"run {job.slot}")
        try:
            await asyncio.wait_for(halt.wait(), seconds_per_job)
        except TimeoutError:
            say(f"done {job.slot}")
            return {"slot": job.slot}
        say(f"gave way {job.slot}")
        raise Yielded("told to stop")

    async def tick() -> None:
        pass

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = DbosSettings(
        database_url,
        scheduled_polling_s=0.2,
        housekeeping_s=0.3,
        max_recovery_attempts=max_recovery_attempts,
    )
    engine = DbosQueue(settings)
    async with worker_presence.announce_worker(database_url) as presence, engine.start(presence, run, tick):
        say("ready")
        await stop.wait()
    await engine.aclose()
    say("stopped")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:])))
