"""The floor of a full cycle: read and decode the same Graph bytes; of a first one, insert the same rows as well.

`python -m benchmarks.cycles.floor READY_JSON` reads what a cycle reads, in the same pages and batches, with plain
aiohttp and typed msgspec decoding, and prints one JSON line. With two database URLs behind, it also writes the
rows that a cycle left in the first into the second, which is migrated and empty (`benchmarks.cycles.rows`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Generic, TypeVar

import aiohttp
import msgspec

from benchmarks.cycles.rows import SETTING, WRITTEN, read_rows, write_rows
from benchmarks.usage import measured, tell
from store.records import Policy
from worker.graph.read.users import user_shape

T = TypeVar("T")
BATCHES_AT_ONCE = 4
GROUPS_IN_A_BATCH = 10


class User(msgspec.Struct, rename="camel", gc=False):
    id: str
    account_enabled: bool
    user_principal_name: str
    display_name: str | None = None
    mail: str | None = None
    mail_nickname: str | None = None
    given_name: str | None = None
    surname: str | None = None
    job_title: str | None = None
    department: str | None = None
    employee_id: str | None = None
    manager: dict[str, str] | None = None


class Assignment(msgspec.Struct, rename="camel", gc=False):
    principal_id: str
    principal_type: str


class Thing(msgspec.Struct, gc=False):
    id: str


class Item(msgspec.Struct, gc=False):
    id: str
    status: int
    body: msgspec.Raw


class Batch(msgspec.Struct, gc=False):
    responses: list[Item]


class Reader:
    def __init__(self, session: aiohttp.ClientSession, graph_url: str) -> None:
        self.session = session
        self.root = f"{graph_url}/v1.0"
        self.size = 0
        """Bytes after decompression."""

    async def bytes_of(self, method: str, url: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body else None
        async with self.session.request(method, url, data=body, headers=headers) as response:
            assert response.status == 200, f"{url}: {response.status}"
            raw = await response.read()
        self.size += len(raw)
        return raw

    async def every(self, path: str, kind: type[T]) -> list[T]:
        found: list[T] = []
        url: str | None = self.root + path
        while url:
            page = _page(await self.bytes_of("GET", url), kind)
            found += page[0]
            url = page[1]
        return found

    async def groups(self, ids: list[str], slots: asyncio.Semaphore) -> int:
        asked = [
            {"id": f"{kind}{number}", "method": "GET", "url": f"/groups/{group}{path}"}
            for number, group in enumerate(ids)
            for kind, path in (("g", "?$select=id,displayName"), ("m", "/members?$select=id&$top=999"))
        ]
        async with slots:
            answer = await self.bytes_of(
                "POST", f"{self.root}/$batch", msgspec.json.encode({"requests": asked})
            )
        return await self._members(msgspec.json.decode(answer, type=Batch))

    async def _members(self, batch: Batch) -> int:
        count = 0
        for item in batch.responses:
            if item.id.startswith("g"):
                msgspec.json.decode(item.body, type=Thing)
                continue
            found, link = _page(bytes(item.body), Thing)
            count += len(found)
            while link:
                found, link = _page(await self.bytes_of("GET", link), Thing)
                count += len(found)
        return count


class Page(msgspec.Struct, Generic[T], gc=False):
    value: list[T]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


def _page(raw: bytes, kind: type[T]) -> tuple[list[T], str | None]:
    page = DECODERS[kind].decode(raw)
    return page.value, page.next_link


DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    User: msgspec.json.Decoder(Page[User]),
    Assignment: msgspec.json.Decoder(Page[Assignment]),
    Thing: msgspec.json.Decoder(Page[Thing]),
}


async def token_for(session: aiohttp.ClientSession, ready: dict[str, str]) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": ready["client_id"],
        "client_secret": ready["client_secret"],
        "scope": "https://graph.microsoft.com/.default",
    }
    url = f"{ready['login_url']}/{ready['entra_tenant_id']}/oauth2/v2.0/token"
    async with session.post(url, data=form) as response:
        return str((await response.json())["access_token"])


async def run(ready: dict[str, str], source: str = "", target: str = "") -> None:
    if source:
        await write_rows(target, await read_rows(source, SETTING))
    written = await read_rows(source, WRITTEN) if source else {}
    async with aiohttp.ClientSession() as session:
        token = await token_for(session, ready)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        reader = Reader(session, ready["graph_url"])
        with measured() as usage:
            counts = await _read(reader, ready["service_principal_id"])
            if written:
                await write_rows(target, written)
    tell(usage, bytes=reader.size, rows=sum(len(rows.values) for rows in written.values()), **counts)


async def _read(reader: Reader, service_principal_id: str) -> dict[str, int]:
    shape = user_shape(Policy())
    select, expand = ",".join(shape.properties), ",".join(shape.expand or [])
    users = reader.every(f"/users?$select={select}&$expand={expand}&$top=999", User)
    deleted = reader.every("/directory/deletedItems/microsoft.graph.user?$select=id&$top=999", Thing)
    assigned = reader.every(
        f"/servicePrincipals/{service_principal_id}/appRoleAssignedTo?$top=999", Assignment
    )
    listed, _, assignments = await asyncio.gather(users, deleted, assigned)
    groups = sorted({row.principal_id for row in assignments if row.principal_type == "Group"})
    slots = asyncio.Semaphore(BATCHES_AT_ONCE)
    batches = [
        groups[start : start + GROUPS_IN_A_BATCH] for start in range(0, len(groups), GROUPS_IN_A_BATCH)
    ]
    memberships = await asyncio.gather(*(reader.groups(batch, slots) for batch in batches))
    return {"users": len(listed), "groups": len(groups), "memberships": sum(memberships)}


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1]), *sys.argv[2:]))
