"""What a push may take away: the brake, and accounts that keep their access (issue 10, F)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from store import lifecycle
from store.keys import utc_now
from store.lifecycle import access_guards
from store.logs import events
from store.records import Cause, Ceilings, CreateUser, LogStatus, MarkUser, Origin, UserId
from store.records import Policy as AnyPolicy
from store.tenancy import connections, push_brakes
from tests.builders.scim_client import Reply, ScimClient

Policy = partial(AnyPolicy, brake_push=True, protect_from_push=True)
"""As a new connection has it."""
SMALL = Ceilings(floor=2, percent=50, count=4)
OFF = {"op": "replace", "path": "active", "value": False}


async def set_policy(scim: ScimClient, policy: AnyPolicy) -> None:
    connection = scim.connection
    await scim.database.write(
        lambda conn: connections.set_policy(conn, connection.tenant_id, connection.id, policy)
    )


async def staff(scim: ScimClient, number: int) -> list[str]:
    """Create people of the company by push and return their ids."""
    cause = Cause(Origin.SCIM, "arrival")
    created = await lifecycle.perform(
        scim.database,
        scim.connection.tenant_id,
        scim.connection.id,
        [CreateUser({"userName": f"p{each}@x.example", "active": True}) for each in range(number)],
        cause,
        atomic=False,
        now=utc_now() - timedelta(days=30),
    )
    return [outcome.record.id for outcome in created if outcome.record]


async def delete_each(scim: ScimClient, ids: Sequence[str]) -> list[int]:
    return [(await scim.delete(f"/Users/{each}")).status for each in ids]


async def bulk(scim: ScimClient, *operations: dict[str, Any]) -> list[str]:
    reply = await scim.post("/Bulk", {"Operations": list(operations)})
    return [each["status"] for each in reply.body["Operations"]]


async def release(scim: ScimClient, minutes: int = 0) -> None:
    connection = scim.connection
    await scim.database.write(
        lambda conn: push_brakes.release(conn, connection.tenant_id, connection.id, for_minutes=minutes)
    )


async def test_more_removals_than_the_ceilings_wait_for_a_person(scim: ScimClient) -> None:
    """503 with Retry-After, an event, one line in the log; what is held is there as before."""
    await set_policy(scim, Policy(ceilings=SMALL))
    ids = await staff(scim, 12)
    assert await delete_each(scim, ids[:4]) == [204] * 4
    with capture_logs() as logged:
        refused = await scim.delete(f"/Users/{ids[4]}")
        again = await scim.patch(f"/Users/{ids[5]}", OFF)
    assert (refused.status, again.status) == (503, 503)
    assert int(refused.headers["Retry-After"]) >= 60
    assert "release-brake" in refused.body["detail"]
    assert (await scim.get(f"/Users/{ids[4]}")).body["active"] is True
    assert [each["event"] for each in logged].count("push.braked") == 1
    brake = await state(scim)
    assert (brake.refused, "More than 4 active users" in (brake.reason or "")) == (2, True)
    async with scim.database.reading() as conn:
        told = [each.type for each in await events.since(conn, scim.connection.tenant_id, limit=1000)]
    assert told.count("push.braked") == 1
    assert [each.status for each in (await scim.log())[:2]] == [LogStatus.FAILURE] * 2


async def state(scim: ScimClient) -> push_brakes.PushBrake:
    async with scim.database.reading() as conn:
        [brake] = await push_brakes.load(conn, scim.connection.tenant_id, scim.connection.id)
    return brake


async def test_a_brake_stops_one_kind_of_removals_and_nothing_else(scim: ScimClient) -> None:
    """Additions, updates and removals of other kinds go on, for so many members."""
    await set_policy(scim, Policy(ceilings=SMALL))
    ids = await staff(scim, 12)
    assert (await delete_each(scim, ids[:5]))[-1] == 503
    title = {"op": "replace", "path": "title", "value": "Surveyor"}
    assert (await scim.patch(f"/Users/{ids[6]}", title)).status == 200
    group = await scim.create_group("Crew", *ids[4:])
    remove = {"op": "remove", "path": f'members[value eq "{ids[6]}"]'}
    assert (await scim.patch(f"/Groups/{group['id']}", remove)).status == 204
    assert (await scim.put(f"/Groups/{group['id']}", {"displayName": "Crew", "members": []})).status == 503
    assert await scim.member_ids(group["id"]) == set(ids[4:]) - {ids[6]}
    assert (await scim.delete(f"/Groups/{group['id']}")).status == 204


async def test_who_is_enabled_again_is_not_counted_as_gone(scim: ScimClient) -> None:
    """Counted are people without access, not requests."""
    await set_policy(scim, Policy(ceilings=SMALL))
    ids = await staff(scim, 12)
    for each in ids[:6]:
        assert (await scim.patch(f"/Users/{each}", OFF)).status == 200
        assert (await scim.patch(f"/Users/{each}", {**OFF, "value": True})).status == 200


async def test_a_bulk_stops_exactly_at_the_ceiling(scim: ScimClient) -> None:
    """One Bulk of a thousand removals takes no more than as many requests would."""
    await set_policy(scim, Policy(ceilings=SMALL))
    ids = await staff(scim, 10)
    done = await bulk(scim, *({"method": "DELETE", "path": f"/Users/{each}"} for each in ids))
    assert done == ["204"] * 4 + ["503"] * 6


async def test_removals_at_the_same_instant_are_counted_exactly(scim: ScimClient) -> None:
    """Servers and tasks that write at the same time count one another's removals."""
    import asyncio

    await set_policy(scim, Policy(ceilings=SMALL))
    ids = await staff(scim, 12)
    replies: list[Reply] = await asyncio.gather(*(scim.patch(f"/Users/{each}", OFF) for each in ids))
    assert sorted(each.status for each in replies) == [200] * 4 + [503] * 8


