"""What happens to people: created, changed, disabled, enabled, deleted, restored, linked, marked."""

from __future__ import annotations

import pytest

from store.database import Database
from store.directory import assessment_results, sessions, users
from store.errors import AccessRefused, InvalidRecord, NotFound, Protected, UniquenessConflict, VersionMoved
from store.logs import events, provisioning_log
from store.records import (
    Action,
    ChangeUser,
    Command,
    Connection,
    CreateUser,
    DeleteUser,
    DisableUser,
    GraphId,
    LinkUser,
    LogStatus,
    MarkUser,
    Modified,
    Origin,
    OutcomeStatus,
    Reason,
    User,
    UserId,
)
from tests.builders.store_rows import (
    create_group,
    create_user,
    member_ids,
    perform,
    person,
    read_user,
    setting,
)

ANN, ANN_AGAIN = GraphId("entra-ann"), GraphId("entra-another-ann")
OBJECT_ID = "5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01"


async def test_a_created_user_reads_back_as_it_was_given(database: Database, contoso: Connection) -> None:
    """One call writes the row; what comes back is what is stored."""
    created = await create_user(database, contoso, "ann", title="Chief Ärger Officer 🦊")

    assert created == await read_user(database, contoso, created.id)
    assert created.document == person("ann", title="Chief Ärger Officer 🦊")
    assert (created.version, created.origin, created.active) == (1, Origin.SCIM, True)
    assert created.created_at.utcoffset() is not None


async def test_a_user_without_active_is_active(database: Database, contoso: Connection) -> None:
    """RFC 7643 §4.1.1 leaves the meaning of an absent `active` to the service provider."""
    [outcome] = await perform(database, contoso, CreateUser({"userName": "ann"}))

    assert isinstance(outcome.record, User)
    assert outcome.record.document == {"userName": "ann", "active": True}


async def test_a_user_may_arrive_inactive(database: Database, contoso: Connection) -> None:
    """Nobody who arrives inactive can sign in."""
    ann = await create_user(database, contoso, "ann", active=False)

    assert ann.deprovisioned_at is not None
    with pytest.raises(AccessRefused):
        await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann.id))


@pytest.mark.parametrize("name", ["ann@contoso.example", "ANN@Contoso.Example"])
async def test_user_names_are_unique_without_regard_to_case(
    database: Database, contoso: Connection, name: str
) -> None:
    """RFC 7643 §4.1.1: userName is unique and caseExact false."""
    await create_user(database, contoso, "ann")

    with pytest.raises(UniquenessConflict) as caught:
        await perform(database, contoso, CreateUser({"userName": name}))

    assert (caught.value.attribute, caught.value.value) == ("userName", name)


async def test_one_name_twice_in_one_call_is_a_conflict(database: Database, contoso: Connection) -> None:
    """The second of two equal creates is refused although neither was there before."""
    twice = (CreateUser({"userName": "ann"}), CreateUser({"userName": "Ann"}))

    outcomes = await perform(database, contoso, *twice, atomic=False)

    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.APPLIED, OutcomeStatus.FAILED]


async def test_a_create_of_an_id_that_is_here_changes_nothing(
    database: Database, contoso: Connection
) -> None:
    """Invariant I6: a replayed create, with the id it was planned with, creates nothing twice."""
    command = CreateUser(person("ann"), id=UserId("planned-id"))
    await perform(database, contoso, command, origin=Origin.GRAPH)

    [outcome] = await perform(database, contoso, command, origin=Origin.GRAPH)

    assert outcome.status is OutcomeStatus.UNCHANGED
    assert (await read_user(database, contoso, UserId("planned-id"))).version == 1


@pytest.mark.parametrize(
    "document", [{}, {"userName": " "}, {"userName": 3}, {"userName": "a", "active": "False"}]
)
async def test_a_document_no_row_can_be_made_of_is_refused(
    database: Database, contoso: Connection, document: dict[str, object]
) -> None:
    """The store asks for little, but for that strictly."""
    with pytest.raises(InvalidRecord):
        await perform(database, contoso, CreateUser(document))  # type: ignore[arg-type]


async def test_a_nul_is_refused_on_every_database(database: Database, contoso: Connection) -> None:
    """PostgreSQL cannot keep U+0000; what one database refuses the other does not take."""
    with pytest.raises(InvalidRecord, match="NUL"):
        await perform(database, contoso, CreateUser({"userName": "ann", "title": "a\x00b"}))


