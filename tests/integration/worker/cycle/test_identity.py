"""Whom an account stands for, from the push through Graph to the pull: what reviews found, as it happened."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from console.documents.reports import plan_rows
from store import tables
from store.errors import VersionMoved
from store.records import (
    Action,
    ChangeUser,
    CreateUser,
    CycleKind,
    CycleStatus,
    DeleteUser,
    DisableUser,
    Document,
    DriftKind,
    FindingState,
    HeldPlan,
    MarkUser,
    Origin,
    PlanStatus,
    User,
)
from store.records.connections import MappingOrigin
from store.sync import held_plans, holder_notes
from store.tenancy import mappings
from tests.builders.held_plans import approve_and_apply
from tests.builders.people_and_accounts import CORP, hired, lives, perform, pushed_by, signed_in
from tests.builders.simulated_connection import Pull
from worker.cycle.held_plans import apply_approved, approve
from worker.cycle.run import run_cycle
from worker.errors import LeaseLost, Terminal
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING
from worker.reconcile.plan_json import plan_from_json


async def test_under_a_foreign_mapping_nothing_is_taken_and_nothing_rewritten(pull: Pull) -> None:
    """Row 1: 4 entitled people whose mail differs from their UPN were disabled as `purged`, 86 externalIds lost."""
    differing = hired(pull, "ida", mail=f"ida.lund@{CORP}", employeeId="90001")
    leaver = hired(pull, "leo", mail=f"leo.park@{CORP}", employeeId="90002")
    await pushed_by(pull, {"userName": "mail", "externalId": "employeeId"})
    before = {user.id: (user.user_name, user.external_id) for user in (await pull.users()).values()}
    pull.directory.change_user(leaver, {"accountEnabled": False})

    report = await pull.cycle()

    after = {user.id: user for user in (await pull.users()).values()}
    assert {key: (user.user_name, user.external_id) for key, user in after.items()} == before
    assert all(user.active for user in after.values()), "names alone take nothing"
    assert report.status is CycleStatus.HELD, "and the leaver is told"
    findings = await pull.findings(report)
    [held] = [f for f in findings if f.kind is DriftKind.MISSED_DEPROVISION]
    assert (held.state, held.subject_label) == (FindingState.HELD, f"leo.park@{CORP}")
    assert differing in {f.subject_id for f in findings if f.kind is DriftKind.MATCH_CONFLICT}
    async with pull.db.reading() as conn:
        said = await mappings.verdict(conn, pull.connection.tenant_id, pull.connection.id)
    assert said is not None
    assert not said["names_fit"]
    assert any("externalId" in sentence and "employeeId" in sentence for sentence in said["sentences"])


async def test_the_default_mapping_links_everybody_and_the_leaver_goes(pull: Pull) -> None:
    """W6: under a mapping that fits names are enough to end access."""
    leaver = hired(pull, "leo")
    await pushed_by(pull, {"userName": "userPrincipalName", "externalId": "mailNickname"})
    pull.directory.change_user(leaver, {"accountEnabled": False})

    report = await pull.cycle()

    assert report.applied[Action.LINK] == len(pull.directory.entitled()) + 1
    assert not (await pull.users())[leaver].active
    assert (await pull.cycle()).applied == {}


@pytest.mark.parametrize("fate", ["soft_deleted", "purged"])
async def test_who_gets_a_leavers_name_gets_nothing_else(pull: Pull, fate: str) -> None:
    """Row 3: `link, update`; the leaver's session went on working and showed the new person."""
    mara = hired(pull, "mara")
    await pull.cycle()
    account = (await pull.users())[mara]
    await perform(pull, MarkUser(account.id, is_protected=True), origin=Origin.CONSOLE)
    secret = await signed_in(pull, account.id)
    pull.lose(mara, fate)
    again = hired(pull, "mara")

    await pull.cycle()

    here = await pull.users()
    assert here[again].id != account.id
    assert (here[again].user_name, here[again].is_protected) == (f"mara@{CORP}", False)
    assert (here[mara].active, here[mara].external_id) == (False, None)
    assert not await lives(pull, secret)
    assert (await pull.cycle()).applied == {}


