"""Groups of any size, and Entra's habit of sending one PATCH for each member, many at the same instant."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import ClientError, ClientSession, TCPConnector
from sqlalchemy import ColumnElement, String, cast, delete, insert, literal, select, text, update

from store import lifecycle, tables
from store.records import AddMembers, Cause, CreateUser, GroupId, Origin
from store.rows import utc_now
from tests.integration.scim.client import ScimClient


async def many_users(scim: ScimClient, number: int) -> list[str]:
    """Create users beside HTTP, where the point is not how they came."""
    connection, cause = scim.connection, Cause(Origin.SCIM, "setup")
    commands = [CreateUser({"userName": f"u{each:05}@northwind.example"}) for each in range(number)]
    outcomes = await lifecycle.perform(scim.database, connection.tenant_id, connection.id, commands, cause)
    return [each.record.id for each in outcomes if each.record]


async def fill(scim: ScimClient, group_id: str, members: Sequence[str]) -> None:
    connection, cause = scim.connection, Cause(Origin.SCIM, "setup")
    command = AddMembers(GroupId(group_id), tuple(members))
    await lifecycle.perform(scim.database, connection.tenant_id, connection.id, [command], cause)


def add(member_id: str) -> dict[str, Any]:
    return {"op": "Add", "path": "members", "value": [{"$ref": None, "value": member_id}]}


def remove(member_id: str) -> dict[str, Any]:
    return {"op": "Remove", "path": "members", "value": [{"value": member_id}]}


async def test_300_simultaneous_patches_of_one_group_all_take_effect(scim: ScimClient) -> None:
    """Captures: Entra sends a PATCH for each member, many in parallel; lost updates are why others fail."""
    users = await many_users(scim, 300)
    group = await scim.create_group("Everybody", *users[:100])
    path = f"/Groups/{group['id']}"
    gone, new = users[:100], users[100:]
    operations = [*(remove(each) for each in gone), *(add(each) for each in new)]
    replies = await asyncio.gather(*(scim.patch(path, each) for each in operations))
    assert {each.status for each in replies} == {204}
    assert await scim.member_ids(group["id"]) == set(new)


async def test_a_large_group_is_sent_whole_and_piece_by_piece(scim: ScimClient) -> None:
    """More members than are read at once, and more bytes than are held at once."""
    users = await many_users(scim, 5_200)
    group = await scim.create_group("Everybody")
    await fill(scim, group["id"], users)
    reply = await scim.get(f"/Groups/{group['id']}")
    assert reply.headers.get("Transfer-Encoding") == "chunked"
    assert reply.body["displayName"] == "Everybody"
    assert sorted(each["value"] for each in reply.body["members"]) == sorted(users)
    listed = (await scim.get("/Groups")).body["Resources"]
    assert listed == [reply.body]
    narrow = (await scim.get(f"/Groups/{group['id']}?attributes=members.value")).body
    assert set(narrow["members"][0]) == {"value"}


async def crowd(scim: ScimClient, group_id: str, number: int) -> str:
    """Put very many members into a group, beside everything; gives the id of the last."""
    numbers = select(literal(1).label("number")).cte(recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < number))
    row: dict[str, ColumnElement[Any]] = {
        "group_id": literal(group_id),
        "member_id": cast(numbers.c.number + 10**8, String),
        "member_type": literal("user"),
        "tenant_id": literal(scim.connection.tenant_id),
        "connection_id": literal(scim.connection.id),
        "origin": literal("scim"),
        "created_at": literal(utc_now(), tables.memberships.c.created_at.type),
    }
    rows = select(*row.values()).select_from(numbers)
    await scim.database.write(
        lambda writing: writing.execute(insert(tables.memberships).from_select(list(row), rows))
    )
    return str(number + 10**8)


@asynccontextmanager
async def narrow_session() -> AsyncIterator[ClientSession]:
    """A client that has little room for what it has not read yet."""

    def little_room(address: tuple[Any, ...]) -> socket.socket:
        narrow = socket.socket(*address[:3])
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        return narrow

    async with ClientSession(connector=TCPConnector(socket_factory=little_room)) as session:
        yield session


@asynccontextmanager
async def memberships_out_of_the_way(scim: ScimClient) -> AsyncIterator[None]:
    """Whoever asks for memberships meanwhile fails."""

    async def rename(before: str, after: str) -> None:
        await scim.database.write(lambda conn: conn.execute(text(f"ALTER TABLE {before} RENAME TO {after}")))

    await rename("memberships", "memberships_away")
    try:
        yield
    finally:
        await rename("memberships_away", "memberships")


async def test_a_group_of_100_000_is_on_its_way_before_its_last_row_is_read(scim: ScimClient) -> None:
    """Issue 4: "a GET with 100,000 members streams": who leaves after the first bytes came is not among the last."""
    group = await scim.create_group("Everybody")
    last = await crowd(scim, group["id"], 100_000)
    url = scim.http.make_url(f"{scim.base}/Groups/{group['id']}")
    headers = {"Authorization": f"Bearer {scim.token}"}
    leaving = delete(tables.memberships).where(tables.memberships.c.member_id == last)
    async with narrow_session() as session, session.get(url, headers=headers) as answer:
        received = await answer.content.readany()
        assert received.startswith(b"{")
        await scim.database.write(lambda writing: writing.execute(leaving))
        received += await answer.content.read()
    members = orjson.loads(received)["members"]
    assert len(members) == 99_999
    assert last not in {each["value"] for each in members}


async def test_an_answer_that_breaks_off_never_looks_whole(scim: ScimClient) -> None:
    """Half a list must not be taken for the list: the connection ends before the last chunk (RFC 9112 §8)."""
    group = await scim.create_group("Everybody")
    await crowd(scim, group["id"], 100_000)
    url = scim.http.make_url(f"{scim.base}/Groups/{group['id']}")
    headers = {"Authorization": f"Bearer {scim.token}"}
    async with narrow_session() as session, session.get(url, headers=headers) as answer:
        await answer.content.readany()
        async with memberships_out_of_the_way(scim):
            with pytest.raises(ClientError):
                await answer.content.read()
    assert (await scim.get(f"/Groups/{group['id']}?excludedAttributes=members")).status == 200


async def test_the_answer_with_100_000_members_takes_no_more_memory_than_with_10_000(
    scim: ScimClient,
) -> None:
    """Issue 4: "a GET with 100,000 members streams": nowhere is the list held."""
    peaks: dict[int, int] = {}
    for number in (10_000, 100_000):
        group = await scim.create_group(f"{number} people")
        await crowd(scim, group["id"], number)
        url = scim.http.make_url(f"{scim.base}/Groups/{group['id']}")
        headers, size = {"Authorization": f"Bearer {scim.token}"}, 0
        tracemalloc.start()
        async with scim.http.session.get(url, headers=headers) as answer:
            async for piece in answer.content.iter_any():
                size += len(piece)
        peaks[number] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > number * 90, "all of them came"
    assert peaks[100_000] < 1.5 * peaks[10_000]


async def test_a_group_without_members_asked_for_never_looks_at_them(scim: ScimClient) -> None:
    """Issue 4: "never touches memberships": it is all the same when there is no such table."""
    [member] = await many_users(scim, 1)
    group = await scim.create_group("Everybody", member)
    async with memberships_out_of_the_way(scim):
        reply = await scim.get(f"/Groups/{group['id']}")
        assert (reply.status, "schemas" in reply.body) == (503, True), "it would be missed"
        for query in ("excludedAttributes=members", "attributes=displayName"):
            one = await scim.get(f"/Groups/{group['id']}?{query}")
            assert (one.status, one.body["displayName"], "members" in one.body) == (200, "Everybody", False)
            listed = await scim.get(f"/Groups?{query}&filter=displayName+eq+%22everybody%22")
            assert listed.body["Resources"] == [one.body]


@pytest.mark.parametrize("form", ["Entra's", "RFC 7644's"])
async def test_coming_and_going_never_reads_the_list(scim: ScimClient, form: str) -> None:
    """Issue 4: "a PATCH that only adds or removes members ... never loads the list": not one other row could be read."""
    first, second, *others = await many_users(scim, 4)
    group = await scim.create_group("Everybody", first, *others)
    columns = tables.memberships.c
    spoil = update(tables.memberships).where(columns.member_id.in_(others)).values(origin="nobody we know")
    await scim.database.write(lambda conn: conn.execute(spoil))
    path = f"/Groups/{group['id']}"
    by_filter = {"op": "remove", "path": f'members[value eq "{first}"]'}
    coming = {"op": "add", "path": "members", "value": [{"value": second}]}
    entras = form == "Entra's"
    for operation in (add(second), remove(first)) if entras else (coming, by_filter):
        assert (await scim.patch(path, operation)).status == 204
    assert (await scim.get(path)).status == 500, "it would be noticed"
    mend = update(tables.memberships).where(columns.member_id.in_(others)).values(origin="scim")
    await scim.database.write(lambda conn: conn.execute(mend))
    assert await scim.member_ids(group["id"]) == {second, *others}


async def test_both_dialects_come_at_once_on_one_tenant(scim: ScimClient) -> None:
    """Issue 4: "both PATCH dialects at once on one tenant": of one connection's two jobs each has its own."""
    user = await scim.create_user("ida@northwind.example")
    members = await many_users(scim, 20)
    group = await scim.create_group("Everybody", *members[10:])
    person, crowd_path = f"/Users/{user['id']}", f"/Groups/{group['id']}"
    old = [(add(new), remove(gone)) for new, gone in zip(members[:5], members[10:15], strict=True)]
    new = [
        (
            {"op": "add", "path": "members", "value": [{"value": come}]},
            {"op": "remove", "path": f'members[value eq "{gone}"]'},
        )
        for come, gone in zip(members[5:10], members[15:], strict=True)
    ]
    replies = await asyncio.gather(
        *(scim.patch(crowd_path, each) for pair in (*old, *new) for each in pair),
        scim.patch(person, {"op": "Replace", "path": "active", "value": "False"}),
        scim.patch(person, {"op": "replace", "value": {"title": "Curator", "name.givenName": "Ida"}}),
        scim.patch(person, {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+47 1"}),
    )
    assert {each.status for each in replies[:-3]} == {204}
    assert {each.status for each in replies[-3:]} == {200}
    assert await scim.member_ids(group["id"]) == set(members[:10])
    after = (await scim.get(person)).body
    assert (after["active"], after["title"], after["name"]["givenName"]) == (False, "Curator", "Ida")
    assert after["phoneNumbers"] == [{"type": "mobile", "value": "+47 1"}]


async def test_members_can_be_removed_by_other_filters(scim: ScimClient) -> None:
    """RFC 7644 §3.5.2.2: whatever the filter in the path selects."""
    first, second = await many_users(scim, 2)
    child = await scim.create_group("Interns")
    group = await scim.create_group("Everybody", first, second, child["id"])
    path = f"/Groups/{group['id']}"
    by_type = {"op": "remove", "path": 'members[type eq "Group"]'}
    assert (await scim.patch(path, by_type)).status == 204
    assert await scim.member_ids(group["id"]) == {first, second}
    either = {"op": "remove", "path": f'members[value eq "{first}" or value eq "nobody"]'}
    assert (await scim.patch(path, either)).status == 204
    assert await scim.member_ids(group["id"]) == {second}


async def test_replace_sets_the_members_and_remove_without_a_value_empties(scim: ScimClient) -> None:
    """RFC 7644 §3.5.2.2 and §3.5.2.3."""
    first, second = await many_users(scim, 2)
    group = await scim.create_group("Everybody", first)
    path = f"/Groups/{group['id']}"
    assert (
        await scim.patch(path, {"op": "replace", "path": "members", "value": [{"value": second}]})
    ).status == 204
    assert await scim.member_ids(group["id"]) == {second}
    path_less = {"op": "replace", "value": {"displayName": "All", "members": [{"value": first}]}}
    assert (await scim.patch(path, path_less)).status == 204
    assert await scim.member_ids(group["id"]) == {first}
    assert (await scim.patch(path, {"op": "remove", "path": "members"})).status == 204
    assert await scim.member_ids(group["id"]) == set()


async def test_a_patch_with_an_unknown_member_changes_nothing(scim: ScimClient) -> None:
    """RFC 7644 §3.5.2: a PATCH is atomic."""
    first, second = await many_users(scim, 2)
    group = await scim.create_group("Everybody", first)
    rename = {"op": "replace", "path": "displayName", "value": "All"}
    reply = await scim.patch(f"/Groups/{group['id']}", rename, remove(first), add(second), add("nobody"))
    assert reply.status == 400
    assert (await scim.get(f"/Groups/{group['id']}")).body == {**group, "members": group["members"]}


async def test_a_group_cannot_be_a_member_of_itself(scim: ScimClient) -> None:
    """RFC 7643 §4.2 has groups in groups, no more; the admin is told what to do, and nothing is half-done."""
    [member] = await many_users(scim, 1)
    group = await scim.create_group("Everybody", member)
    path, body = f"/Groups/{group['id']}", {"displayName": "All", "members": [{"value": group["id"]}]}
    replies = [
        await scim.patch(path, add(group["id"])),
        await scim.patch(path, {"op": "replace", "path": "members", "value": [{"value": group["id"]}]}),
        await scim.patch(path, {"op": "replace", "path": "displayName", "value": "All"}, add(group["id"])),
        await scim.put(path, body),
    ]
    for reply in replies:
        assert (reply.status, reply.body["scimType"]) == (400, "invalidValue")
        assert "Take it out of its own members in Entra" in reply.body["detail"]
    assert (await scim.get(path)).body == group
    assert (await scim.patch(path, remove(group["id"]))).status == 204, "a non-member leaves without harm"


async def test_the_last_operation_on_a_member_wins(scim: ScimClient) -> None:
    """RFC 7644 §3.5.2: operations are applied sequentially in the order they appear."""
    first, second = await many_users(scim, 2)
    group = await scim.create_group("Everybody", first)
    path = f"/Groups/{group['id']}"
    assert (await scim.patch(path, remove(first), add(first), add(second), remove(second))).status == 204
    assert await scim.member_ids(group["id"]) == {first}
    rename = {"op": "replace", "path": "displayName", "value": "All"}
    assert (await scim.patch(path, rename, remove(first), add(first))).status == 204
    assert await scim.member_ids(group["id"]) == {first}
    replace = {"op": "replace", "path": "members", "value": []}
    assert (await scim.patch(path, add(first), replace, add(second), add(first), remove(first))).status == 204
    assert await scim.member_ids(group["id"]) == {second}