async def test_a_name_of_a_megabyte_can_be_kept_and_found(database: Database, contoso: Connection) -> None:
    """An index entry has a largest size; a name has none."""
    name = "a" * 1_000_000
    created = await create_user(database, contoso, "ann", userName=name, displayName=name)

    async with database.reading() as conn:
        found = await users.find_by_user_name(conn, contoso.tenant_id, contoso.id, name.upper())
        other = await users.find_by_user_name(conn, contoso.tenant_id, contoso.id, name + "b")

    assert found is not None
    assert found.id == created.id
    assert other is None


async def test_a_change_logs_old_and_new_values(database: Database, contoso: Connection) -> None:
    """design.md §4: one call writes the row, its log entry with old and new values, and the event."""
    ann = await create_user(database, contoso, "ann")

    [outcome] = await perform(database, contoso, ChangeUser(ann.id, setting(title="Boss", displayName=None)))

    assert outcome.action is Action.UPDATE
    async with database.reading() as conn:
        page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id, user=ann.id)
        told = await events.since(conn, contoso.tenant_id)
    latest = page.entries[0]
    assert latest.modified == (
        Modified(attribute="displayName", old="Ann", new=None),
        Modified(attribute="title", old=None, new="Boss"),
    )
    assert (latest.status, latest.origin, latest.actor) == (LogStatus.SUCCESS, Origin.SCIM, "test")
    assert [event.type for event in told] == ["user.provisioned", "user.updated"]


async def test_a_change_that_changes_nothing_leaves_the_version(
    database: Database, contoso: Connection
) -> None:
    """A push that repeats itself is logged as skipped; the row stays as it is."""
    ann = await create_user(database, contoso, "ann")

    [outcome] = await perform(database, contoso, ChangeUser(ann.id, setting(displayName="Ann")))

    assert outcome.status is OutcomeStatus.UNCHANGED
    assert (await read_user(database, contoso, ann.id)).version == 1
    async with database.reading() as conn:
        page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id, status=LogStatus.SKIPPED)
    assert len(page.entries) == 1


async def test_a_worker_that_changes_nothing_leaves_no_entry(database: Database, contoso: Connection) -> None:
    """The worker asks with every cycle again; its log would be all noise."""
    ann = await create_user(database, contoso, "ann")

    await perform(database, contoso, ChangeUser(ann.id, dict), origin=Origin.GRAPH)

    async with database.reading() as conn:
        page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id, user=ann.id)
    assert [entry.action for entry in page.entries] == [Action.CREATE]


@pytest.mark.parametrize("way", ["disable", "change", "delete"])
async def test_every_way_out_ends_every_session_at_once(
    database: Database, contoso: Connection, way: str
) -> None:
    """Invariant I3: no live session and no new one, from the same commit on."""
    ann = await create_user(database, contoso, "ann")
    secrets = [
        (await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann.id)))[1]
        for _ in range(2)
    ]
    commands: dict[str, Command] = {
        "disable": DisableUser(ann.id, Reason.DISABLED),
        "change": ChangeUser(ann.id, setting(active=False)),
        "delete": DeleteUser(ann.id),
    }

    await perform(database, contoso, commands[way])

    async with database.reading() as conn:
        assert [await sessions.find_live(conn, secret) for secret in secrets] == [None, None]
        ended = await sessions.list_for_user(conn, contoso.tenant_id, ann.id)
    assert {session.revoke_reason for session in ended} == {"disabled" if way == "disable" else "by scim"}
    with pytest.raises(AccessRefused):
        await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann.id))


async def test_disabling_says_why_and_since_when(database: Database, contoso: Connection) -> None:
    """The reason is kept with the row for whoever asks later."""
    ann = await create_user(database, contoso, "ann")

    await perform(database, contoso, DisableUser(ann.id, Reason.UNASSIGNED), origin=Origin.GRAPH)

    ann = await read_user(database, contoso, ann.id)
    assert (ann.active, ann.document["active"], ann.deprovision_reason) == (False, False, "unassigned")
    assert ann.deprovisioned_at is not None


async def test_re_enabling_gives_access_but_no_old_session(database: Database, contoso: Connection) -> None:
    """A session that was revoked stays dead; the person signs in again."""
    ann = await create_user(database, contoso, "ann")
    _, secret = await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann.id))
    await perform(database, contoso, DisableUser(ann.id))

    [outcome] = await perform(database, contoso, ChangeUser(ann.id, setting(active=True)))

    assert outcome.action is Action.ENABLE
    assert (await read_user(database, contoso, ann.id)).deprovisioned_at is None
    async with database.reading() as conn:
        assert await sessions.find_live(conn, secret) is None
    await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann.id))