async def test_who_gets_the_name_of_a_removal_that_waited_is_here_with_the_increment_after_the_decision(
    pull: Pull,
) -> None:
    """A newcomer has no row and changed nothing in Entra since: the checkpoint names the person (seed 50020)."""
    leavers = [hired(pull, f"leo{number}") for number in range(12)]
    await pull.cycle()
    for person in leavers:
        pull.lose(person, "purged")
    newcomer = hired(pull, "leo3")
    report = await pull.cycle()
    assert report.held_plan is not None
    assert newcomer not in await pull.users()
    for _ in range(2):
        assert (await pull.increment()).kind is CycleKind.INCREMENTAL
        assert newcomer not in await pull.users()

    async with pull.db.reading() as conn:
        plan = await held_plans.find(conn, report.held_plan.id)
    await approve_and_apply(pull.services, plan, checksum=plan.checksum, by="ann")
    report = await pull.increment()

    assert (report.kind, report.applied) == (CycleKind.INCREMENTAL, {Action.CREATE: 1})
    here = await pull.users()
    assert (here[newcomer].active, here[newcomer].user_name) == (True, f"leo3@{CORP}")


@pytest.mark.parametrize("how", ["wrote", "found"])
async def test_an_account_that_the_push_gave_away_is_the_new_persons_without_the_old_keys(
    pull: Pull, how: str
) -> None:
    """W3, silent match: Entra finds the account, sends nothing or a title, and anchors the new person to it."""
    mara = hired(pull, "mara")
    await pull.cycle()
    account = (await pull.users())[mara]
    secret = await signed_in(pull, account.id)
    pull.lose(mara, "purged")
    again = hired(pull, "mara")
    connection = pull.connection
    if how == "wrote":
        await perform(pull, ChangeUser(account.id, lambda document: {**document, "title": "New"}))
    else:
        scope = connection.tenant_id, connection.id
        now = pull.services.clock()
        await pull.db.write(lambda conn: holder_notes.note_found(conn, *scope, account.id, now))
    await pull.set_policy(mapping_confirmed=True)

    report = await pull.cycle()

    here = await pull.users()
    assert report.applied[Action.CHANGE_HOLDER] == 1
    assert (here[again].id, here[again].holder_number, here[again].active) == (account.id, 2, True)
    assert not await lives(pull, secret)
    assert DriftKind.HOLDER_CHANGED in {finding.kind for finding in await pull.findings(report)}


async def test_a_free_text_nickname_takes_no_local_account(pull: Pull) -> None:
    """Row 4: a protected admin account was taken, renamed and linked for a mailNickname."""
    [local] = await perform(
        pull, CreateUser({"userName": "root", "externalId": "10042", "active": True}), origin=Origin.CONSOLE
    )
    await perform(pull, MarkUser(local.id, is_protected=True, is_admin=True), origin=Origin.CONSOLE)
    hired(pull, "eve", mailNickname="10042")

    await pull.cycle()

    [after] = [user for user in (await pull.users()).values() if user.id == local.id]
    assert (after.user_name, after.entra_object_id, after.active) == ("root", None, True)
    assert (after.is_protected, after.is_admin) == (True, True)


async def test_a_stranger_made_over_scim_is_unmatched_and_waits(pull: Pull) -> None:
    """Row 12: it was reported as `purged` in Entra."""
    await pull.cycle()
    [stranger] = await perform(pull, CreateUser({"userName": "stranger@elsewhere.example", "active": True}))

    report = await pull.cycle()

    assert report.drift == {DriftKind.UNMATCHED_ACCOUNT: 1}
    assert report.status is CycleStatus.HELD
    assert (await pull.users())[stranger.id].active
    again = await pull.cycle()
    assert again.status is CycleStatus.HELD
    assert again.applied == {}


async def test_accounts_that_only_the_wrong_mapping_left_unmatched_are_not_ended_by_it(pull: Pull) -> None:
    """A sheet was filled under one mapping and approved under the next: entitled people lost access (seed 59004)."""
    account, plan = await held_for_ida(pull)
    await tell_mapping(pull)

    with pytest.raises(VersionMoved, match="the plan is superseded"):
        await approve_and_apply(pull.services, plan, checksum=plan.checksum, by="ann")
    await pull.reload()
    await pull.cycle()

    assert (await pull.users())[account.id].active


