"""What the job engine costs for each job: `python -m benchmarks.workers.empty_jobs CONNECTION NUMBER`.

Submits jobs of slots that are over, which a running worker ends at once, and waits until the last one has ended.
Prints the CPU of this process: that of submitting, which a worker has as well.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.usage import measured, tell
from config.settings import load_settings
from store.records import ConnectionId
from worker.jobs.dbos_queue import DbosQueue
from worker.jobs.dbos_settings import DbosSettings
from worker.jobs.queue import Job, JobId, JobKind

LONG_AGO = "20000101T{:06}Z"


async def run(connection: str, number: int) -> None:
    queue = DbosQueue(DbosSettings(load_settings().database_url))
    first, *slots = [LONG_AGO.format(each) for each in range(number + 1)]
    await queue.submit(_job(connection, first))
    with measured() as usage:
        ids = [await queue.submit(_job(connection, slot)) for slot in slots]
    await asyncio.gather(*(_end(queue, job) for job in ids[-50:]))
    await queue.aclose()
    tell(usage, jobs=number)


def _job(connection: str, slot: str) -> Job:
    return Job(JobKind.CYCLE, ConnectionId(connection), slot, is_scheduled=True, is_small=True)


async def _end(queue: DbosQueue, job: JobId) -> None:
    while not (await queue.progress(job)).has_ended:  # noqa: ASYNC110 - another process ends it
        await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
