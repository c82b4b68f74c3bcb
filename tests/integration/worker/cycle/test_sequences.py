"""Sequences that an attacker would try, over several cycles: access that is kept, given or moved by old decisions."""

from __future__ import annotations

import pytest

from store.directory import assessment_results
from store.errors import UniquenessConflict
from store.records import (
    ChangeUser,
    CreateUser,
    DisableUser,
    Document,
    DriftKind,
    GraphId,
    HeldPlan,
    HolderBasis,
    LinkUser,
    MarkUser,
    Origin,
    User,
)
from store.sync import held_plans, holder_notes
from tests.builders.held_plans import approve_and_apply
from tests.builders.people_and_accounts import CORP, hired, lives, perform, signed_in
from tests.builders.simulated_connection import Pull
from tests.databases.parameters import SQLITE
from worker.cycle.held_plans import reject
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING

pytestmark = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)


async def waiting_plan(pull: Pull) -> HeldPlan:
    report = await pull.cycle()
    assert report.held_plan is not None
    async with pull.db.reading() as conn:
        return await held_plans.find(conn, report.held_plan.id)


async def found_by_push(pull: Pull, account: User) -> None:
    """The push looks the account up by its name, and sends nothing: Entra may have anchored somebody to it."""
    now = pull.services.clock()
    scope = pull.connection.tenant_id, pull.connection.id
    await pull.db.write(lambda conn: holder_notes.note_found(conn, *scope, account.id, now))


async def test_a_held_change_of_holder_is_not_approved_once_the_earlier_holder_is_back(pull: Pull) -> None:
    """W3: while the holder lives, the account is theirs; what was decided about them is asked of Graph again."""
    leavers = [hired(pull, f"lea{n}") for n in range(7)]
    await pull.cycle()
    await pull.cycle()
    before = await pull.users()
    for number, person in enumerate(leavers):
        pull.directory.soft_delete_user(person)
        hired(pull, f"lea{number}")
        await found_by_push(pull, before[person])
    await pull.set_policy(mapping_confirmed=True)
    plan = await waiting_plan(pull)
    back = leavers[0]
    successor = next(p.id for p in pull.directory.users.values() if p.user_principal_name == f"lea0@{CORP}")
    pull.directory.change_user(successor, {"userPrincipalName": f"other@{CORP}", "mailNickname": "other"})
    pull.directory.restore_user(back)

    await approve_and_apply(pull.services, plan, checksum=plan.checksum, by="ann")

    after = {user.id: user.entra_object_id for user in (await pull.users()).values()}
    assert after[before[back].id] == back
    assert after[before[leavers[1]].id] != leavers[1]


async def test_an_accepted_risk_is_about_the_person_not_the_account(pull: Pull) -> None:
    """A rejection keeps one person's access; whoever has the account later leaves like anybody else."""
    leavers = [hired(pull, f"lea{n}") for n in range(12)]
    await pull.cycle()
    await pull.cycle()
    for person in leavers:
        pull.directory.change_user(person, {"accountEnabled": False})
    plan = await waiting_plan(pull)
    await reject(pull.services, plan, checksum=plan.checksum, by="ann")
    account = (await pull.users())[leavers[0]]
    pull.directory.soft_delete_user(leavers[0])
    pull.directory.purge_user(leavers[0])
    successor = hired(pull, "lea0")
    await found_by_push(pull, account)
    await pull.set_policy(mapping_confirmed=True)
    await pull.cycle()
    assert (await pull.users())[successor].active
    pull.directory.change_user(successor, {"accountEnabled": False})
    await pull.increment()
    assert not (await pull.users())[successor].active


async def test_keys_that_were_issued_under_a_seal_end_when_it_is_lifted(pull: Pull) -> None:
    """W5: who had the account meanwhile is not known; the person who comes back signs in anew."""
    person = hired(pull, "ida")
    await pull.cycle()
    await pull.cycle()
    account = (await pull.users())[person]
    tenant_id = pull.connection.tenant_id
    await pull.db.write(lambda conn: assessment_results.add(conn, tenant_id, account.id, "Of Ida", 97))
    await perform(pull, DisableUser(account.id))
    await perform(pull, ChangeUser(account.id, lambda document: {**document, "active": True}))
    in_doubt = await signed_in(pull, account.id)
    assert await lives(pull, in_doubt)

    await pull.cycle()

    assert (await pull.users())[person].sealed_at is None
    assert not await lives(pull, in_doubt)