async def held_for_ida(pull: Pull) -> tuple[User, HeldPlan]:
    """Holds the end of an account that nobody answers to under the default mapping; it is Ida's under Entra's."""
    hired(pull, "ida")
    [account] = await perform(pull, CreateUser({"userName": f"ida@{CORP}.vendor.example", "active": True}))
    report = await pull.cycle()
    assert report.held_plan is not None
    async with pull.db.reading() as conn:
        return account, await held_plans.find(conn, report.held_plan.id)


async def tell_mapping(pull: Pull) -> None:
    scope = pull.connection.tenant_id, pull.connection.id
    mapping = {**DEFAULT_MAPPING, "userName": 'Append([userPrincipalName], ".vendor.example")'}
    await pull.db.write(lambda conn: mappings.add(conn, *scope, mapping, MappingOrigin.SET, "cli:ada"))


async def test_an_approved_plan_is_not_applied_under_another_mapping(pull: Pull) -> None:
    """It was approved for what the mapping of before found."""
    account, plan = await held_for_ida(pull)
    await approve(pull.services, plan, checksum=plan.checksum, by="ann")
    await tell_mapping(pull)

    connection = pull.connection
    settings = LeaseSettings("test", duration_s=30)
    async with holding(pull.db, pull.services.clock, connection.tenant_id, connection.id, settings) as hold:
        with pytest.raises(Terminal, match="superseded"):
            await apply_approved(pull.services, connection, hold, plan.id)
    assert (await pull.users())[account.id].active


async def test_a_cycle_ends_where_the_mapping_is_changed_under_it(pull: Pull) -> None:
    """What it decided rests on the mapping of before: it removes nobody any more, and holds nothing."""
    leaver = hired(pull, "leo")
    await pull.cycle()
    await perform(pull, CreateUser({"userName": f"ida@{CORP}.vendor.example", "active": True}))
    pull.directory.change_user(leaver, {"accountEnabled": False})
    connection = pull.connection
    settings = LeaseSettings("test", duration_s=30)
    async with holding(pull.db, pull.services.clock, connection.tenant_id, connection.id, settings) as hold:
        await tell_mapping(pull)
        with pytest.raises(LeaseLost, match="its mapping was changed"):
            await run_cycle(pull.services, connection, hold)

    assert (await pull.users())[leaver].active
    async with pull.db.reading() as conn:
        assert await held_plans.list_for(conn, connection.tenant_id, connection.id) == []
    assert Action.DISABLE in (await pull.cycle()).applied, "the next cycle begins at once"


async def test_an_unrelated_leaver_is_out_while_unmatched_accounts_wait(pull: Pull) -> None:
    """I12: whatever is held, an unrelated leaver is out within one complete cycle."""
    leaver = hired(pull, "leo")
    await pull.cycle()
    await perform(pull, CreateUser({"userName": "stranger@elsewhere.example", "active": True}))
    await pull.cycle()
    pull.directory.change_user(leaver, {"accountEnabled": False})

    await pull.cycle()

    assert not (await pull.users())[leaver].active


async def test_too_many_changes_of_holder_seal_the_accounts_and_wait(pull: Pull) -> None:
    """W3: above the ceilings every key ends all the same, access stays, and a person decides on the sheet."""
    names = [f"mara{number}" for number in range(7)]
    before = [hired(pull, name) for name in names]
    await pull.cycle()
    accounts = [(await pull.users())[person] for person in before]
    secrets = [await signed_in(pull, account.id) for account in accounts]
    for person in before:
        pull.lose(person, "purged")
    after = [hired(pull, name, displayName="New") for name in names]
    await perform(
        pull, *(ChangeUser(account.id, lambda document: {**document, "title": "New"}) for account in accounts)
    )
    await pull.set_policy(mapping_confirmed=True)

    report = await pull.cycle()

    assert report.status is CycleStatus.HELD
    assert report.applied == {Action.SEAL: 7}
    assert report.held_plan is not None
    assert [await lives(pull, secret) for secret in secrets] == [False] * 7
    here = await pull.users()
    assert all(here[person].active and here[person].sealed_at for person in before)
    again = await pull.cycle()
    assert (again.status, again.applied) == (CycleStatus.HELD, {}), (
        "nothing is sealed twice, nothing held twice"
    )
    async with pull.db.reading() as conn:
        plan = await held_plans.find(conn, report.held_plan.id)
    await approve_and_apply(pull.services, plan, checksum=plan.checksum, by="ann")
    await pull.cycle()
    here = await pull.users()
    assert [
        (here[person].holder_number, here[person].active, here[person].sealed_at) for person in after
    ] == [(2, True, None)] * 7
    assert (await pull.cycle()).applied == {}


