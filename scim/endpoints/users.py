"""/Users: create, read, replace, patch, delete one user (RFC 7644 §3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scim2_models import ForbiddenException

from scim.endpoints.projection import answer_projection
from scim.endpoints.representation import (
    expected_version,
    group_value,
    is_unchanged,
    resource_headers,
    user_resource,
)
from scim.patch.apply import apply, read_resource
from scim.patch.document_limits import refuse_beyond
from scim.patch.operations import Operation, dialect_step, ignored_steps, read_patch
from scim.request import ScimRequest, ScimResponse
from scim.schema.definitions import ENTERPRISE_URN
from store import lifecycle
from store.directory import memberships, users
from store.errors import NotFound
from store.records import (
    ChangeUser,
    Command,
    CreateUser,
    DeleteUser,
    Document,
    LogStatus,
    Outcome,
    Step,
    User,
    UserId,
)
from store.records.names import is_storable

SECTION = "admin:user"
NOT_ONES_OWN = ("userName", "externalId", "active", "roles", "entitlements", "groups")
"""Attributes of a user that others decide: no token of the user changes them."""


async def create(request: ScimRequest) -> ScimResponse:
    request.principal.require(SECTION, "create")
    document, ignored = read_resource(request.principal.user_shape, request.body())
    refuse_beyond(request.limits, {}, document)
    manager = await manager_steps(request, document)
    outcome = await _perform(request, CreateUser(document), *ignored_steps(ignored), *manager)
    return await _answer(request, _user(outcome), status=201)


async def read(request: ScimRequest, user_id: UserId) -> ScimResponse:
    request.principal.require(SECTION, "read")
    user = await _get(request, user_id)
    if is_unchanged(request, user):
        return ScimResponse(304, headers={"ETag": resource_headers(user, request.principal.base)["ETag"]})
    return await _answer(request, user)


async def replace(request: ScimRequest, user_id: UserId) -> ScimResponse:
    """Replace a user (PUT): attributes left out are cleared.

    Without `active` its value stays, so that no disabled user is re-enabled.
    """
    request.principal.require(SECTION, "update")
    document, ignored = read_resource(request.principal.user_shape, request.body())

    def change(before: Document) -> Document:
        kept = NOT_ONES_OWN if request.is_self else ("active",)
        stays = {name: before[name] for name in kept if name in before}
        return {"active": True, **stays, **document}

    manager = await manager_steps(request, document)
    return await _change(request, user_id, change, *ignored_steps(ignored), *manager)


async def patch(request: ScimRequest, user_id: UserId) -> ScimResponse:
    request.principal.require(SECTION, "update")
    shape = request.principal.user_shape
    parsed = read_patch(shape, request.body(), request.limits)

    def change(before: Document) -> Document:
        return apply(shape, before, parsed.operations, request.limits.max_patch_comparisons)

    about_manager = _about_manager(parsed.operations)
    written = apply(shape, {"userName": "-", "active": True}, about_manager) if about_manager else {}
    manager = await manager_steps(request, written)
    return await _change(
        request, user_id, change, dialect_step(parsed), *ignored_steps(parsed.ignored), *manager
    )


async def delete(request: ScimRequest, user_id: UserId) -> ScimResponse:
    """Deprovision and hide the user; the history is kept (design.md §7, I8)."""
    request.principal.require(SECTION, "delete")
    version = await expected_version(request, lambda: _get(request, user_id))
    await _perform(request, DeleteUser(user_id, expected_version=version))
    return ScimResponse(204)


async def _change(
    request: ScimRequest, user_id: UserId, change: Callable[[Document], Document], *steps: Step
) -> ScimResponse:
    version = await expected_version(request, lambda: _get(request, user_id))

    def bounded(before: Document) -> Document:
        after = change(before)
        if request.is_self:
            _refuse_beyond_oneself(before, after)
        refuse_beyond(request.limits, before, after)
        return after

    outcome = await _perform(request, ChangeUser(user_id, bounded, version), *steps)
    return await _answer(request, _user(outcome))


def _refuse_beyond_oneself(before: Document, after: Document) -> None:
    """Raise scim2_models.ForbiddenException where a user writes of themselves what
    others decide.
    """
    changed = [name for name in NOT_ONES_OWN if before.get(name) != after.get(name)]
    if changed:
        raise ForbiddenException(
            detail=f"Nobody changes this about themselves: {', '.join(changed)}. Entra, or an admin, does."
        )


async def _get(request: ScimRequest, user_id: UserId) -> User:
    principal = request.principal
    async with request.db.reading(single_statement=True) as connection:
        return await users.get(
            connection, principal.connection.tenant_id, user_id, connection_id=principal.connection.id
        )


async def _perform(request: ScimRequest, command: Command, *steps: Step) -> Outcome:
    connection = request.principal.connection
    outcomes = await lifecycle.perform(
        request.db, connection.tenant_id, connection.id, [command], request.cause(*steps)
    )
    return outcomes[0]


def _about_manager(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations that write the manager as a whole or its id."""
    return [
        each
        for each in operations
        if each.op != "remove" and each.location.attribute and each.location.attribute.name == "manager"
    ]


async def manager_steps(request: ScimRequest, document: Document) -> tuple[Step, ...]:
    """Return the step that says that a written manager is no user of this connection.

    It is kept all the same: Entra may create the manager later.
    """
    enterprise = document.get(ENTERPRISE_URN)
    manager = enterprise.get("manager") if isinstance(enterprise, dict) else None
    manager_id = manager.get("value") if isinstance(manager, dict) else None
    if not isinstance(manager_id, str) or not is_storable(manager_id):
        return ()
    try:
        await _get(request, UserId(manager_id))
    except NotFound:
        detail = (
            f"The manager {manager_id[:64]} is no user of this connection: kept as sent. Provision the manager too, "
            "or check the source of 'manager' in the mapping in Entra."
        )
        return (Step("read", LogStatus.WARNING, detail, {"manager": manager_id[:200]}),)
    return ()


def _user(outcome: Outcome) -> User:
    assert isinstance(outcome.record, User)
    return outcome.record


async def _answer(request: ScimRequest, user: User, status: int = 200) -> ScimResponse:
    base = request.principal.base
    projection = answer_projection(request, SECTION, request.principal.user_shape)
    body = user_resource(user, base, projection)
    if projection.asks_for("groups"):
        body["groups"] = await _groups_of(request, user)
    headers = resource_headers(user, base)
    return ScimResponse(
        status, body, {**headers, "Location": headers["Content-Location"]} if status == 201 else headers
    )


async def _groups_of(request: ScimRequest, user: User) -> list[dict[str, Any]]:
    async with request.db.reading() as connection:
        found = await memberships.of_member(connection, user.tenant_id, user.id)
    return [group_value(each, request.principal.base) for each in found]
