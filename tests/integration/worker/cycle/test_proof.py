"""What a cycle proves about those who stay in, as the vendor's app is told."""

from __future__ import annotations

from datetime import datetime

import pytest

from store.directory import session_checks, sessions
from store.records import Ceilings, DriftKind
from tests.builders.simulated_connection import Pull

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