async def test_a_released_brake_counts_anew(scim: ScimClient) -> None:
    """From the release on, or after the minutes of a planned offboarding."""
    await set_policy(scim, Policy(ceilings=SMALL))
    ids = await staff(scim, 16)
    assert (await delete_each(scim, ids[:5]))[-1] == 503
    await release(scim)
    assert await delete_each(scim, ids[4:9]) == [204] * 4 + [503]
    await release(scim, minutes=5)
    assert await delete_each(scim, ids[8:16]) == [204] * 8


async def test_a_policy_without_a_brake_lets_every_removal_pass(scim: ScimClient) -> None:
    """The setting for a planned offboarding."""
    await set_policy(scim, Policy(ceilings=SMALL, brake_push=False))
    assert await delete_each(scim, await staff(scim, 6)) == [204] * 6


async def test_members_taken_out_are_counted_by_themselves(scim: ScimClient) -> None:
    """Memberships have their own count: one request for five is five."""
    await set_policy(scim, Policy(ceilings=SMALL))
    ids = await staff(scim, 12)
    group = await scim.create_group("Crew", *ids)
    five = {"op": "remove", "path": "members", "value": [{"value": each} for each in ids[:5]]}
    three = {**five, "value": five["value"][:3]}
    assert (await scim.patch(f"/Groups/{group['id']}", five)).status == 503
    await release(scim)
    assert (await scim.patch(f"/Groups/{group['id']}", three)).status == 204
    assert len(await scim.member_ids(group["id"])) == 9


async def test_a_share_of_a_company_trips_the_brake(scim: ScimClient) -> None:
    """More than the percentage of those who were there."""
    await set_policy(scim, Policy(ceilings=replace(SMALL, percent=20, count=100)))
    assert await delete_each(scim, (await staff(scim, 15))[:4]) == [204] * 3 + [503]