async def test_of_twins_the_pushs_becomes_theirs_and_the_pulls_is_retired(pull: Pull) -> None:
    """W1: the pull made one, the person was renamed, and the push wrote another under the new names."""
    mara = hired(pull, "mara")
    await pull.cycle()
    pulled = (await pull.users())[mara]
    secret = await signed_in(pull, pulled.id)
    pull.directory.change_user(mara, {"userPrincipalName": f"mara.lee@{CORP}", "mailNickname": "mara.lee"})
    names: Document = {"userName": f"mara.lee@{CORP}", "externalId": "mara.lee", "active": True}
    [pushed] = await perform(pull, CreateUser(names))
    await pull.set_policy(mapping_confirmed=True)

    report = await pull.cycle()

    here = {user.id: user for user in (await pull.users()).values()}
    assert report.applied[Action.RETIRE] == 1
    assert (here[pushed.id].entra_object_id, here[pushed.id].active) == (mara, True)
    retired = here[pulled.id]
    assert (retired.active, retired.external_id, retired.entra_object_id) == (False, None, None)
    assert not await lives(pull, secret)
    assert (await pull.cycle()).applied == {}


async def test_an_account_that_only_a_proxy_address_names_is_not_taken_from_its_person(pull: Pull) -> None:
    """W9: searched are all identifiers an account carries; the held sheet says who answers, by what."""
    ida = hired(pull, "ida", proxyAddresses=[f"SMTP:ida@{CORP}", f"smtp:ida.old@{CORP}"])
    await pull.cycle()
    document: Document = {"userName": f"ida.old@{CORP}", "externalId": "elsewhere", "active": True}
    [account] = await perform(pull, CreateUser(document))

    report = await pull.cycle()

    assert report.held_plan is not None
    async with pull.db.reading() as conn:
        plan = await held_plans.find(conn, report.held_plan.id)
    assert "proxyAddresses" in str(plan.body["changes"])
    assert f"{ida} in Entra answers to it" in str(plan.body["changes"])
    await approve_and_apply(pull.services, plan, checksum=plan.checksum, by="ann")
    assert (await pull.users())[account.id].active, "Graph was asked once more, and names the person"


async def test_a_sheet_of_unmatched_accounts_is_raised_again_when_it_expires(pull: Pull) -> None:
    """W9: at expiry it is raised again, with what was searched."""
    await pull.cycle()
    await perform(pull, CreateUser({"userName": "stranger@elsewhere.example", "active": True}))
    first = await pull.cycle()
    assert first.held_plan is not None
    tenant_id, now = pull.connection.tenant_id, pull.services.clock()
    await pull.db.write(
        lambda conn: conn.execute(
            update(tables.plans).where(tables.plans.c.tenant_id == tenant_id).values(expires_at=now)
        )
    )

    again = await pull.cycle()

    assert again.held_plan is not None
    assert again.held_plan.id != first.held_plan.id
    async with pull.db.reading() as conn:
        plan = await held_plans.find(conn, again.held_plan.id)
    assert "The search found no user" in str(plan.body["changes"])


