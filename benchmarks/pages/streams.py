"""What fifty open streams of a live page cost the server, of one core.

The server is this process; the browsers are another: `python -m benchmarks.pages.streams watch URL COOKIE`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from console.browser import SESSION_COOKIE
from store.migrations import upgrade
from store.records import CycleId, CycleKind, CycleStatus
from store.sync import cycles
from store.sync.cycles import CycleResult, Progress
from tests.builders.console_scene import ConsoleScene, console_scene, fill

STREAMS, SECONDS = 50, 20.0
MOST_PERCENT = 5.0


def run() -> None:
    """Prints the figure."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(f"sqlite+aiosqlite:///{Path(folder)}/leaver.db"))


async def _run(url: str) -> None:
    await upgrade.upgrade(url)
    async with console_scene(url) as scene:
        await fill(scene)
        of = scene.many.tenant_id, scene.many.id
        cycle = await scene.database.write(lambda conn: cycles.start(conn, *of, CycleKind.FULL))
        idle = await _cpu_share()
        address = f"{scene.url}/connections/{scene.many.id}/live"
        watching = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.pages.streams", "watch", address, scene.secret),
            stdout=asyncio.subprocess.PIPE,
        )
        assert watching.stdout is not None
        assert (await watching.stdout.readline()).strip() == b"open"
        progress = asyncio.create_task(_progress(scene, cycle.id))
        open_share = await _cpu_share()
        progress.cancel()
        watching.terminate()
        await watching.wait()
        await scene.database.write(lambda conn: cycles.finish(conn, of[0], cycle.id, FAILED))
    print(f"\n{STREAMS} open streams of a cycle's progress, {SECONDS:.0f} s: {open_share:.1f} % of a core")
    print(f"  without them {idle:.1f} %; at most {MOST_PERCENT:.0f} %")


async def _progress(scene: ConsoleScene, cycle_id: CycleId) -> None:
    """Writes how far the cycle is, as often as a worker does."""
    for done in range(1_000_000):
        how_far = Progress("users", done * 500, 1_000_000)
        await scene.database.write(
            lambda conn, how_far=how_far: cycles.save_progress(  # type: ignore[misc]
                conn, scene.many.tenant_id, cycle_id, how_far
            )
        )
        await asyncio.sleep(0.5)


async def _cpu_share() -> float:
    """Gives how many percent of a core this process uses."""
    used, begun = time.process_time(), time.perf_counter()
    await asyncio.sleep(SECONDS)
    return (time.process_time() - used) / (time.perf_counter() - begun) * 100


FAILED = CycleResult(CycleStatus.FAILED, complete=None)


async def _watch(url: str, secret: str) -> None:
    opened = asyncio.Event()
    waiting = STREAMS

    async def watch(http: aiohttp.ClientSession) -> None:
        nonlocal waiting
        headers = {"Cookie": f"{SESSION_COOKIE}={secret}", "Accept": "text/event-stream"}
        async with http.get(url, headers=headers) as answer:
            assert answer.status == 200, answer.status
            await answer.content.readline()
            waiting -= 1
            if waiting == 0:
                opened.set()
            async for _ in answer.content:
                pass

    timeout, connector = aiohttp.ClientTimeout(total=None), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        watchers = [asyncio.create_task(watch(http)) for _ in range(STREAMS)]
        await opened.wait()
        sys.stdout.write("open\n")
        sys.stdout.flush()
        await asyncio.gather(*watchers)


if __name__ == "__main__":
    if sys.argv[1:2] == ["watch"]:
        asyncio.run(_watch(*sys.argv[2:4]))
    else:
        run()
