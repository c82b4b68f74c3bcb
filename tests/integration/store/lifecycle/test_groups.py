"""What happens to groups and memberships."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from store.database import Database
from store.directory import memberships
from store.errors import InvalidRecord, NotFound, UniquenessConflict, UnknownMember, VersionMoved
from store.logs import events, provisioning_log
from store.records import (
    Action,
    AddMembers,
    ChangeGroup,
    Connection,
    CreateGroup,
    DeleteGroup,
    DeleteUser,
    Document,
    GraphId,
    Group,
    GroupId,
    LinkGroup,
    MarkUser,
    Modified,
    Origin,
    OutcomeStatus,
    RemoveMembers,
    SubjectType,
)
from tests.builders.store_rows import (
    create_group,
    create_user,
    member_ids,
    perform,
    read_group,
    read_user,
    setting,
)


async def test_a_created_group_reads_back_without_its_members(
    database: Database, contoso: Connection
) -> None:
    """Memberships are rows of their own; the document never holds them."""
    ann = await create_user(database, contoso, "ann")
    document: Document = {"displayName": "Readers", "externalId": "g1", "members": [{"value": ann.id}]}

    [outcome] = await perform(database, contoso, CreateGroup(document, member_ids=(ann.id,)))

    assert isinstance(outcome.record, Group)
    assert outcome.record == await read_group(database, contoso, outcome.record.id)
    assert outcome.record.document == {"displayName": "Readers", "externalId": "g1"}
    assert await member_ids(database, contoso, outcome.record.id) == {ann.id}


async def test_group_names_are_unique_in_a_connection_without_regard_to_case(
    database: Database, contoso: Connection
) -> None:
    """Entra matches groups by displayName: two of one name would be one group to it."""
    await create_group(database, contoso, "Readers")
    writers = await create_group(database, contoso, "Writers")

    with pytest.raises(UniquenessConflict):
        await create_group(database, contoso, "READERS")
    with pytest.raises(UniquenessConflict):
        await perform(database, contoso, ChangeGroup(writers.id, setting(displayName="readers")))


async def test_a_group_may_take_the_name_that_another_gives_up_with_it(
    database: Database, contoso: Connection
) -> None:
    """The plan's order says nothing of who waits for whom."""
    names = ("Readers", "Writers", "Editors")
    readers, writers, editors = [await create_group(database, contoso, name) for name in names]
    renames = [
        ChangeGroup(readers.id, setting(displayName="Writers")),
        ChangeGroup(writers.id, setting(displayName="Authors")),
        ChangeGroup(editors.id, setting(displayName="AUTHORS")),
    ]

    outcomes = await perform(database, contoso, *renames, origin=Origin.GRAPH, atomic=False)

    failed, applied = OutcomeStatus.FAILED, OutcomeStatus.APPLIED
    assert [outcome.status for outcome in outcomes] == [applied, applied, failed]
    assert (await read_group(database, contoso, readers.id)).display_name == "Writers"


async def test_a_group_needs_a_name(database: Database, contoso: Connection) -> None:
    """RFC 7643 §4.2: displayName is required."""
    with pytest.raises(InvalidRecord):
        await perform(database, contoso, CreateGroup({}))


async def test_an_unknown_first_member_leaves_no_group(database: Database, contoso: Connection) -> None:
    """Invariant I4: refused means nothing is left."""
    with pytest.raises(UnknownMember):
        await create_group(database, contoso, "Readers", "nobody")

    await create_group(database, contoso, "Readers")


async def test_adding_twice_changes_once(database: Database, contoso: Connection) -> None:
    """Invariant I6; only rows that really changed are logged."""
    ann, bea = await create_user(database, contoso, "ann"), await create_user(database, contoso, "bea")
    group = await create_group(database, contoso, "Readers", ann.id)

    [first] = await perform(database, contoso, AddMembers(group.id, (ann.id, bea.id)))
    [second] = await perform(database, contoso, AddMembers(group.id, (ann.id, bea.id)))

    assert (first.status, second.status) == (OutcomeStatus.APPLIED, OutcomeStatus.UNCHANGED)
    assert (await read_group(database, contoso, group.id)).version == group.version + 1
    async with database.reading() as conn:
        page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id, action=Action.ADD_MEMBER)
    assert [entry.modified for entry in page.entries if entry.status == "success"] == [
        (Modified(attribute="members", old=None, new=bea.id),),
        (Modified(attribute="members", old=None, new=ann.id),),
    ]


async def test_removing_who_is_not_in_is_a_success(database: Database, contoso: Connection) -> None:
    """Entra repeats a removal it is not sure of; nothing changes the second time."""
    ann = await create_user(database, contoso, "ann")
    group = await create_group(database, contoso, "Readers", ann.id)

    [gone] = await perform(database, contoso, RemoveMembers(group.id, (ann.id, "never-in")))
    [again] = await perform(database, contoso, RemoveMembers(group.id, (ann.id,)))

    assert (gone.status, again.status) == (OutcomeStatus.APPLIED, OutcomeStatus.UNCHANGED)
    assert await member_ids(database, contoso, group.id) == set()


