"""/Groups: create, read, replace, patch, delete one group; its members are rows of their own and never a list
here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from scim.endpoints.preconditions import expected_version, is_unchanged
from scim.endpoints.projection import Projection, project, projection_of
from scim.endpoints.representation import group_resource, member_value, resource_headers
from scim.patch.apply import apply, read_resource
from scim.patch.members import MemberChange, member_change, member_ids
from scim.patch.operations import Operation, Patch, dialect_step, ignored_steps, read_patch
from scim.request import Answer, Call
from store import lifecycle
from store.directory import groups
from store.records import (
    AddMembers,
    ChangeGroup,
    Command,
    CreateGroup,
    DeleteGroup,
    Document,
    Group,
    GroupId,
    Outcome,
    RemoveMembers,
    Step,
)
from store.search import query as search

SECTION = "admin:group"
MEMBERS_PER_READ = 5_000


async def create(call: Call) -> Answer:
    call.caller.require(SECTION, "create")
    document, ignored = read_resource(call.caller.group_shape, call.body())
    members = member_ids(document.pop("members", None))
    outcomes = await _perform(call, [CreateGroup(document, member_ids=members)], *ignored_steps(ignored))
    return answer(call, _group(outcomes[0]), projection_of(call.caller.group_shape, call.query), status=201)


async def read(call: Call, group_id: GroupId) -> Answer:
    call.caller.require(SECTION, "read")
    group = await _get(call, group_id)
    if is_unchanged(call, group):
        return Answer(304, headers={"ETag": resource_headers(group, call.caller.base)["ETag"]})
    return answer(call, group, projection_of(call.caller.group_shape, call.query))


async def replace(call: Call, group_id: GroupId) -> Answer:
    """PUT: members not listed leave; listing none empties the group (RFC 7644 §3.5.1)."""
    call.caller.require(SECTION, "update")
    document, ignored = read_resource(call.caller.group_shape, call.body())
    members = member_ids(document.pop("members", None))
    version = await expected_version(call, lambda: _get(call, group_id))
    command = ChangeGroup(group_id, lambda _: document, replace_member_ids=members, expected_version=version)
    outcomes = await _perform(call, [command], *ignored_steps(ignored))
    return answer(call, _group(outcomes[0]), projection_of(call.caller.group_shape, call.query))


async def patch(call: Call, group_id: GroupId) -> Answer:
    """Change a group; 204 whatever its size (Entra SCIM page, "Update Group"), unless attributes are asked
    for."""
    call.caller.require(SECTION, "update")
    asked = read_patch(call.caller.group_shape, call.body(), call.limits.max_patch_operations)
    commands = await _commands(call, group_id, asked)
    outcomes = await _perform(call, commands, dialect_step(asked), *ignored_steps(asked.ignored))
    if "attributes" not in call.query:
        return Answer(204, headers={"ETag": resource_headers(_group(outcomes[-1]), call.caller.base)["ETag"]})
    return answer(call, _group(outcomes[-1]), projection_of(call.caller.group_shape, call.query))


async def delete(call: Call, group_id: GroupId) -> Answer:
    call.caller.require(SECTION, "delete")
    version = await expected_version(call, lambda: _get(call, group_id))
    await _perform(call, [DeleteGroup(group_id, version)])
    return Answer(204)


async def _commands(call: Call, group_id: GroupId, asked: Patch) -> list[Command]:
    """Turn a PATCH into commands: mere additions and removals leave the rest of the group alone."""
    version = await expected_version(call, lambda: _get(call, group_id))
    about_members = [each for each in asked.operations if _is_about_members(each)]
    others = [each for each in asked.operations if not _is_about_members(each)]
    members = await member_change(call, group_id, about_members)
    if members.added_and_removed_only and not others and version is None:
        return _member_commands(group_id, members)

    def change(before: Document) -> Document:
        return apply(call.caller.group_shape, before, others)

    return [
        ChangeGroup(
            group_id,
            change,
            add_member_ids=tuple(members.added),
            remove_member_ids=tuple(members.removed),
            replace_member_ids=None if members.replaced is None else tuple(members.replaced),
            expected_version=version,
        )
    ]


def _member_commands(group_id: GroupId, members: MemberChange) -> list[Command]:
    commands: list[Command] = []
    if members.removed:
        commands.append(RemoveMembers(group_id, tuple(members.removed)))
    if members.added:
        commands.append(AddMembers(group_id, tuple(members.added)))
    return commands


def _is_about_members(operation: Operation) -> bool:
    attribute = operation.location.attribute
    return attribute is not None and attribute.name == "members"


async def _get(call: Call, group_id: GroupId) -> Group:
    connection = call.caller.connection
    async with call.db.reading(brief=True) as reading:
        return await groups.get(reading, connection.tenant_id, group_id, connection_id=connection.id)


async def _perform(call: Call, commands: Sequence[Command], *steps: Step) -> list[Outcome]:
    connection = call.caller.connection
    return await lifecycle.perform(call.db, connection.tenant_id, connection.id, commands, call.cause(*steps))


def _group(outcome: Outcome) -> Group:
    assert isinstance(outcome.record, Group)
    return outcome.record


def answer(call: Call, group: Group, projection: Projection, status: int = 200) -> Answer:
    """Return the answer that holds a group; members come piece by piece, where anybody asked."""
    headers = resource_headers(group, call.caller.base)
    if status == 201:
        headers["Location"] = headers["Content-Location"]
    if not projection.wants("members"):
        return Answer(status, group_resource(group, call.caller.base, projection), headers)
    return Answer(status, written(call, group, projection), headers)


async def written(call: Call, group: Group, projection: Projection) -> AsyncIterator[bytes]:
    """Write a group with its members as JSON, a few thousand members at a time.

    Each piece is a short read of its own, so that a slow client holds no transaction open.
    """
    head = orjson.dumps(group_resource(group, call.caller.base, projection))
    separator = head[:-1] + b',"members":['
    after: str | None = None
    while True:
        async with call.db.reading() as connection:
            found = await search.members(connection, group.tenant_id, group.id, after, MEMBERS_PER_READ)
        values: list[dict[str, Any]] = [
            project({"members": [member_value(each, call.caller.base)]}, projection)["members"][0]
            for each in found
        ]
        if values:
            yield separator + orjson.dumps(values)[1:-1]
            separator = b","
        if len(found) < MEMBERS_PER_READ:
            break
        after = found[-1].member_id
    yield b"]}" if separator == b"," else separator + b"]}"
