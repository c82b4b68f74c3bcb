"""A small strict SCIM server in memory: the target of the simulated service; records every request."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
TOKEN = "the-token"
SCIM = "application/scim+json"
_FILTER = re.compile(r'^(?P<path>\S+(?: eq "\w+"\]\.\w+)?) eq "(?P<value>.*)"$')
_REFERENCE = re.compile(r"^id eq (?P<id>\S+) and (?P<name>\w+) eq (?P<other>\S+)$")
_ELEMENT = re.compile(r'^(\w+)\[type eq "(\w+)"\]\.(\w+)$')
_MEMBER = re.compile(r'^members\[value eq "([^"]+)"\]$')


class Refused(Exception):
    """The request breaks a rule; answered with a SCIM error."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass
class Seen:
    """One request as it came over the wire."""

    method: str
    path: str
    raw_query: str
    body: Any
    headers: dict[str, str]


@dataclass
class Target:
    """What the server holds, and what it was asked."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    respond: Callable[[Seen], web.Response | None] = lambda seen: None
    """Answers instead of the server when it gives something."""

    def sent(self, method: str, prefix: str = "/") -> list[Seen]:
        return [s for s in self.seen if s.method == method and s.path.startswith(prefix)]

    def user(self, name: str) -> dict[str, Any]:
        return next(u for u in self.users.values() if u["userName"] == name)

    def group(self, name: str) -> dict[str, Any]:
        return next(g for g in self.groups.values() if g["displayName"] == name)

    def active(self) -> set[str]:
        return {u["userName"] for u in self.users.values() if u.get("active")}

    def members(self, name: str) -> set[str]:
        return {self.users[m]["userName"] for m in self.group(name)["members"] if m in self.users}


@asynccontextmanager
async def running_target() -> AsyncIterator[Target]:
    """Serve a target on a free port."""
    target = Target()
    app = web.Application()

    async def handle(request: web.Request) -> web.Response:
        return await _handle(target, request)

    app.router.add_route("*", "/scim/{tail:.*}", handle)
    server = TestServer(app)
    await server.start_server()
    target.url = str(server.make_url("/scim"))
    try:
        yield target
    finally:
        await server.close()


async def _handle(target: Target, request: web.Request) -> web.Response:
    body = await request.json() if request.can_read_body else None
    path = request.path.removeprefix("/scim")
    query = request.rel_url.raw_query_string
    seen = Seen(request.method, path, query, deepcopy(body), dict(request.headers))
    target.seen.append(seen)
    if (canned := target.respond(seen)) is not None:
        return canned
    await asyncio.sleep(0)
    try:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "unknown token")
        if body is not None and request.content_type != SCIM:
            raise Refused(415, f"a body must be {SCIM}")
        return _dispatch(target, request, body)
    except Refused as refused:
        return scim_error(refused.status, str(refused))


def scim_error(status: int, detail: str) -> web.Response:
    """Answer with a SCIM error body."""
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": str(status),
        "detail": detail,
    }
    return web.json_response(body, status=status, content_type=SCIM)


def _dispatch(target: Target, request: web.Request, body: Any) -> web.Response:
    parts = request.path.removeprefix("/scim/").split("/")
    if parts[0] not in {"Users", "Groups"} or len(parts) > 2:
        raise Refused(404, "no such endpoint")
    kind = parts[0]
    store = target.users if kind == "Users" else target.groups
    if len(parts) == 1:
        if request.method == "POST":
            return _create(kind, store, body)
        return _query(kind, store, request.query)
    if parts[1] not in store:
        raise Refused(404, f"Resource {parts[1]} not found")
    resource = store[parts[1]]
    if request.method == "DELETE":
        del store[parts[1]]
        return web.Response(status=204)
    if request.method == "PATCH":
        _patch(target, kind, resource, body)
        return web.Response(status=204) if kind == "Groups" else _ok(_shown(kind, resource))
    return _ok(_shown(kind, resource))


def _ok(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, content_type=SCIM)


def _shown(kind: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != "members"}


def _create(kind: str, store: dict[str, dict[str, Any]], body: dict[str, Any]) -> web.Response:
    if "members" in body:
        raise Refused(400, "a new group comes without members")
    name = "userName" if kind == "Users" else "displayName"
    if any(other[name].lower() == body[name].lower() for other in store.values()):
        raise Refused(409, f"{name} is taken")
    _check_types(body)
    resource = {**body, "id": str(uuid.uuid4())}
    if isinstance(manager := resource.get(ENTERPRISE, {}).get("manager"), str):
        resource[ENTERPRISE] = {**resource[ENTERPRISE], "manager": {"value": manager}}
    if kind == "Groups":
        resource["members"] = set()
    store[resource["id"]] = resource
    return _ok(_shown(kind, resource), 201)


def _check_types(body: dict[str, Any]) -> None:
    if "active" in body and not isinstance(body["active"], bool):
        raise Refused(400, "active must be a boolean")
    if any(value is None for value in body.values()):
        raise Refused(400, "nulls are never sent")


def _query(kind: str, store: dict[str, dict[str, Any]], query: Any) -> web.Response:
    if kind == "Groups" and query.get("excludedAttributes") != "members":
        raise Refused(400, "groups are asked for without members")
    if reference := _REFERENCE.match(query["filter"]):
        found = [store[reference["id"]]] if _refers(store, reference) else []
        return _list([{"id": resource["id"]} for resource in found])
    match = _FILTER.match(query["filter"])
    if match is None:
        raise Refused(400, f"cannot read filter {query['filter']!r}")
    return _list(
        [_shown(kind, r) for r in store.values() if _read(r, match["path"]).lower() == match["value"].lower()]
    )


def _list(resources: list[dict[str, Any]]) -> web.Response:
    return _ok(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": len(resources),
            "startIndex": 1,
            "itemsPerPage": len(resources),
            "Resources": resources,
        }
    )


def _refers(store: dict[str, dict[str, Any]], reference: re.Match[str]) -> bool:
    resource = store.get(reference["id"], {})
    if reference["name"] == "members":
        return reference["other"] in resource.get("members", ())
    manager = resource.get(ENTERPRISE, {}).get("manager") or {}
    return manager.get("value") == reference["other"]


def _read(resource: dict[str, Any], path: str) -> str:
    if element := _ELEMENT.match(path):
        attribute, kind, sub = element.groups()
        return next((str(e[sub]) for e in resource.get(attribute, ()) if e["type"] == kind), "")
    return str(resource.get(path, ""))


def _patch(target: Target, kind: str, resource: dict[str, Any], body: dict[str, Any]) -> None:
    if body["schemas"] != ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]:
        raise Refused(400, "not a PatchOp")
    for operation in body["Operations"]:
        op, path, value = operation["op"].lower(), operation.get("path"), operation.get("value")
        if op not in {"add", "replace", "remove"}:
            raise Refused(400, f"unknown op {op}")
        if kind == "Groups" and path is not None and path.startswith("members"):
            _patch_members(target, resource, op, path, value)
        elif path is None:
            for key, item in value.items():
                _set(resource, key, item)
        else:
            _set(resource, path, value)


def _patch_members(target: Target, group: dict[str, Any], op: str, path: str, value: Any) -> None:
    if by_path := _MEMBER.match(path):
        group["members"].discard(by_path[1])
        return
    ids = {member["value"] for member in value}
    if op == "remove":
        group["members"] -= ids
        return
    if unknown := ids - set(target.users) - set(target.groups):
        raise Refused(404, f"member {sorted(unknown)[0]} not found")
    group["members"] |= ids


def _set(resource: dict[str, Any], path: str, value: Any) -> None:
    if path == "active":
        value = value if isinstance(value, bool) else {"True": True, "False": False}[value]
    if path == f"{ENTERPRISE}:manager":
        value = {"value": value} if value else None
    if element := _ELEMENT.match(path):
        attribute, kind, sub = element.groups()
        elements = resource.setdefault(attribute, [])
        held = next((e for e in elements if e["type"] == kind), None)
        if held is None:
            held = {"type": kind}
            elements.append(held)
        held[sub] = value
    elif path.startswith("urn:"):
        urn, _, attribute = path.rpartition(":")
        resource.setdefault(urn, {})[attribute] = value
    elif "." in path:
        parent, _, child = path.partition(".")
        resource.setdefault(parent, {})[child] = value
    else:
        resource[path] = value
