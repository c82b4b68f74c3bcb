"""What a cycle proves about those who stay in, as the vendor's app is told."""

from __future__ import annotations

from datetime import datetime

import pytest

from store import lifecycle
from store.directory import session_checks, sessions
from store.records import Cause, Ceilings, ChangeUser, DriftKind, Origin
from tests.builders.simulated_connection import Pull
from worker.reconcile.mapping.attribute_paths import write_paths

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


async def proved_at(pull: Pull, person: str) -> datetime | None:
    """Signs the person in and gives the proof of the session."""
    user = (await pull.users())[person]
    _, secret = await pull.db.write(lambda conn: sessions.start(conn, user.tenant_id, user.id))
    async with pull.db.reading() as conn:
        found = await session_checks.check(conn, secret)
    assert found is not None
    return found.proved_at


async def test_a_complete_cycle_proves_those_who_stay_and_a_held_leaver_ends_the_proof(pull: Pull) -> None:
    """Issue 11: "how old is the proof that this person is entitled": as old as the reading, never as its end."""
    stays, leaver = sorted(pull.directory.entitled())[:2]
    await pull.cycle()
    first = await proved_at(pull, stays)
    assert first is not None
    assert first == (await pull.latest_cycle()).started_at

    await pull.cycle()
    second = await proved_at(pull, stays)
    assert second is not None
    assert second > first, "the increment or the next full cycle carries it on"

    await pull.set_policy(ceilings=Ceilings(floor=0, percent=0, count=0))
    pull.directory.change_user(leaver, {"accountEnabled": False})
    report = await pull.cycle()
    assert DriftKind.MISSED_DEPROVISION in report.drift
    assert await proved_at(pull, stays) is None
    assert await proved_at(pull, leaver) is None


async def push(pull: Pull, person: str, attribute: str, value: str | bool) -> None:
    user = (await pull.users())[person]
    change = ChangeUser(user.id, lambda document: write_paths(document, {attribute: value}))
    cause = Cause(Origin.SCIM, "push")
    await lifecycle.perform(pull.db, user.tenant_id, user.connection_id, [change], cause)


async def test_a_cycle_proves_nothing_about_an_account_that_the_push_enabled_after_it(pull: Pull) -> None:
    """ "What is not understood changes nothing": that cycle found the account without access and passed on."""
    leaver, stays = sorted(pull.directory.entitled())[:2]
    await pull.cycle()
    pull.directory.change_user(leaver, {"accountEnabled": False})
    await pull.cycle()
    before = await proved_at(pull, stays)

    await push(pull, leaver, "active", True)
    assert await proved_at(pull, leaver) is None
    assert await proved_at(pull, stays) == before, "the others keep their proof"

    report = await pull.increment()
    assert report.drift == {DriftKind.MISSED_DEPROVISION: 1}, (
        "the next increment looks at what the push wrote"
    )
    assert await proved_at(pull, leaver) is None


async def test_an_entitled_person_whom_the_push_wrote_is_proved_again_by_the_next_increment(
    pull: Pull,
) -> None:
    """I7: a cycle passes over accounts that were written after its reading began."""
    person = min(pull.directory.entitled())
    await pull.cycle()
    await push(pull, person, "nickName", "Annie")
    assert await proved_at(pull, person) is None
    await pull.increment()
    again = await proved_at(pull, person)
    assert again is not None
    assert again == (await pull.latest_cycle()).started_at
