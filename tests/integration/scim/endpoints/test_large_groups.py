"""Groups so large that nobody may hold their list: sent piece by piece, changed without reading it."""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import ClientError, ClientSession, TCPConnector
from sqlalchemy import ColumnElement, String, cast, delete, insert, literal, select, text, update

from store import tables
from store.keys import utc_now
from tests.builders.scim_client import ScimClient
from tests.builders.scim_members import add, fill, many_users, remove


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


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # the client's
async def test_a_put_of_20_000_members_with_their_names_is_taken(scim: ScimClient) -> None:
    """Okta cannot send less than value and display of each (getsentry/sentry#77191): 1.7 MB, by default."""
    ids = await many_users(scim, 100)
    members = [
        {"value": each, "display": f"{number:06}.name@northwind.example"}
        for number in range(200)
        for each in ids
    ]
    group = await scim.create_group("Everybody")
    body = orjson.dumps({"displayName": "Everybody", "members": members})
    assert len(body) > 1_700_000
    reply = await scim.put(f"/Groups/{group['id']}", None, raw=body)
    assert (reply.status, {each["value"] for each in reply.body["members"]}) == (200, set(ids))
