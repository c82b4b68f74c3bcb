"""Route a request to its endpoint (RFC 7644 §3.2), and log every refused write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

import prometheus_client
import structlog
from scim2_models import NotFoundException, SCIMException
from scim2_server.cursor import Cursors
from scim2_server.errors import MethodNotAllowedException
from scim2_server.routing import Operation, Target, match
from sqlalchemy.ext.asyncio import AsyncConnection

from scim.endpoints import bulk, discovery, groups, me, search, users
from scim.errors import refusal_of, with_derived
from scim.request import ScimRequest, ScimResponse
from scim.schema.definitions import Shape, shapes
from store import lifecycle
from store.directory import users as accounts
from store.errors import PushBraked, Terminal, UniquenessConflict
from store.logs import provisioning_log
from store.logs.journal import LogSubject
from store.records import (
    Action,
    Connection,
    GraphId,
    GroupId,
    LogStatus,
    Origin,
    SealUser,
    Step,
    SubjectType,
    UserId,
    is_object_id,
)
from store.records.drift import ConflictKind, PushConflict
from store.sync import push_conflicts

_ACTIONS = {"POST": Action.CREATE, "PUT": Action.UPDATE, "PATCH": Action.UPDATE, "DELETE": Action.DELETE}
_SEARCHES = (Operation.search, Operation.search_with_body)

BRAKES = prometheus_client.Counter("leaver_push_brakes_total", "Brakes on removals by push that were put on.")
REFUSED = prometheus_client.Counter(
    "leaver_push_removals_refused_total", "Requests of a push that a brake refused."
)

log = structlog.get_logger()


async def handle(request: ScimRequest, cursors: Cursors) -> ScimResponse:
    """Answer one request.

    Raises the SCIMException or StoreError that refuses it. A refused write is in the
    provisioning log by then.
    """
    try:
        return await _route(request, _target(request), cursors)
    except PushBraked as error:
        _note_refused(request.principal.connection, error)
        await log_refusal(request, error)
        raise
    except (SCIMException, Terminal) as error:
        await log_refusal(request, error)
        raise


def _target(request: ScimRequest) -> Target:
    try:
        return target_of(request.method, request.path)
    except NotFoundException as error:
        raise _no_endpoint(request, request.path) from error


def target_of(method: str, path: str) -> Target:
    """Return the target of a request; the library matches each kind of path once.

    Raises scim2_models.NotFoundException or scim2_server's MethodNotAllowedException.
    """
    parts = path.strip("/").split("/")
    if len(parts) == 2 and not parts[1].startswith("."):
        return replace(_known_target(method, f"/{parts[0]}/id"), resource_id=parts[1])
    return _known_target(method, path) if len(parts) == 1 else match(method, path)


def allowed_methods(path: str) -> list[str]:
    """Return the methods that a path takes; raises scim2_models.NotFoundException."""
    try:
        target_of("", path)
    except MethodNotAllowedException as error:
        return with_derived(error.allowed)
    return []


_known_target = lru_cache(maxsize=256)(match)


async def _route(request: ScimRequest, target: Target, cursors: Cursors) -> ScimResponse:
    operation = target.operation
    me.refuse_others(request, target)
    if operation is Operation.bulk:
        return await bulk.run(request, lambda each: handle(each, cursors))
    if target.me:
        return await me.answer(request, operation)
    if operation in _SEARCHES:
        body = request.body() if operation is Operation.search_with_body else None
        asked = search.read_query(request.query) if body is None else search.read_search_request(body)
        searched = (
            [_shape(request, target.endpoint)]
            if target.endpoint
            else list(shapes(request.principal.declared).values())
        )
        return await search.listing(request, searched, asked, cursors)
    if operation is Operation.service_provider_config:
        return discovery.service_provider_config(request)
    if operation in (Operation.resource_types, Operation.resource_type):
        return discovery.resource_types(request, target.resource_id)
    if operation in (Operation.schemas, Operation.schema):
        return discovery.schemas(request, target.resource_id)
    return await _resource(request, _shape(request, target.endpoint), operation, target.resource_id or "")


async def _resource(
    request: ScimRequest, shape: Shape, operation: Operation, resource_id: str
) -> ScimResponse:
    if shape.name == "User":
        if operation is Operation.create:
            return await users.create(request)
        one = {
            Operation.query: users.read,
            Operation.replace: users.replace,
            Operation.patch: users.patch,
            Operation.delete: users.delete,
        }
        return await one[operation](request, UserId(resource_id))
    if operation is Operation.create:
        return await groups.create(request)
    one_group = {
        Operation.query: groups.read,
        Operation.replace: groups.replace,
        Operation.patch: groups.patch,
        Operation.delete: groups.delete,
    }
    return await one_group[operation](request, GroupId(resource_id))


def _shape(request: ScimRequest, endpoint: str | None) -> Shape:
    found = shapes(request.principal.declared).get((endpoint or "").lower())
    if found is None:
        raise _no_endpoint(request, f"/{endpoint}")
    return found


def _no_endpoint(request: ScimRequest, path: str) -> NotFoundException:
    """Name the right base: most likely the tenant URL in Entra has a part too many
    (design.md §6).
    """
    detail = (
        f"There is no SCIM endpoint {path[:200]}. In Entra, set the tenant URL to {request.principal.base}"
    )
    return NotFoundException(detail=detail)


async def log_refusal(request: ScimRequest, error: Exception) -> None:
    """Add a refused write to the provisioning log, with the reason and the remedy.

    See design.md §1, Evidence.
    """
    action = _ACTIONS.get(request.method)
    target = _target_or_nothing(request)
    if action is None or (target is not None and target.operation in _SEARCHES):
        return
    await _note_conflict(request, target, error)
    counted = request.load.note_refusal(request.principal.token.id, request.limits)
    if counted is None:
        return
    refusal = refusal_of(error)
    step = Step("perform", LogStatus.FAILURE, str(refusal.body["detail"]), {"status": refusal.status})
    is_group = target is not None and (target.endpoint or "").lower() == "groups"
    itself = request.principal.token.user_id if target is not None and target.me else None
    connection = request.principal.connection

    async def append(writing: AsyncConnection) -> None:
        await provisioning_log.append(
            writing,
            connection.tenant_id,
            connection.id,
            request.cause(step, *_counted_step(counted)),
            action=action,
            status=LogStatus.FAILURE,
            subject=LogSubject(
                SubjectType.GROUP if is_group else SubjectType.USER,
                itself or (target.resource_id if target else None),
                _label(request, target),
            ),
        )

    await request.db.write(append)


async def _note_conflict(request: ScimRequest, target: Target | None, error: Exception) -> None:
    """Have the pull look at a person, because the push would make a second account of
    that person (identity.md, W1).
    """
    if not isinstance(error, UniquenessConflict) or error.other is None:
        return
    if error.attribute == "userName" and request.method in ("PATCH", "PUT"):
        await _seal_claimed(request, UserId(error.other.id))
    if error.other.object_id is None:
        return
    account = (target.resource_id if target else None) or request.principal.token.user_id or ""
    is_new = request.method == "POST"
    conflict = PushConflict(
        ConflictKind.SECOND_ACCOUNT if is_new else ConflictKind.ANCHOR_BROKEN,
        "" if is_new else account,
        GraphId(error.other.object_id),
        error.other.id,
        datetime.now(UTC),
    )
    connection = request.principal.connection
    await request.db.write(
        lambda writing: push_conflicts.note(writing, connection.tenant_id, connection.id, conflict)
    )


async def _seal_claimed(request: ScimRequest, account_id: UserId) -> None:
    """Seal the account that has a name which Entra gives to another account's person.

    As long as no holder is known, names alone say whose it is, and this name says it no
    more: the next cycle would link the account, with its keys, to the other person
    (identity.md, W6).
    """
    connection = request.principal.connection
    step = Step("evaluate", LogStatus.WARNING, "the push gives its userName to another account")

    async def work(writing: AsyncConnection) -> None:
        account = await accounts.get(writing, connection.tenant_id, account_id, connection_id=connection.id)
        is_proved = account.entra_object_id is not None or is_object_id(account.external_id or "")
        is_ours = account.is_admin or account.is_protected or account.origin is Origin.CONSOLE
        if account.sealed_at is None and not (is_proved or is_ours):
            seal = SealUser(account.id, account.version)
            of_connection = connection.tenant_id, connection.id
            await lifecycle.perform_within(writing, *of_connection, [seal], request.cause(step))

    if connection.has_credential:
        await request.db.write(work)


def _counted_step(counted: int) -> tuple[Step, ...]:
    if not counted:
        return ()
    detail = (
        f"{counted} refused writes of this token before this one were only counted: too many in a minute."
    )
    return (Step("receive", LogStatus.WARNING, detail, {"only_counted": counted}),)


def _target_or_nothing(request: ScimRequest) -> Target | None:
    try:
        return target_of(request.method, request.path)
    except SCIMException:
        return None


def _label(request: ScimRequest, target: Target | None) -> str:
    """Return the subject of a refused write: the id in its path, else the name in its
    body.
    """
    if target is not None and target.resource_id:
        return target.resource_id[:200]
    try:
        body = request.body()
    except SCIMException:
        return ""
    names = {key.lower(): value for key, value in body.items()} if isinstance(body, Mapping) else {}
    label = names.get("username") or names.get("displayname")
    return label[:200] if isinstance(label, str) else ""


def _note_refused(connection: Connection, braked: PushBraked) -> None:
    """Note a refused request; log once for each brake that is put on."""
    REFUSED.inc()
    if not braked.is_new:
        return
    BRAKES.inc()
    log.error(
        "push.braked",
        connection_id=connection.id,
        why=braked.reason,
        remedy=f"leaver connection release-brake {connection.id}",
    )
