"""From a call to its answer: routing as RFC 7644 §3.2 has it, and the log entry of every write that was
refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from scim2_models import NotFoundException, SCIMException
from scim2_server.cursor import Cursors
from scim2_server.routing import Operation, Target, match
from sqlalchemy.ext.asyncio import AsyncConnection

from scim.endpoints import bulk, discovery, groups, me, search, users
from scim.errors import refusal_of
from scim.request import Answer, Call
from scim.schema.definitions import Shape, shapes
from store.errors import Terminal
from store.logs import provisioning_log
from store.records import Action, GroupId, LogStatus, Step, SubjectType, UserId

_ACTIONS = {"POST": Action.CREATE, "PUT": Action.UPDATE, "PATCH": Action.UPDATE, "DELETE": Action.DELETE}
_SEARCHES = (Operation.search, Operation.search_with_body)


async def handle(call: Call, cursors: Cursors) -> Answer:
    """Answer one call.

    Raises the SCIMException or StoreError that refuses it, after a refused write was put in the provisioning
    log.
    """
    try:
        return await _route(call, _target(call), cursors)
    except (SCIMException, Terminal) as error:
        await log_refusal(call, error)
        raise


def _target(call: Call) -> Target:
    try:
        return target_of(call.method, call.path)
    except NotFoundException as error:
        raise _no_endpoint(call, call.path) from error


def target_of(method: str, path: str) -> Target:
    """Return what a request asks for; the library's table is gone through once for each kind of path.

    Raises scim2_models.NotFoundException or scim2_server's MethodNotAllowedException.
    """
    parts = path.strip("/").split("/")
    if len(parts) == 2 and not parts[1].startswith("."):
        return replace(_known_target(method, f"/{parts[0]}/id"), resource_id=parts[1])
    return _known_target(method, path) if len(parts) == 1 else match(method, path)


_known_target = lru_cache(maxsize=256)(match)


async def _route(call: Call, target: Target, cursors: Cursors) -> Answer:
    operation = target.operation
    me.refuse_others(call, target)
    if operation is Operation.bulk:
        return await bulk.run(call, lambda each: handle(each, cursors))
    if target.me:
        return await me.answer(call, operation)
    if operation in _SEARCHES:
        body = call.body() if operation is Operation.search_with_body else None
        asked = search.read_query(call.query) if body is None else search.read_search_request(body)
        searched = (
            [_shape(call, target.endpoint)]
            if target.endpoint
            else list(shapes(call.caller.declared).values())
        )
        return await search.listing(call, searched, asked, cursors)
    if operation is Operation.service_provider_config:
        return discovery.service_provider_config(call)
    if operation in (Operation.resource_types, Operation.resource_type):
        return discovery.resource_types(call, target.resource_id)
    if operation in (Operation.schemas, Operation.schema):
        return discovery.schemas(call, target.resource_id)
    return await _resource(call, _shape(call, target.endpoint), operation, target.resource_id or "")


async def _resource(call: Call, shape: Shape, operation: Operation, resource_id: str) -> Answer:
    if shape.name == "User":
        if operation is Operation.create:
            return await users.create(call)
        one = {
            Operation.query: users.read,
            Operation.replace: users.replace,
            Operation.patch: users.patch,
            Operation.delete: users.delete,
        }
        return await one[operation](call, UserId(resource_id))
    if operation is Operation.create:
        return await groups.create(call)
    one_group = {
        Operation.query: groups.read,
        Operation.replace: groups.replace,
        Operation.patch: groups.patch,
        Operation.delete: groups.delete,
    }
    return await one_group[operation](call, GroupId(resource_id))


def _shape(call: Call, endpoint: str | None) -> Shape:
    found = shapes(call.caller.declared).get((endpoint or "").lower())
    if found is None:
        raise _no_endpoint(call, f"/{endpoint}")
    return found


def _no_endpoint(call: Call, path: str) -> NotFoundException:
    """Name the right base: most likely the tenant URL in Entra has a part too many (design.md §6)."""
    detail = f"There is no SCIM endpoint {path[:200]}. In Entra, set the tenant URL to {call.caller.base}"
    return NotFoundException(detail=detail)


async def log_refusal(call: Call, error: Exception) -> None:
    """Put a refused write where the admin looks: what was asked, why not, what to do (design.md §1, Evidence)."""
    action = _ACTIONS.get(call.method)
    target = _target_or_nothing(call)
    if action is None or (target is not None and target.operation in _SEARCHES):
        return
    refusal = refusal_of(error)
    step = Step("perform", LogStatus.FAILURE, str(refusal.body["detail"]), {"status": refusal.status})
    is_group = target is not None and (target.endpoint or "").lower() == "groups"
    itself = call.caller.token.user_id if target is not None and target.me else None
    connection = call.caller.connection

    async def append(writing: AsyncConnection) -> None:
        await provisioning_log.append(
            writing,
            connection.tenant_id,
            connection.id,
            call.cause(step),
            action=action,
            status=LogStatus.FAILURE,
            subject_type=SubjectType.GROUP if is_group else SubjectType.USER,
            subject_id=itself or (target.resource_id if target else None),
            subject_label=_label(call, target),
        )

    await call.db.write(append)


def _target_or_nothing(call: Call) -> Target | None:
    try:
        return target_of(call.method, call.path)
    except SCIMException:
        return None


def _label(call: Call, target: Target | None) -> str:
    """Name whom a refused write was about: the id in its path, else the name in its body."""
    if target is not None and target.resource_id:
        return target.resource_id[:200]
    try:
        body = call.body()
    except SCIMException:
        return ""
    names = {key.lower(): value for key, value in body.items()} if isinstance(body, Mapping) else {}
    label = names.get("username") or names.get("displayname")
    return label[:200] if isinstance(label, str) else ""