async def test_a_deleted_user_is_hidden_but_not_gone(database: Database, contoso: Connection) -> None:
    """Invariant I8: history survives SCIM DELETE; the userName is free again."""
    ann = await create_user(database, contoso, "ann")
    await database.write(lambda conn: assessment_results.add(conn, contoso.tenant_id, ann.id, "Reading", 97))
    group = await create_group(database, contoso, "Readers", ann.id)

    await perform(database, contoso, DeleteUser(ann.id))

    with pytest.raises(NotFound):
        await read_user(database, contoso, ann.id)
    assert (await read_user(database, contoso, ann.id, deleted=True)).deleted_at is not None
    assert await member_ids(database, contoso, group.id) == set()
    async with database.reading() as conn:
        [result] = await assessment_results.list_for_user(conn, contoso.tenant_id, ann.id)
        assert await users.find_by_user_name(conn, contoso.tenant_id, contoso.id, ann.user_name) is None
    assert result.score == 97


async def test_deleting_twice_finds_nobody_the_second_time(database: Database, contoso: Connection) -> None:
    """RFC 7644 §3.6: further operations on a deleted resource answer 404."""
    ann = await create_user(database, contoso, "ann")
    await perform(database, contoso, DeleteUser(ann.id))

    with pytest.raises(NotFound):
        await perform(database, contoso, DeleteUser(ann.id))


@pytest.mark.parametrize(
    ("first", "back"),
    [
        pytest.param(
            CreateUser(person("ann", externalId=OBJECT_ID)),
            CreateUser(person("bea", externalId=OBJECT_ID.upper())),
            id="same object id as externalId",
        ),
        pytest.param(
            CreateUser(person("ann"), entra_object_id=ANN),
            CreateUser(person("bea"), entra_object_id=ANN),
            id="same Entra object",
        ),
    ],
)
async def test_a_returning_person_gets_their_own_row(
    database: Database, contoso: Connection, first: CreateUser, back: CreateUser
) -> None:
    """W5: with proof of the deleted account's person it restores that account and its history."""
    [created] = await perform(database, contoso, first)
    assert isinstance(created.record, User)
    await perform(database, contoso, MarkUser(created.record.id, is_protected=True, is_admin=True))
    await perform(database, contoso, DeleteUser(created.record.id))

    [outcome] = await perform(database, contoso, back)

    assert outcome.action is Action.RESTORE
    assert isinstance(outcome.record, User)
    assert outcome.record.id == created.record.id
    assert (outcome.record.active, outcome.record.deleted_at, outcome.record.sealed_at) == (True, None, None)
    assert (outcome.record.is_protected, outcome.record.is_admin) == (False, False), "marks never come back"
    assert outcome.record == await read_user(database, contoso, outcome.record.id)


async def test_a_reused_nickname_does_not_bring_somebody_elses_history(
    database: Database, contoso: Connection
) -> None:
    """entra-scim-client.md §8: externalId is mailNickname by default; "do not assume externalId is a GUID"."""
    ann = await create_user(database, contoso, "ann")
    await perform(database, contoso, DeleteUser(ann.id))

    [outcome] = await perform(database, contoso, CreateUser(person("ann.other", externalId="ann")))

    assert outcome.action is Action.CREATE


async def test_who_came_from_entra_stays_entras_though_edited_here(
    database: Database, contoso: Connection
) -> None:
    """design.md §5: `local_account` is nobody in Entra; a pushed person with an edited title is not one."""
    ann = await create_user(database, contoso, "ann")

    change = ChangeUser(ann.id, setting(title="Chief"))
    [outcome] = await perform(database, contoso, change, origin=Origin.CONSOLE)

    assert isinstance(outcome.record, User)
    assert (outcome.record.document["title"], outcome.record.origin) == ("Chief", Origin.SCIM)


async def test_a_reused_name_does_not_bring_somebody_elses_history(
    database: Database, contoso: Connection
) -> None:
    """Another Entra object is another person, whatever they are called."""
    [first] = await perform(database, contoso, CreateUser(person("ann"), entra_object_id=ANN))
    assert isinstance(first.record, User)
    await perform(database, contoso, DeleteUser(first.record.id))

    [second] = await perform(database, contoso, CreateUser(person("ann"), entra_object_id=ANN_AGAIN))

    assert second.action is Action.CREATE
    assert second.record is not None
    assert second.record.id != first.record.id


