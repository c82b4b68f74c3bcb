"""The feed: ordered, without a gap, resumable, and nothing of another tenant."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from store.keys import utc_now
from store.logs import events, retention
from tests.builders.api_client import ApiDesk
from tests.builders.store_rows import create_user


async def test_a_reader_goes_on_from_its_cursor_and_reads_each_event_once(desk: ApiDesk) -> None:
    """Issue 11: "a feed reader killed at any moment": the cursor is all that it keeps."""
    for name in ("ben", "cy", "dan"):
        await create_user(desk.contoso.database, desk.connection, name)
    ids, after = [], None
    while True:
        page = (await desk.contoso.get("/events", limit=2, **({"after": after} if after else {}))).json
        ids += [each["id"] for each in page["items"]]
        after = page["next"]
        if not page["items"]:
            break
    assert len(ids) == len(set(ids)) == 6
    assert ids == sorted(ids, key=int)
    again = (await desk.contoso.get("/events", after=after)).json
    assert (again["items"], again["next"]) == ([], after)


async def test_an_event_says_what_happened_to_what(desk: ApiDesk) -> None:
    [first, *_] = (await desk.contoso.get("/events")).json["items"]
    assert (first["type"], first["subject"]) == ("user.provisioned", {"type": "user", "id": desk.user})
    assert first["data"]["user_name"] == "ann@contoso.example"
    assert first["tenant_id"] == desk.connection.tenant_id


async def test_a_tenant_reads_its_own_events_and_an_operator_those_of_all(desk: ApiDesk) -> None:
    own = (await desk.contoso.get("/events")).json
    assert {each["tenant_id"] for each in own["items"]} == {desk.connection.tenant_id}
    assert (await desk.fabrikam.get("/events")).json["items"] == []
    assert len((await desk.operator.get("/events")).json["items"]) == len(own["items"])
    for cursor in (own["next"], "ev1.all.5", "ev1.all.-1", "garbled", "ev1.all.99999999999999999999"):
        refused = await desk.fabrikam.get("/events", after=cursor)
        assert (refused.status, refused.problem) == (400, "invalid-cursor")


async def test_the_reader_of_a_quiet_tenant_moves_on_with_the_others(desk: ApiDesk) -> None:
    """Else its cursor would grow older than retention though it missed nothing."""
    start = (await desk.fabrikam.get("/events")).json["next"]
    await create_user(desk.contoso.database, desk.connection, "ben")
    page = (await desk.fabrikam.get("/events", after=start)).json
    assert page["items"] == []
    assert page["next"] != start


async def test_types_and_families_are_chosen(desk: ApiDesk) -> None:
    async def kinds(types: str) -> list[str]:
        page = (await desk.contoso.get("/events", types=types)).json
        return [each["type"] for each in page["items"]]

    assert await kinds("group.*") == ["group.created"]
    assert await kinds("user,membership") == ["user.provisioned", "membership.added"]
    assert await kinds("membership.added") == ["membership.added"]
    refused = await desk.contoso.get("/events", types="user.exploded")
    assert (refused.status, refused.problem) == (422, "invalid-value")


async def test_a_waiting_reader_is_answered_when_something_happens(desk: ApiDesk) -> None:
    """Long poll: no event, no answer, until the time is over."""
    after = (await desk.contoso.get("/events")).json["next"]
    waiting = asyncio.create_task(desk.contoso.get("/events", after=after, wait=10))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await create_user(desk.contoso.database, desk.connection, "ben")
    [event] = (await asyncio.wait_for(waiting, 3)).json["items"]
    assert event["data"]["user_name"] == "ben@contoso.example"


async def test_a_cursor_older_than_retention_is_410_with_a_place_to_go_on_from(desk: ApiDesk) -> None:
    """Issue 11: "answers 410 with a snapshot to start from"."""
    old = (await desk.contoso.get("/events", limit=1)).json["next"]
    for name in ("ben", "cy"):
        await create_user(desk.contoso.database, desk.connection, name)
    tomorrow = utc_now() + timedelta(days=1)
    await desk.contoso.database.write(lambda conn: retention.prune_events(conn, tomorrow))
    gone = await desk.contoso.get("/events", after=old)
    assert (gone.status, gone.problem) == (410, "gone")
    page = (await desk.contoso.get("/events", after=gone.json["snapshot"])).json
    assert page["items"] == []
    assert len((await desk.contoso.get("/events")).json["items"]) == 1


async def test_a_cursor_of_the_future_is_410_for_a_restored_database(desk: ApiDesk) -> None:
    """After a restore ids are drawn anew: waiting for the old place would skip what happens till then."""
    scope = desk.connection.tenant_id[-12:]
    gone = await desk.contoso.get("/events", after=f"ev1.{scope}.4711")
    assert (gone.status, gone.problem) == (410, "gone")
    async with desk.contoso.database.reading() as conn:
        assert await events.pruned_through(conn) == 0
