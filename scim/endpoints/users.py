"""/Users: create, read, replace, patch, delete one user (RFC 7644 §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scim.endpoints.preconditions import expected_version, is_unchanged
from scim.endpoints.projection import projection_of
from scim.endpoints.representation import group_value, resource_headers, user_resource
from scim.patch.apply import apply, read_resource
from scim.patch.operations import dialect_step, ignored_steps, read_patch
from scim.request import Answer, Call
from store import lifecycle
from store.directory import memberships, users
from store.records import (
    ChangeUser,
    Command,
    CreateUser,
    DeleteUser,
    Document,
    Outcome,
    Step,
    User,
    UserId,
)

SECTION = "admin:user"


async def create(call: Call) -> Answer:
    call.caller.require(SECTION, "create")
    document, ignored = read_resource(call.caller.user_shape, call.body())
    outcome = await _perform(call, CreateUser(document), *ignored_steps(ignored))
    return await _answer(call, _user(outcome), status=201)


async def read(call: Call, user_id: UserId) -> Answer:
    call.caller.require(SECTION, "read")
    user = await _get(call, user_id)
    if is_unchanged(call, user):
        return Answer(304, headers={"ETag": resource_headers(user, call.caller.base)["ETag"]})
    return await _answer(call, user)


async def replace(call: Call, user_id: UserId) -> Answer:
    """PUT: what the client leaves out is cleared, but nobody is re-enabled by not being mentioned."""
    call.caller.require(SECTION, "update")
    document, ignored = read_resource(call.caller.user_shape, call.body())

    def change(before: Document) -> Document:
        return document if "active" in document else {**document, "active": before.get("active", True)}

    return await _change(call, user_id, change, *ignored_steps(ignored))


async def patch(call: Call, user_id: UserId) -> Answer:
    call.caller.require(SECTION, "update")
    shape = call.caller.user_shape
    asked = read_patch(shape, call.body(), call.limits.max_patch_operations)

    def change(before: Document) -> Document:
        return apply(shape, before, asked.operations)

    return await _change(call, user_id, change, dialect_step(asked), *ignored_steps(asked.ignored))


async def delete(call: Call, user_id: UserId) -> Answer:
    """Deprovision and hide the user; nothing of the history is lost (design.md §7, I8)."""
    call.caller.require(SECTION, "delete")
    version = await expected_version(call, lambda: _get(call, user_id))
    await _perform(call, DeleteUser(user_id, expected_version=version))
    return Answer(204)


async def _change(
    call: Call, user_id: UserId, change: Callable[[Document], Document], *steps: Step
) -> Answer:
    version = await expected_version(call, lambda: _get(call, user_id))
    outcome = await _perform(call, ChangeUser(user_id, change, version), *steps)
    return await _answer(call, _user(outcome))


async def _get(call: Call, user_id: UserId) -> User:
    caller = call.caller
    async with call.db.reading(brief=True) as connection:
        return await users.get(
            connection, caller.connection.tenant_id, user_id, connection_id=caller.connection.id
        )


async def _perform(call: Call, command: Command, *steps: Step) -> Outcome:
    connection = call.caller.connection
    outcomes = await lifecycle.perform(
        call.db, connection.tenant_id, connection.id, [command], call.cause(*steps)
    )
    return outcomes[0]


def _user(outcome: Outcome) -> User:
    assert isinstance(outcome.record, User)
    return outcome.record


async def _answer(call: Call, user: User, status: int = 200) -> Answer:
    base = call.caller.base
    projection = projection_of(call.caller.user_shape, call.query)
    body = user_resource(user, base, projection)
    if projection.asks_for("groups"):
        body["groups"] = await _groups_of(call, user)
    headers = resource_headers(user, base)
    return Answer(
        status, body, {**headers, "Location": headers["Content-Location"]} if status == 201 else headers
    )


async def _groups_of(call: Call, user: User) -> list[dict[str, Any]]:
    async with call.db.reading() as connection:
        found = await memberships.of_member(connection, user.tenant_id, user.id)
    return [group_value(each, call.caller.base) for each in found]