async def test_of_two_who_left_under_one_name_the_later_returns(
    database: Database, contoso: Connection
) -> None:
    """The name leads to where its last holder left off."""
    later = ""
    for entra_id in (ANN, ANN_AGAIN):
        [created] = await perform(database, contoso, CreateUser(person("ann"), entra_object_id=entra_id))
        assert isinstance(created.record, User)
        later = created.record.id
        await perform(database, contoso, DeleteUser(created.record.id))

    [outcome] = await perform(database, contoso, CreateUser(person("ann")))

    assert outcome.record is not None
    assert outcome.record.id == later


async def test_a_moved_row_is_refused_or_passed_over(database: Database, contoso: Connection) -> None:
    """Invariant I7: a push that lands during a cycle is never overwritten by that cycle."""
    ann = await create_user(database, contoso, "ann")
    await perform(database, contoso, ChangeUser(ann.id, setting(title="Pushed")))
    stale = ChangeUser(ann.id, setting(title="Planned"), expected_version=ann.version)

    with pytest.raises(VersionMoved):
        await perform(database, contoso, stale)
    [outcome] = await perform(database, contoso, stale, origin=Origin.GRAPH, atomic=False)

    assert outcome.status is OutcomeStatus.SKIPPED
    assert (await read_user(database, contoso, ann.id)).document["title"] == "Pushed"


async def test_a_refused_command_undoes_the_whole_push(database: Database, contoso: Connection) -> None:
    """Invariant I4: what was not answered left nothing half-done; here the second of two is refused."""
    ann = await create_user(database, contoso, "ann")

    with pytest.raises(UniquenessConflict):
        await perform(
            database,
            contoso,
            ChangeUser(ann.id, setting(title="Boss")),
            CreateUser({"userName": ann.user_name}),
        )

    assert await read_user(database, contoso, ann.id) == ann
    async with database.reading() as conn:
        assert [event.type for event in await events.since(conn, contoso.tenant_id)] == ["user.provisioned"]


@pytest.mark.parametrize("origin", [Origin.SCIM, Origin.GRAPH])
async def test_people_may_swap_their_names(database: Database, contoso: Connection, origin: Origin) -> None:
    """Two renames in Entra are one plan here; one after the other neither would be possible."""
    ann, ben, cleo = [await create_user(database, contoso, name) for name in ("ann", "ben", "cleo")]
    wanted = {ann.id: "ben", ben.id: "cleo", cleo.id: "ann"}
    renames = [ChangeUser(user_id, setting(userName=name)) for user_id, name in wanted.items()]

    first = [ChangeUser(each.id, setting(userName=each.document["externalId"])) for each in (ann, ben, cleo)]
    await perform(database, contoso, *first, origin=origin, atomic=False)
    outcomes = await perform(database, contoso, *renames, origin=origin, atomic=False)

    assert {outcome.status for outcome in outcomes} == {OutcomeStatus.APPLIED}
    assert {u: (await read_user(database, contoso, u)).user_name for u in wanted} == wanted
    with pytest.raises(UniquenessConflict):
        await create_user(database, contoso, "dan", userName="BEN")


async def test_who_waits_for_a_name_that_is_not_given_up_keeps_the_old_one(
    database: Database, contoso: Connection
) -> None:
    """Ann may not be Dan, so Ben may not be Ann; Cleo is not concerned."""
    ann, ben, cleo, _ = [await create_user(database, contoso, name) for name in ("ann", "ben", "cleo", "dan")]
    wanted = {ben.id: "ann", ann.id: "dan", cleo.id: "carl"}
    renames = [
        ChangeUser(u, setting(userName=f"{name}@contoso.example"), expected_version=1)
        for u, name in wanted.items()
    ]

    outcomes = await perform(database, contoso, *renames, origin=Origin.GRAPH, atomic=False)

    failed, applied = OutcomeStatus.FAILED, OutcomeStatus.APPLIED
    assert [outcome.status for outcome in outcomes] == [failed, failed, applied]
    names = [(await read_user(database, contoso, each.id)).user_name for each in (ann, ben, cleo)]
    assert names == ["ann@contoso.example", "ben@contoso.example", "carl@contoso.example"]


async def test_renaming_to_a_taken_name_is_a_conflict(database: Database, contoso: Connection) -> None:
    """RFC 7644 §3.12: `uniqueness` holds for PATCH and PUT too."""
    ann, bea = await create_user(database, contoso, "ann"), await create_user(database, contoso, "bea")

    with pytest.raises(UniquenessConflict):
        await perform(database, contoso, ChangeUser(ann.id, setting(userName=bea.user_name.upper())))

    await perform(database, contoso, ChangeUser(ann.id, setting(userName=ann.user_name.upper())))


