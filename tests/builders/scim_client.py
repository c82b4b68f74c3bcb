"""A SCIM server on a real database, spoken to over HTTP the way Entra does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from scim.app import BASE
from store.database import Database
from store.logs import provisioning_log
from store.records import Connection, LogEntry

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(slots=True)
class ScimClient:
    """Sends requests with a token to one of the two bases."""

    http: TestClient[Any, Any]
    token: str | None
    database: Database
    connection: Connection
    base: str = BASE

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        sent = {
            "Content-Type": "application/scim+json",
            "Accept": "application/scim+json",
            "ADSCIMVersion": "5.0",
        }
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        payload = {"data": raw} if raw is not None else {} if body is None else {"json": body}
        async with self.http.request(
            method, self.base + path, headers={**sent, **(headers or {})}, **payload
        ) as answer:
            return await _reply(answer)

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.send("GET", path, **options)

    async def post(self, path: str, body: Any, **options: Any) -> Reply:
        return await self.send("POST", path, body, **options)

    async def patch(self, path: str, *operations: Mapping[str, Any], **options: Any) -> Reply:
        return await self.send(
            "PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}, **options
        )

    async def put(self, path: str, body: Any, **options: Any) -> Reply:
        return await self.send("PUT", path, body, **options)

    async def delete(self, path: str, **options: Any) -> Reply:
        return await self.send("DELETE", path, **options)

    async def create_user(self, user_name: str, **attributes: Any) -> Any:
        """Create a user as Entra does and return the resource."""
        reply = await self.post("/Users", entra_user(user_name, **attributes))
        assert reply.status == 201, reply.body
        return reply.body

    async def create_group(self, display_name: str, *members: str, **attributes: Any) -> Any:
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": display_name,
            **attributes,
        }
        reply = await self.post("/Groups", {**body, "members": [{"value": each} for each in members]})
        assert reply.status == 201, reply.body
        return reply.body

    async def member_ids(self, group_id: str) -> set[str]:
        reply = await self.get(f"/Groups/{group_id}")
        return {each["value"] for each in reply.body["members"]}

    async def log(self) -> tuple[LogEntry, ...]:
        """Return the provisioning log, the newest entry first."""
        async with self.database.reading() as reading:
            page = await provisioning_log.search(reading, self.connection.tenant_id, self.connection.id)
        return page.entries


def entra_user(user_name: str, **attributes: Any) -> dict[str, Any]:
    """Return the body of a creation in the shape Entra sends it by default."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": user_name.partition("@")[0],
        "userName": user_name,
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": user_name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Ada Marsh", "familyName": "Marsh", "givenName": "Ada"},
        "roles": [],
        **attributes,
    }


async def _reply(answer: ClientResponse) -> Reply:
    assert answer.status in (204, 304) or answer.content_type == "application/scim+json", answer.headers
    raw = await answer.read()
    return Reply(answer.status, await answer.json(content_type=None) if raw else None, answer.headers)