async def test_an_unknown_member_refuses_the_command_whole(database: Database, contoso: Connection) -> None:
    """A PATCH that names somebody unknown adds nobody, and says whom we do not know."""
    ann = await create_user(database, contoso, "ann")
    group = await create_group(database, contoso, "Readers")

    with pytest.raises(UnknownMember, match="nobody"):
        await perform(database, contoso, AddMembers(group.id, (ann.id, "nobody")))

    assert await member_ids(database, contoso, group.id) == set()


async def test_a_deleted_user_cannot_be_added(database: Database, contoso: Connection) -> None:
    """A hidden row is nobody to SCIM."""
    ann = await create_user(database, contoso, "ann")
    group = await create_group(database, contoso, "Readers")
    await perform(database, contoso, DeleteUser(ann.id))

    with pytest.raises(UnknownMember):
        await perform(database, contoso, AddMembers(group.id, (ann.id,)))


async def test_a_group_can_be_a_member(database: Database, contoso: Connection) -> None:
    """RFC 7643 §4.2: members are users or groups."""
    inner, outer = (
        await create_group(database, contoso, "Inner"),
        await create_group(database, contoso, "Outer"),
    )

    await perform(database, contoso, AddMembers(outer.id, (inner.id,)))

    async with database.reading() as conn:
        [found] = await memberships.of_group(conn, contoso.tenant_id, outer.id)
    assert (found.member_id, found.member_type) == (inner.id, SubjectType.GROUP)
    await perform(database, contoso, DeleteGroup(inner.id))
    assert await member_ids(database, contoso, outer.id) == set()


async def test_a_change_of_a_group_can_change_everything_at_once(
    database: Database, contoso: Connection
) -> None:
    """A PATCH may rename, add and remove in one request; the version counts it once."""
    ann, bea = await create_user(database, contoso, "ann"), await create_user(database, contoso, "bea")
    group = await create_group(database, contoso, "Readers", ann.id)

    [outcome] = await perform(
        database,
        contoso,
        ChangeGroup(
            group.id, setting(displayName="Writers"), add_member_ids=(bea.id,), remove_member_ids=(ann.id,)
        ),
    )

    assert outcome.record == await read_group(database, contoso, group.id)
    assert isinstance(outcome.record, Group)
    assert (outcome.record.display_name, outcome.record.version) == ("Writers", group.version + 1)
    assert await member_ids(database, contoso, group.id) == {bea.id}


async def test_replacing_the_members_leaves_exactly_those(database: Database, contoso: Connection) -> None:
    """PUT of a group gives the whole list; the log names who came and who went, not who stayed."""
    ann, bea, cid = [await create_user(database, contoso, name) for name in ("ann", "bea", "cid")]
    group = await create_group(database, contoso, "Readers", ann.id, bea.id)

    await perform(database, contoso, ChangeGroup(group.id, dict, replace_member_ids=(bea.id, cid.id)))

    assert await member_ids(database, contoso, group.id) == {bea.id, cid.id}
    async with database.reading() as conn:
        told = await events.since(conn, contoso.tenant_id)
    assert [(event.type, event.payload["memberIds"]) for event in told[-2:]] == [
        ("membership.removed", [ann.id]),
        ("membership.added", [cid.id]),
    ]


async def test_deleting_a_group_leaves_its_members(database: Database, contoso: Connection) -> None:
    """issue push: delete of a group leaves its members; its name is free again."""
    ann = await create_user(database, contoso, "ann")
    group = await create_group(database, contoso, "Readers", ann.id)

    await perform(database, contoso, DeleteGroup(group.id))

    with pytest.raises(NotFound):
        await read_group(database, contoso, group.id)
    assert (await read_user(database, contoso, ann.id)).active
    async with database.reading() as conn:
        assert await memberships.of_member(conn, contoso.tenant_id, ann.id) == []
        told = await events.since(conn, contoso.tenant_id)
    assert (told[-1].type, told[-1].payload["memberIds"]) == ("group.deleted", [ann.id])
    await create_group(database, contoso, "Readers")


@pytest.mark.parametrize("origin", [Origin.SCIM, Origin.GRAPH])
async def test_who_was_in_a_deleted_group_is_told_to_the_next_increment(
    database: Database, contoso: Connection, origin: Origin
) -> None:
    """Even after the worker's own deletion: it may have been cut off before it came to the people."""
    ann = await create_user(database, contoso, "ann")
    group = await create_group(database, contoso, "Readers", ann.id)
    async with database.reading() as conn:
        before = await events.last_id(conn, contoso.tenant_id)

    await perform(database, contoso, DeleteGroup(group.id), origin=origin)

    async with database.reading() as conn:
        scope = conn, contoso.tenant_id, contoso.id
        touched = await events.touched_since(*scope, before, datetime.now(UTC) + timedelta(hours=1))
    assert touched.member_ids == {ann.id}
    assert touched.group_ids == ({group.id} if origin is Origin.SCIM else set())


