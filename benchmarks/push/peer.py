"""The peer: scim2-server's own ASGI application, all in memory, on a free port of the loopback.

`python -m benchmarks.push.peer` prints one JSON line, `{"base"}`, and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import uvicorn
import uvloop
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.service import ScimService
from scim2_server.utils import load_default_provider


async def serve() -> None:
    provider = load_default_provider()
    app = ASGIApplication(AsyncInMemoryStorage(), provider, ScimService(provider, secret="benchmark" * 4))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        sys.stdout.write(json.dumps({"base": f"http://127.0.0.1:{listening.getsockname()[1]}/v2"}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    uvloop.run(serve())  # what uvicorn chooses by itself, and without which small answers wait 40 ms
