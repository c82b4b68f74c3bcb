"""Connections and their leases: settings, schedule, failures, and who may work on one now."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.database import Database
from store.errors import FencedOut, InvalidRecord, NotFound, UniquenessConflict
from store.keys import utc_now
from store.records import (
    Ceilings,
    Connection,
    MembershipMode,
    Mode,
    Policy,
    Scope,
    ScopingClause,
)
from store.sync import leases
from store.tenancy import connection_health, connections, tenants

NOW = utc_now()


async def test_a_policy_reads_back_whole(database: Database, contoso: Connection) -> None:
    """Every part of a policy survives being stored."""
    policy = Policy(
        mode=Mode.ENFORCE,
        scope=Scope.ALL,
        membership=MembershipMode.TRANSITIVE,
        mapping={"userName": "mail"},
        scoping_filters=((ScopingClause("department", "EQUALS", "Sales"),), (ScopingClause("x", "IS NULL"),)),
        clear_emptied_attributes=True,
        deprovision_local_accounts=True,
        ceilings=Ceilings(floor=1, percent=2.5, count=3),
        held_plan_days=4,
    )

    await database.write(lambda conn: connections.set_policy(conn, contoso.tenant_id, contoso.id, policy))

    async with database.reading() as conn:
        assert (await connections.get(conn, contoso.tenant_id, contoso.id)).policy == policy
    assert contoso.policy == Policy()


async def test_a_credential_is_handed_out_only_when_asked_for(
    database: Database, contoso: Connection
) -> None:
    """The record says that there is one; the sealed text has a function of its own."""
    changed = await database.write(
        lambda conn: connections.set_credential(
            conn, contoso.tenant_id, contoso.id, "sealed-text", connections.EntraLogin("app"), now=NOW
        )
    )

    assert (contoso.has_credential, changed.has_credential, changed.client_id) == (False, True, "app")
    assert changed.credential_changed_at == NOW
    assert "sealed-text" not in repr(changed)
    async with database.reading() as conn:
        assert await connections.sealed_credential(conn, contoso.tenant_id, contoso.id) == "sealed-text"


async def test_tenants_and_connections_are_found_by_what_people_call_them(
    database: Database, contoso: Connection
) -> None:
    """An id or a name; a name that two have is refused, with how to say it."""
    fabrikam = await database.write(lambda conn: tenants.create(conn, "Fabrikam & Söhne"))
    await database.write(lambda conn: connections.create(conn, fabrikam.id, "Entra"))

    async with database.reading() as conn:
        for reference in ("Fabrikam & Söhne", fabrikam.slug, fabrikam.id):
            assert await tenants.find(conn, reference) == fabrikam
        assert await connections.find(conn, contoso.id) == contoso
        assert (await connections.find(conn, "Entra", fabrikam.id)).tenant_id == fabrikam.id
        with pytest.raises(NotFound, match="2 connections"):
            await connections.find(conn, "Entra")
        with pytest.raises(NotFound, match="leaver connection list"):
            await connections.find(conn, "nothing")


async def test_names_are_taken_once(database: Database, contoso: Connection) -> None:
    """A tenant's slug, and a connection's name within its tenant."""
    with pytest.raises(UniquenessConflict):
        await database.write(lambda conn: tenants.create(conn, "CONTOSO"))
    with pytest.raises(UniquenessConflict):
        await database.write(lambda conn: connections.create(conn, contoso.tenant_id, "Entra"))
    with pytest.raises(InvalidRecord):
        await database.write(lambda conn: tenants.create(conn, "?!"))


async def _ready(database: Database, contoso: Connection) -> None:
    await database.write(
        lambda conn: connections.set_credential(conn, contoso.tenant_id, contoso.id, "sealed")
    )
    await database.write(lambda conn: connections.schedule(conn, contoso.tenant_id, contoso.id, NOW))


async def _due(database: Database, minutes: float) -> list[str]:
    async with database.reading() as conn:
        return [found.id for found in await connections.due(conn, NOW + timedelta(minutes=minutes), 10)]


async def test_what_is_paused_is_never_due(database: Database, contoso: Connection) -> None:
    """Pause stops pull until somebody resumes; then the connection is due at once."""
    await _ready(database, contoso)
    assert await _due(database, 0) == [contoso.id]

    paused = await database.write(
        lambda conn: connections.pause(conn, contoso.tenant_id, contoso.id, "holiday", now=NOW)
    )
    assert (paused.paused_at, paused.paused_reason) == (NOW, "holiday")
    assert await _due(database, 10_000) == []

    await database.write(lambda conn: connections.resume(conn, contoso.tenant_id, contoso.id, now=NOW))
    assert await _due(database, 0) == [contoso.id]


async def test_a_connection_is_read_every_five_minutes_unless_told_otherwise(contoso: Connection) -> None:
    """issue 9, "Minutes, not hours": full readings stay daily."""
    assert (contoso.interval_minutes, contoso.policy.full_every_hours) == (5, 24)


async def test_without_a_credential_nothing_is_due(database: Database, contoso: Connection) -> None:
    """A connection that is only pushed to has nothing to read with."""
    assert await _due(database, 10_000) == []


async def test_failures_put_a_connection_off_and_then_in_quarantine(
    database: Database, contoso: Connection
) -> None:
    """It is tried less and less often, at least daily, and the reason is shown; one success ends it all."""
    await _ready(database, contoso)
    waits, seen = [], contoso
    for _ in range(10):
        seen = await database.write(
            lambda conn: connection_health.note_failure(
                conn, contoso.tenant_id, contoso.id, "no consent", NOW
            )
        )
        assert seen.next_due_at is not None
        waits.append((seen.next_due_at - NOW) / timedelta(minutes=1))

    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440]
    assert (seen.quarantined_at, seen.quarantine_reason, seen.consecutive_failures) == (NOW, "no consent", 10)
    assert await _due(database, 1439) == []
    assert await _due(database, 1440) == [contoso.id]
    well = await database.write(
        lambda conn: connection_health.note_success(conn, contoso.tenant_id, contoso.id, NOW, NOW)
    )
    assert (well.quarantined_at, well.consecutive_failures, well.last_cycle_at) == (None, 0, NOW)


async def _acquire(database: Database, contoso: Connection, holder: str, minutes: float = 0) -> int | None:
    lease = await database.write(
        lambda conn: leases.acquire(
            conn, contoso.tenant_id, contoso.id, holder, NOW + timedelta(minutes=minutes), duration_s=60
        )
    )
    return lease.token if lease else None


async def test_one_holds_a_lease_and_the_token_grows_with_every_hand(
    database: Database, contoso: Connection
) -> None:
    """A lease is free before the first, after release, and after its time; never in between."""
    assert await _acquire(database, contoso, "one") == 1
    assert await _acquire(database, contoso, "two", minutes=0.9) is None
    assert await _acquire(database, contoso, "two", minutes=1.1) == 2
    async with database.reading() as conn:
        lease = await leases.get(conn, contoso.tenant_id, contoso.id)
    assert lease is not None

    await database.write(lambda conn: leases.release(conn, contoso.tenant_id, lease))

    assert await _acquire(database, contoso, "one") == 3


async def test_of_many_who_reach_for_a_lease_one_gets_it(database: Database, contoso: Connection) -> None:
    """Also when there was no lease before."""
    tokens = await asyncio.gather(*(_acquire(database, contoso, f"worker {number}") for number in range(12)))

    assert sorted(token for token in tokens if token) == [1]


async def test_who_lost_the_lease_is_told_when_renewing(database: Database, contoso: Connection) -> None:
    """A worker that was paused past its lease must stop."""
    me = contoso.tenant_id
    await _acquire(database, contoso, "one")
    async with database.reading() as conn:
        mine = await leases.get(conn, me, contoso.id)
    assert mine is not None
    late = NOW + timedelta(minutes=2)
    renewed = await database.write(lambda conn: leases.renew(conn, me, mine, late, 60))
    assert (renewed.token, renewed.until) == (1, late + timedelta(seconds=60))

    await _acquire(database, contoso, "two", minutes=4)

    with pytest.raises(FencedOut):
        await database.write(lambda conn: leases.renew(conn, me, mine, late, 60))
    await database.write(lambda conn: leases.release(conn, me, mine))  # too late: it is not ours to give
    with pytest.raises(FencedOut):
        await database.write(lambda conn: leases.check(conn, me, mine.fence))


async def test_who_wants_the_connection_is_seen_by_its_holder(
    database: Database, contoso: Connection
) -> None:
    """On-demand work asks the running cycle to yield; nobody is asked where nobody works."""
    me = contoso.tenant_id
    assert not await database.write(lambda conn: leases.request_yield(conn, me, contoso.id))
    await _acquire(database, contoso, "cycle")
    async with database.reading() as conn:
        lease = await leases.get(conn, me, contoso.id)
    assert lease is not None

    assert await database.write(lambda conn: leases.request_yield(conn, me, contoso.id))

    assert (await database.write(lambda conn: leases.renew(conn, me, lease, NOW, 60))).wanted
    await database.write(lambda conn: leases.release(conn, me, lease))
    assert not await database.write(lambda conn: leases.request_yield(conn, me, contoso.id))
    await _acquire(database, contoso, "on demand")
    async with database.reading() as conn:
        taken = await leases.get(conn, me, contoso.id)
    assert taken is not None
    assert not taken.wanted
