"""/Groups: create, read, replace, patch, delete one group.

Its members are rows of their own, never a list in its document.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from scim.endpoints.projection import Projection, answer_projection, project
from scim.endpoints.representation import (
    expected_version,
    group_resource,
    is_unchanged,
    member_value,
    resource_headers,
)
from scim.patch.apply import apply, read_resource
from scim.patch.document_limits import refuse_beyond
from scim.patch.members import MemberChange, member_change, member_ids
from scim.patch.operations import Operation, Patch, dialect_step, ignored_steps, read_patch
from scim.request import ScimRequest, ScimResponse
from store import lifecycle
from store.directory import groups, memberships
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

SECTION = "admin:group"
MEMBERS_PER_READ = 500
"""Some 5 ms of work; other requests get their turn between."""


async def create(request: ScimRequest) -> ScimResponse:
    request.principal.require(SECTION, "create")
    document, ignored = read_resource(request.principal.group_shape, request.body())
    members = member_ids(document.pop("members", None))
    refuse_beyond(request.limits, {}, document)
    outcomes = await _perform(request, [CreateGroup(document, member_ids=members)], *ignored_steps(ignored))
    return answer(
        request,
        _group(outcomes[0]),
        answer_projection(request, SECTION, request.principal.group_shape),
        status=201,
    )


async def read(request: ScimRequest, group_id: GroupId) -> ScimResponse:
    request.principal.require(SECTION, "read")
    group = await _get(request, group_id)
    if is_unchanged(request, group):
        return ScimResponse(304, headers={"ETag": resource_headers(group, request.principal.base)["ETag"]})
    return answer(request, group, answer_projection(request, SECTION, request.principal.group_shape))


async def replace(request: ScimRequest, group_id: GroupId) -> ScimResponse:
    """Replace a group (PUT); members not listed are removed (RFC 7644 §3.5.1).

    A body that does not name the members leaves them: the RFC allows to take an omitted
    attribute as cleared, but silence must not take access. Null or [] empties it.
    """
    request.principal.require(SECTION, "update")
    body = request.body()
    document, ignored = read_resource(request.principal.group_shape, body)
    members = member_ids(document.pop("members", None)) if _names_members(body) else None
    version = await expected_version(request, lambda: _get(request, group_id))

    def change(before: Document) -> Document:
        refuse_beyond(request.limits, before, document)
        return document

    command = ChangeGroup(group_id, change, replace_member_ids=members, expected_version=version)
    outcomes = await _perform(request, [command], *ignored_steps(ignored))
    return answer(
        request, _group(outcomes[0]), answer_projection(request, SECTION, request.principal.group_shape)
    )


async def patch(request: ScimRequest, group_id: GroupId) -> ScimResponse:
    """Change a group; the answer is 204 unless `attributes` are requested.

    So it does not depend on the size of the group (Entra SCIM page, "Update Group").
    """
    request.principal.require(SECTION, "update")
    parsed = read_patch(request.principal.group_shape, request.body(), request.limits)
    commands = await _commands(request, group_id, parsed)
    outcomes = await _perform(request, commands, dialect_step(parsed), *ignored_steps(parsed.ignored))
    if "attributes" not in request.query:
        return ScimResponse(
            204, headers={"ETag": resource_headers(_group(outcomes[-1]), request.principal.base)["ETag"]}
        )
    return answer(
        request, _group(outcomes[-1]), answer_projection(request, SECTION, request.principal.group_shape)
    )


async def delete(request: ScimRequest, group_id: GroupId) -> ScimResponse:
    request.principal.require(SECTION, "delete")
    version = await expected_version(request, lambda: _get(request, group_id))
    await _perform(request, [DeleteGroup(group_id, version)])
    return ScimResponse(204)


def _names_members(body: Mapping[str, Any]) -> bool:
    """Return whether a body says something about the members, also that there are
    none.
    """
    return any(key.lower().rpartition(":")[2] == "members" for key in body)


async def _commands(request: ScimRequest, group_id: GroupId, parsed: Patch) -> list[Command]:
    """Turn a PATCH into commands.

    If it only adds and removes members, the row of the group is not rewritten.
    """
    version = await expected_version(request, lambda: _get(request, group_id))
    about_members = [each for each in parsed.operations if _is_about_members(each)]
    others = [each for each in parsed.operations if not _is_about_members(each)]
    members = await member_change(request, group_id, about_members)
    if members.added_and_removed_only and not others and version is None:
        return _member_commands(group_id, members)

    def change(before: Document) -> Document:
        after = apply(request.principal.group_shape, before, others, request.limits.max_patch_comparisons)
        refuse_beyond(request.limits, before, after)
        return after

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


async def _get(request: ScimRequest, group_id: GroupId) -> Group:
    connection = request.principal.connection
    async with request.db.reading(single_statement=True) as reading:
        return await groups.get(reading, connection.tenant_id, group_id, connection_id=connection.id)


async def _perform(request: ScimRequest, commands: Sequence[Command], *steps: Step) -> list[Outcome]:
    connection = request.principal.connection
    return await lifecycle.perform(
        request.db, connection.tenant_id, connection.id, commands, request.cause(*steps)
    )


def _group(outcome: Outcome) -> Group:
    assert isinstance(outcome.record, Group)
    return outcome.record


def answer(request: ScimRequest, group: Group, projection: Projection, status: int = 200) -> ScimResponse:
    """Return the response that holds a group; members are streamed where requested."""
    headers = resource_headers(group, request.principal.base)
    if status == 201:
        headers["Location"] = headers["Content-Location"]
    if not projection.wants("members"):
        return ScimResponse(status, group_resource(group, request.principal.base, projection), headers)
    return ScimResponse(status, written(request, group, projection), headers)


async def written(request: ScimRequest, group: Group, projection: Projection) -> AsyncIterator[bytes]:
    """Write a group with its members as JSON, a few hundred members at a time.

    Each piece is a short read of its own, so that a slow client holds no transaction
    open.
    """
    head = orjson.dumps(group_resource(group, request.principal.base, projection))
    separator = head[:-1] + b',"members":['
    after: str | None = None
    while True:
        async with request.db.reading() as connection:
            found = await memberships.of_group(
                connection, group.tenant_id, group.id, after=after, limit=MEMBERS_PER_READ
            )
        values: list[dict[str, Any]] = [
            project({"members": [member_value(each, request.principal.base)]}, projection)["members"][0]
            for each in found
        ]
        if values:
            yield separator + orjson.dumps(values)[1:-1]
            separator = b","
        if len(found) < MEMBERS_PER_READ:
            break
        after = found[-1].member_id
    yield b"]}" if separator == b"," else separator + b"]}"
