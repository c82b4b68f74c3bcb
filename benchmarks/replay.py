"""Answers of a simulated Entra tenant, kept in files: read again they cost no core.

`replayed(ready, folder)` runs a server in front of the simulator that passes on what it was never asked before and
keeps the answer, compressed, in a file; the same request is answered by the file from then on, also by a later
process that is given the same folder. So two readings of one directory are needed: the first is not to be measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

HOST = "127.0.0.1"
KEPT = ("Content-Type", "OData-Version", "Location", "Retry-After")
"""Headers that are kept with an answer."""


@contextlib.contextmanager
def replayed(ready: Mapping[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """Runs the server while the body does; gives the ready line with the server's address."""
    folder.mkdir(parents=True, exist_ok=True)
    target = _origin(str(ready["graph_url"]))
    command = [sys.executable, "-m", "benchmarks.replay", target, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        own = process.stdout.readline().strip()
        through = {name: str(ready[name]).replace(target, own) for name in ("graph_url", "login_url")}
        yield {**ready, **through}
    finally:
        process.communicate()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Replay:
    """Answers from files, or from the simulator behind."""

    def __init__(self, session: aiohttp.ClientSession, target: str, folder: Path) -> None:
        self.session = session
        self.target = target
        self.folder = folder
        self.own = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        asked = f"{request.method} {request.raw_path}".encode() + b"\n" + body
        file = self.folder / hashlib.sha256(asked).hexdigest()
        if not file.exists():
            await self._keep(request, body, file)
        head, _, content = file.read_bytes().partition(b"\n")
        status, headers = json.loads(head)
        return web.Response(status=status, headers={**headers, "Content-Encoding": "gzip"}, body=content)

    async def _keep(self, request: web.Request, body: bytes, file: Path) -> None:
        left_out = ("host", "content-length", "accept-encoding")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in left_out}
        url = URL(self.target + request.raw_path, encoded=True)
        async with self.session.request(request.method, url, data=body, headers=headers) as response:
            content = (await response.read()).replace(self.target.encode(), self.own.encode())
            kept = {name: response.headers[name] for name in KEPT if name in response.headers}
            head = json.dumps([response.status, kept]).encode()
        part = file.with_suffix(".part")
        part.write_bytes(head + b"\n" + gzip.compress(content, 6))
        part.rename(file)


async def _serve(target: str, folder: Path) -> None:
    async with aiohttp.ClientSession() as session:
        replay = Replay(session, target, folder)
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", replay.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, _port_of(folder)).start()
        replay.own = f"http://{HOST}:{runner.addresses[0][1]}"
        (folder / "port").write_text(str(runner.addresses[0][1]))
        sys.stdout.write(replay.own + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)  # until whoever started us closes our input
        await runner.cleanup()


def _port_of(folder: Path) -> int:
    """Gives the port that the links in kept answers name; 0 for an empty folder."""
    file = folder / "port"
    return int(file.read_text()) if file.exists() else 0


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