async def test_a_trial_of_new_accounts_trips_no_share(scim: ScimClient) -> None:
    """Validators make a handful of accounts and delete them; the number still counts."""
    await set_policy(scim, Policy(ceilings=SMALL))
    for number in range(4):
        made = await scim.create_user(f"trial{number}@x.example")
        assert (await scim.delete(f"/Users/{made['id']}")).status == 204
    made = await scim.create_user("trial@x.example")
    assert (await scim.delete(f"/Users/{made['id']}")).status == 503


async def test_a_write_that_removes_nothing_asks_the_brake_nothing(
    scim: ScimClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement more for additions and updates."""

    async def fail(*_: object) -> None:
        raise AssertionError("the brake was asked")

    await set_policy(scim, Policy())
    monkeypatch.setattr(access_guards, "_locked", fail)
    ada = await scim.create_user("ada@x.example")
    group = await scim.create_group("Crew", ada["id"])
    added = {"op": "add", "path": "members", "value": [{"value": ada["id"]}]}
    assert (await scim.patch(f"/Groups/{group['id']}", added)).status == 204
    assert (await scim.patch(f"/Users/{ada['id']}", {**OFF, "value": True})).status == 200


async def mark(scim: ScimClient, user_id: str, **marks: bool) -> None:
    connection = scim.connection
    await lifecycle.perform(
        scim.database,
        connection.tenant_id,
        connection.id,
        [MarkUser(UserId(user_id), **marks)],
        Cause(Origin.CONSOLE, "mark"),
    )


@pytest.mark.parametrize(
    ("marks", "remedy"),
    [({"is_protected": True}, "user unprotect"), ({"is_admin": True}, "user admin")],
)
async def test_marked_accounts_keep_their_access_whatever_the_push_says(
    scim: ScimClient, marks: dict[str, bool], remedy: str
) -> None:
    """403 that says how to lift it; other attributes are written."""
    ada, admin = await scim.create_user("ada@x.example"), await scim.create_user("admin@x.example")
    await mark(scim, admin["id"], is_admin=True)
    await mark(scim, ada["id"], **marks)
    await set_policy(scim, Policy())
    path = f"/Users/{ada['id']}"
    refused = [await scim.patch(path, OFF), await scim.delete(path)]
    assert [each.status for each in refused] == [403, 403]
    assert all(remedy in each.body["detail"] and ada["id"] in each.body["detail"] for each in refused)
    title = {"op": "replace", "path": "title", "value": "Surveyor"}
    assert (await scim.patch(path, title)).body["title"] == "Surveyor"
    await set_policy(scim, Policy(protect_from_push=False))
    assert (await scim.patch(path, OFF)).status == 200


async def test_the_last_admin_keeps_access_whatever_the_policy_says(scim: ScimClient) -> None:
    """An admin who remains can name another one."""
    await set_policy(scim, Policy(protect_from_push=False))
    ada, eve = await scim.create_user("ada@x.example"), await scim.create_user("eve@x.example")
    await mark(scim, ada["id"], is_admin=True)
    refused = await scim.delete(f"/Users/{ada['id']}")
    assert (refused.status, "last active admin" in refused.body["detail"]) == (403, True)
    await mark(scim, eve["id"], is_admin=True)
    assert (await scim.delete(f"/Users/{ada['id']}")).status == 204


async def test_an_account_made_here_keeps_its_access(scim: ScimClient) -> None:
    """A local account is not Entra's to end."""
    connection = scim.connection
    await set_policy(scim, Policy())
    [made] = await lifecycle.perform(
        scim.database,
        connection.tenant_id,
        connection.id,
        [CreateUser({"userName": "local@x.example", "active": True})],
        Cause(Origin.CONSOLE, "by hand"),
    )
    assert made.record is not None
    refused = await scim.delete(f"/Users/{made.record.id}")
    assert (refused.status, "made here" in refused.body["detail"]) == (403, True)