async def test_a_group_that_comes_back_under_its_id_gets_its_row_back(
    database: Database, contoso: Connection
) -> None:
    """The worker plans ids that follow from the Entra object: a group assigned again has the id it had."""
    command = CreateGroup(
        {"displayName": "Readers"}, id=GroupId("planned"), entra_object_id=GraphId("entra-g")
    )
    await perform(database, contoso, command, origin=Origin.GRAPH)
    [again] = await perform(database, contoso, command, origin=Origin.GRAPH)
    await perform(database, contoso, DeleteGroup(GroupId("planned")))

    [back] = await perform(database, contoso, command, origin=Origin.GRAPH)

    assert again.status is OutcomeStatus.UNCHANGED
    assert back.action is Action.RESTORE
    assert back.record == await read_group(database, contoso, GroupId("planned"))


async def test_one_entra_group_has_one_row(database: Database, contoso: Connection) -> None:
    """Linking a second group to the same Entra object is a conflict."""
    one, two = await create_group(database, contoso, "One"), await create_group(database, contoso, "Two")
    await perform(database, contoso, LinkGroup(one.id, GraphId("entra-g")))

    with pytest.raises(UniquenessConflict):
        await perform(database, contoso, LinkGroup(two.id, GraphId("entra-g")))
    with pytest.raises(VersionMoved):
        await perform(database, contoso, LinkGroup(one.id, GraphId("other"), expected_version=one.version))


async def test_the_worker_takes_no_membership_from_a_protected_account(
    database: Database, contoso: Connection
) -> None:
    """design.md §5, rule 5: removing a member is a removal too."""
    ann, bea = await create_user(database, contoso, "ann"), await create_user(database, contoso, "bea")
    group = await create_group(database, contoso, "Readers", ann.id, bea.id)
    await perform(database, contoso, MarkUser(ann.id, is_protected=True))

    await perform(database, contoso, RemoveMembers(group.id, (ann.id, bea.id)), origin=Origin.GRAPH)
    assert await member_ids(database, contoso, group.id) == {ann.id}

    await perform(database, contoso, RemoveMembers(group.id, (ann.id,)), origin=Origin.SCIM)
    assert await member_ids(database, contoso, group.id) == set()


async def test_the_first_of_two_equal_adds_is_the_one_that_did_it(
    database: Database, contoso: Connection
) -> None:
    """In one batch each command is told what it changed itself."""
    ann = await create_user(database, contoso, "ann")
    group = await create_group(database, contoso, "Readers")
    unknown = AddMembers(GroupId("no-group"), (ann.id,))

    outcomes = await perform(
        database,
        contoso,
        AddMembers(group.id, (ann.id,)),
        unknown,
        AddMembers(group.id, (ann.id,)),
        origin=Origin.GRAPH,
        atomic=False,
    )

    assert [outcome.status for outcome in outcomes] == [
        OutcomeStatus.APPLIED,
        OutcomeStatus.SKIPPED,
        OutcomeStatus.UNCHANGED,
    ]


async def test_three_hundred_members_added_at_once_are_all_in(
    database: Database, contoso: Connection
) -> None:
    """issue push: 300 simultaneous single-member PATCHes on one group all take effect."""
    people = [await create_user(database, contoso, f"user{number}") for number in range(300)]
    group = await create_group(database, contoso, "Everybody")

    await asyncio.gather(
        *(perform(database, contoso, AddMembers(group.id, (person.id,))) for person in people)
    )

    assert await member_ids(database, contoso, group.id) == {person.id for person in people}
    # Those performed together raise the version once: it tells states apart, and theirs is one.
    assert group.version < (await read_group(database, contoso, group.id)).version <= group.version + 300


async def test_members_coming_and_going_at_once_end_where_each_was_last_told(
    database: Database, contoso: Connection
) -> None:
    """Deletes of people and changes of their groups cross without losing or resurrecting anybody."""
    people = [await create_user(database, contoso, f"user{number}") for number in range(40)]
    groups = [await create_group(database, contoso, f"Group {number}") for number in range(4)]
    ids = [person.id for person in people]
    leaving, staying = ids[:20], ids[20:]

    async def join_and_leave(person: str) -> None:
        for group in groups:
            await perform(database, contoso, AddMembers(group.id, (person,)), atomic=False)

    await asyncio.gather(
        *(join_and_leave(person) for person in ids),
        *(perform(database, contoso, DeleteUser(person), atomic=False) for person in leaving),
    )

    for group in groups:
        assert await member_ids(database, contoso, group.id) == set(staying)