async def test_linking_is_a_change_with_an_origin(database: Database, contoso: Connection) -> None:
    """design.md §5: linking is itself a change with origin; one Entra object has one row."""
    ann, bea = await create_user(database, contoso, "ann"), await create_user(database, contoso, "bea")

    [linked] = await perform(database, contoso, LinkUser(ann.id, ANN), origin=Origin.GRAPH)

    assert (linked.action, linked.record) == (Action.LINK, await read_user(database, contoso, ann.id))
    with pytest.raises(UniquenessConflict):
        await perform(database, contoso, LinkUser(bea.id, ANN), origin=Origin.GRAPH)
    async with database.reading() as conn:
        [found] = (await users.load_some(conn, contoso.tenant_id, contoso.id, objects=[ANN])).values()
    assert (found.id, found.origin) == (ann.id, Origin.GRAPH)


@pytest.mark.parametrize("removal", [DisableUser, DeleteUser])
async def test_a_protected_account_is_not_removed_by_the_worker(
    database: Database, contoso: Connection, removal: type[DisableUser] | type[DeleteUser]
) -> None:
    """design.md §5, rule 5; a push is never refused."""
    ann = await create_user(database, contoso, "ann")
    await perform(database, contoso, MarkUser(ann.id, is_protected=True), origin=Origin.CONSOLE)

    with pytest.raises(Protected):
        await perform(database, contoso, removal(ann.id), origin=Origin.GRAPH)
    [outcome] = await perform(database, contoso, removal(ann.id), origin=Origin.SCIM)

    assert outcome.status is OutcomeStatus.APPLIED


async def test_the_last_admin_stays_when_all_are_to_go(database: Database, contoso: Connection) -> None:
    """design.md §5, rule 5: the last admin of a tenant is never removed, not even in a batch of all."""
    admins = [await create_user(database, contoso, name) for name in ("ann", "bea", "cid")]
    await perform(database, contoso, *(MarkUser(admin.id, is_admin=True) for admin in admins))

    outcomes = await perform(
        database, contoso, *(DisableUser(admin.id) for admin in admins), origin=Origin.GRAPH, atomic=False
    )

    statuses = [outcome.status for outcome in outcomes]
    assert statuses == [OutcomeStatus.APPLIED, OutcomeStatus.APPLIED, OutcomeStatus.SKIPPED]


async def test_a_batch_goes_on_after_a_refusal(database: Database, contoso: Connection) -> None:
    """`atomic=False`: each command stands alone, a refusal becomes an outcome and a log entry."""
    ann = await create_user(database, contoso, "ann")
    commands = (
        CreateUser(person("bea")),
        CreateUser(person("ann")),
        CreateUser({}),
        DisableUser(UserId("nobody")),
        DisableUser(ann.id),
        ChangeUser(ann.id, setting(active=True)),
        DisableUser(ann.id),
    )

    outcomes = await perform(database, contoso, *commands, origin=Origin.GRAPH, atomic=False)

    applied, skipped, failed = OutcomeStatus.APPLIED, OutcomeStatus.SKIPPED, OutcomeStatus.FAILED
    assert [outcome.status for outcome in outcomes] == [
        applied,
        failed,
        failed,
        skipped,
        applied,
        applied,
        applied,
    ]
    assert [outcome.command for outcome in outcomes] == list(commands)
    async with database.reading() as conn:
        page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id, status=LogStatus.FAILURE)
    assert len(page.entries) == 2


async def test_two_changes_of_one_person_in_one_call_build_on_each_other(
    database: Database, contoso: Connection
) -> None:
    """Commands are performed in their order, whatever is done together for speed."""
    ann = await create_user(database, contoso, "ann")

    outcomes = await perform(
        database,
        contoso,
        ChangeUser(ann.id, setting(title="Boss")),
        ChangeUser(ann.id, setting(active=False)),
    )

    after = await read_user(database, contoso, ann.id)
    assert [outcome.action for outcome in outcomes] == [Action.UPDATE, Action.DISABLE]
    assert (after.document["title"], after.active, after.version) == ("Boss", False, 3)


async def test_many_come_in_one_call(database: Database, contoso: Connection) -> None:
    """A batch larger than any run and than what a statement may bind."""
    commands = [CreateUser(person(f"user{number}")) for number in range(1201)]

    outcomes = await perform(database, contoso, *commands, origin=Origin.GRAPH, atomic=False)

    assert {outcome.status for outcome in outcomes} == {OutcomeStatus.APPLIED}
    async with database.reading() as conn:
        state = await users.load_state(conn, contoso.tenant_id, contoso.id)
    assert len(state) == 1201