async def test_a_new_mapping_rewrites_no_name_that_the_old_one_agreed_on(pull: Pull) -> None:
    """The push goes on writing what Entra maps: a mapping that was set here by mistake moves nobody's names."""
    await pull.cycle()
    await pull.cycle()
    before = {user.id: (user.user_name, user.external_id) for user in (await pull.users()).values()}
    for user in (await pull.users()).values():
        await found_by_push(pull, user)
    await pull.set_policy(mapping={**DEFAULT_MAPPING, "userName": "employeeId", "externalId": "objectId"})

    await pull.cycle()

    after = {user.id: (user.user_name, user.external_id) for user in (await pull.users()).values()}
    assert after == before


async def test_a_mark_given_under_a_seal_is_gone_with_a_change_of_holder(pull: Pull) -> None:
    """W3: marks are one person's; under a seal nobody knows whose."""
    person = hired(pull, "ida")
    await pull.cycle()
    await pull.cycle()
    account = (await pull.users())[person]
    await perform(pull, DisableUser(account.id))
    await perform(pull, ChangeUser(account.id, lambda document: {**document, "active": True}))
    await perform(pull, MarkUser(account.id, is_admin=True), origin=Origin.CONSOLE)
    pull.directory.soft_delete_user(person)
    pull.directory.purge_user(person)
    successor = hired(pull, "ida")
    await found_by_push(pull, account)
    await pull.set_policy(mapping_confirmed=True)
    await pull.cycle()
    now = (await pull.users())[successor]
    assert (now.id, now.is_admin) == (account.id, False)


async def test_a_plan_to_disable_somebody_takes_nothing_from_the_next_holder(pull: Pull) -> None:
    """Approved late: the account is another person's by then, who is entitled."""
    leavers = [hired(pull, f"lea{n}") for n in range(12)]
    await pull.cycle()
    await pull.cycle()
    for person in leavers:
        pull.directory.soft_delete_user(person)
    # Nothing but a held plan, whatever the list: the reading is judged above the ceiling.
    for person in leavers:
        pull.directory.restore_user(person)
        pull.directory.change_user(person, {"accountEnabled": False})
    plan = await waiting_plan(pull)
    account = (await pull.users())[leavers[0]]
    pull.directory.soft_delete_user(leavers[0])
    successor = hired(pull, "lea0")
    await perform(pull, ChangeUser(account.id, lambda document: {**document, "externalId": successor}))

    await approve_and_apply(pull.services, plan, checksum=plan.checksum, by="ann")
    await pull.cycle()

    assert (await pull.users())[successor].active
    assert (await pull.users())[successor].id == account.id


async def test_a_guest_who_becomes_a_member_keeps_the_account(pull: Pull) -> None:
    """The same object id under another name and another userType is the same person."""
    guest = hired(
        pull,
        "gus",
        userPrincipalName=f"gus_partner.example#EXT#@{CORP}",
        userType="Guest",
        mail="gus@partner.example",
    )
    await pull.cycle()
    await pull.cycle()
    account = (await pull.users())[guest]
    session = await signed_in(pull, account.id)
    pull.directory.change_user(guest, {"userPrincipalName": f"gus@{CORP}", "mailNickname": "gus"})

    await pull.cycle()

    assert (await pull.users())[guest].id == account.id
    assert await lives(pull, session)


async def test_a_reinvited_guest_gets_nothing_of_the_earlier_one(pull: Pull) -> None:
    """A new invitation makes a new object under the old name: the earlier account gives its names up."""
    name = {"userPrincipalName": f"gus_partner.example#EXT#@{CORP}", "mail": "gus@partner.example"}
    guest = hired(pull, "gus", userType="Guest", **name)
    await pull.cycle()
    await pull.cycle()
    session = await signed_in(pull, (await pull.users())[guest].id)
    pull.directory.soft_delete_user(guest)
    again = hired(pull, "gus", userType="Guest", **name)

    await pull.cycle()

    assert not await lives(pull, session)
    assert (await pull.users())[again].id != (await pull.users())[guest].id


