"""Processes that the tests start, listen to and kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[3]


class Process:
    """A process of ours whose standard output is read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode().rstrip())
            self._news.set()

    async def says(self, line: str, within_s: float = 20.0) -> None:
        """Waits until the process has said this line."""
        async with asyncio.timeout(within_s):
            while line not in self.lines:
                self._news.clear()
                await self._news.wait()

    async def line_with(self, fragment: str, within_s: float = 60.0) -> str:
        """Waits until the process has said a line with this in it, and gives the line."""
        deadline = time.monotonic() + within_s
        while not (found := [line for line in self.lines if fragment in line]):
            assert not self._reading.done(), "ended without saying so:\n" + "\n".join(self.lines)
            assert time.monotonic() < deadline, "has only said:\n" + "\n".join(self.lines)
            await asyncio.sleep(0.05)
        return found[0]

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self._process.kill()

    async def stop(self) -> int:
        """SIGTERM, and its exit status."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        code = await self._process.wait()
        await self._reading
        return code


@asynccontextmanager
async def started(
    *arguments: str, environment: Mapping[str, str] | None = None, with_log: bool = False
) -> AsyncIterator[Process]:
    """Runs Python with these arguments; kills it at the end if it still runs. `with_log`: reads its log as well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if with_log else None,
    )
    running = Process(process)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.kill()
        await running.ended()


@asynccontextmanager
async def engine_process(
    database_url: str, seconds_per_job: float, max_recovery_attempts: int = 10
) -> AsyncIterator[Process]:
    """A worker process whose jobs only say that they ran."""
    module = "tests.builders.processes.engine_process"
    arguments = (database_url, str(seconds_per_job), str(max_recovery_attempts))
    async with started("-m", module, *arguments) as process:
        yield process