async def test_unmatched_accounts_are_one_sheet_and_later_ones_join_it(pull: Pull) -> None:
    """W9: one decision with its number, beside whatever else is held; its age and its expiry stay."""
    people = [hired(pull, f"lea{number}") for number in range(7)]
    await pull.cycle()
    await pull.cycle()
    strangers: list[User] = []
    for name in ("one", "two"):
        strangers += await perform(
            pull, CreateUser({"userName": f"{name}@elsewhere.example", "active": True})
        )
        report = await pull.cycle()
    assert report.held_plan is not None
    [sheet] = await plans_that_wait(pull)
    assert sheet.id == report.held_plan.id
    assert sheet.reason.startswith("Nobody in Entra answers to it")
    assert [each.subject.label for each in plan_from_json(sheet.body).changes] == [
        stranger.user_name for stranger in strangers
    ]
    for person in people:
        pull.directory.unassign(person)
    [third] = await perform(pull, CreateUser({"userName": "three@elsewhere.example", "active": True}))
    await pull.cycle()
    other, whole = sorted(await plans_that_wait(pull), key=lambda plan: len(plan_rows(plan)), reverse=True)
    assert {change["kind"] for change in plan_rows(other)} == {DriftKind.MISSED_DEPROVISION}
    assert (whole.created_at, whole.expires_at) == (sheet.created_at, sheet.expires_at)
    assert len(plan_rows(whole)) == 3
    assert "Nobody in Entra" not in other.reason

    await approve_and_apply(pull.services, whole, checksum=whole.checksum, by="ann", rows=[0, 1])
    [fourth] = await perform(pull, CreateUser({"userName": "four@elsewhere.example", "active": True}))
    assert (await pull.cycle()).status is CycleStatus.HELD, "the seven go on waiting"

    here = {user.id: user for user in (await pull.users()).values()}
    assert [here[each.id].active for each in (*strangers, third, fourth)] == [False, False, True, True]
    rest = [len(plan_rows(plan)) for plan in await plans_that_wait(pull) if plan.id != other.id]
    assert rest == [2], "what is left of the sheet, and who came since"


async def test_names_that_moved_before_the_first_reading_end_no_entitled_persons_access(pull: Pull) -> None:
    """W6, W8: two people swapped names, and the leaver's account is protected. The names would take the other account
    for the leaver's and end it, and its owner would be refused one. A leaver whose holder is known goes all the same.
    """
    leaver, owner = hired(pull, "ada"), hired(pull, "ben")
    await pushed_by(pull, {"userName": "userPrincipalName", "externalId": "mailNickname"})
    accounts = {user.user_name: user.id for user in (await pull.users()).values()}
    mine, theirs = accounts[f"ben@{CORP}"], accounts[f"ada@{CORP}"]
    known = hired(pull, "leo")
    await perform(pull, CreateUser({"userName": f"leo@{CORP}", "externalId": known, "active": True}))
    pull.lose(leaver, "unassigned")
    await perform(pull, DisableUser(theirs))
    await perform(pull, MarkUser(theirs, is_protected=True), origin=Origin.CONSOLE)
    for person, name in ((leaver, "between"), (owner, "ada"), (leaver, "ben")):
        pull.directory.change_user(person, {"userPrincipalName": f"{name}@{CORP}", "mailNickname": name})
    pull.lose(known, "disabled")

    report = await pull.cycle()
    again = await pull.cycle()

    here = {user.id: user for user in (await pull.users()).values()}
    assert here[mine].active
    assert here[mine].entra_object_id is None, "whose it is, a person has to say"
    assert not next(user for user in here.values() if user.entra_object_id == known).active
    assert (report.status, again.applied) == (CycleStatus.HELD, {})
    told = [f.state for f in await pull.findings(again) if f.subject_id == mine]
    assert told == [FindingState.HELD], "the removal waits"


async def plans_that_wait(pull: Pull) -> list[HeldPlan]:
    async with pull.db.reading() as conn:
        scope = pull.connection.tenant_id, pull.connection.id
        return await held_plans.list_for(conn, *scope, status=PlanStatus.HELD)


@pytest.mark.parametrize("by", ["proxyAddresses", "userPrincipalName"])
async def test_a_deleted_person_answers_by_every_identifier(pull: Pull, by: str) -> None:
    """W9: deleted people are searched too, their name without the 32 digits that Entra puts before it."""
    leo = hired(pull, "leo", proxyAddresses=[f"smtp:leo.old@{CORP}"])
    await pull.cycle()
    name = f"leo.old@{CORP}" if by == "proxyAddresses" else f"leo@{CORP}"
    account = (await pull.users())[leo]
    await perform(pull, DeleteUser(account.id))
    pull.lose(leo, "soft_deleted")
    [left] = await perform(pull, CreateUser({"userName": name, "externalId": "app", "active": True}))
    await pull.set_policy(mapping_confirmed=True)

    report = await pull.cycle()

    [finding] = [f for f in await pull.findings(report) if f.subject_label == name]
    assert finding.kind is DriftKind.MISSED_DEPROVISION
    here = {user.id: user for user in (await pull.users()).values()}
    assert not here[left.id].active