async def test_a_second_account_under_a_linked_persons_id_by_hand_is_no_way_in(pull: Pull) -> None:
    """A request that leaves an account without access may claim an id; enabling it later is refused."""
    person = hired(pull, "ida")
    await pull.cycle()
    await pull.cycle()
    [twin] = await perform(
        pull, CreateUser({"userName": f"twin@{CORP}", "externalId": person, "active": False})
    )
    assert not twin.active
    with pytest.raises(UniquenessConflict):
        await perform(pull, ChangeUser(twin.id, lambda document: {**document, "active": True}))
    await pull.cycle()
    assert not {u.id: u for u in (await pull.users()).values()}[twin.id].active


async def test_a_link_by_names_to_someone_who_left_does_not_come_back_with_the_name(pull: Pull) -> None:
    """W6: a linked account whose person is purged is not the namesake's, though nothing was pushed since."""
    person = hired(pull, "ida")
    await perform(pull, CreateUser({"userName": f"ida@{CORP}", "externalId": "ida", "active": True}))
    account = next(u for u in (await pull.users()).values() if u.user_name.startswith("ida@"))
    await perform(pull, LinkUser(account.id, GraphId(person), basis=HolderBasis.NAMES), origin=Origin.GRAPH)
    await pull.cycle()
    await pull.cycle()
    session = await signed_in(pull, account.id)
    pull.directory.soft_delete_user(person)
    pull.directory.purge_user(person)
    again = hired(pull, "ida")
    await pull.cycle()
    assert not await lives(pull, session)
    assert (await pull.users())[again].id != account.id


async def pushed_alone(pull: Pull, external_id: str) -> tuple[User, str]:
    """An account that the push made and no cycle has seen: it was worked with, and has a session and a result."""
    document: Document = {"userName": f"ida@{CORP}", "externalId": external_id, "active": True}
    [account] = await perform(pull, CreateUser(document))
    tenant_id = pull.connection.tenant_id
    await pull.db.write(lambda conn: assessment_results.add(conn, tenant_id, account.id, "Reading", 97))
    return account, await signed_in(pull, account.id)


async def history(pull: Pull, account: User) -> list[str]:
    async with pull.db.reading() as conn:
        found = await assessment_results.list_for_user(conn, account.tenant_id, account.id)
    return [result.title for result in found]


@pytest.mark.parametrize("is_somebody_new", [True, False], ids=["somebody new", "a restart"])
async def test_the_first_cycle_hands_a_silently_matched_account_to_somebody_new_without_what_was_left(
    pull: Pull, is_somebody_new: bool
) -> None:
    """W3, W6: the push came months before the pull; an account older than its person was made for another. Who was
    there before it, and was only matched anew after a restart, keeps session and history."""
    person = hired(pull, "ida")
    account, secret = await pushed_alone(pull, "ida")
    if is_somebody_new:
        pull.lose(person, "purged")
        pull.directory.advance(7200.0)
        person = hired(pull, "ida")
    await found_by_push(pull, account)
    await pull.set_policy(mapping_confirmed=True)

    report = await pull.cycle()

    here = (await pull.users())[person]
    assert (here.id, here.active, here.sealed_at) == (account.id, True, None)
    assert (DriftKind.HOLDER_CHANGED in report.drift) is is_somebody_new
    assert await lives(pull, secret) is not is_somebody_new
    assert await history(pull, here) == ([] if is_somebody_new else ["Reading"])
    assert (await pull.cycle()).applied == {}


async def test_the_first_cycle_lifts_no_seal_for_the_person_whom_the_push_wrote_later(pull: Pull) -> None:
    """W5: no holder was known, so that nobody can be the same person again."""
    account, secret = await pushed_alone(pull, "0a0a0a0a-0000-4000-8000-000000000001")
    person = hired(pull, "ida")
    await perform(
        pull, ChangeUser(account.id, lambda document: {**document, "externalId": person, "title": "New"})
    )
    assert not await lives(pull, secret)
    for _ in range(3):
        await pull.cycle()
    here = (await pull.users())[person]
    assert (here.id, here.active, here.sealed_at) == (account.id, True, None)
    assert await history(pull, here) == []
