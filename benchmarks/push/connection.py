"""A keep-alive HTTP connection that costs the load generator as little as possible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    """Relative to the base URL, with its query."""
    body: bytes = b""


@dataclass(slots=True)
class Wire:
    """Sends one request after the other on one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    prefix: str
    head: str

    async def send(self, request: Request) -> tuple[int, bytes]:
        """Gives status and body of the answer."""
        head = (
            f"{request.method} {self.prefix}{request.path} HTTP/1.1\r\n"
            f"{self.head}Content-Length: {len(request.body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + request.body)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:] if line)
        return int(lines[0].split(b" ")[1]), await self._body(fields)

    async def _body(self, fields: dict[bytes, bytes]) -> bytes:
        if fields.get(b"transfer-encoding") == b"chunked":
            return await self._chunks()
        return await self.reader.readexactly(int(fields.get(b"content-length", 0)))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return body


@asynccontextmanager
async def connected(base: str, tokens: list[str]) -> AsyncIterator[list[Wire]]:
    """Opens a connection for each token."""
    parts = urlsplit(base)
    wires: list[Wire] = []
    try:
        for token in tokens:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**24)
            head = (
                f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
                "Content-Type: application/scim+json\r\n"
            )
            wires.append(Wire(reader, writer, parts.path, head))
        yield wires
    finally:
        for wire in wires:
            wire.writer.close()
