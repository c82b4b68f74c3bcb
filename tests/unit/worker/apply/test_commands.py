"""From planned changes to lifecycle commands: the pure half of apply."""

from __future__ import annotations

import pytest

from store.records import (
    Action,
    ChangeGroup,
    ChangeUser,
    Command,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    Document,
    DriftKind,
    GraphId,
    GroupId,
    LinkGroup,
    LinkUser,
    Reason,
    SubjectType,
    UserId,
)
from worker.apply.commands import command_for
from worker.reconcile.plan import Change, Subject

ADA = Subject(SubjectType.USER, GraphId("g-ada"), "u-ada", "ada@example.com")
BOB = Subject(SubjectType.USER, GraphId("g-bob"), "u-bob", "bob@example.com")
TEAM = Subject(SubjectType.GROUP, GraphId("g-team"), "t-team", "Team")


def change(action: Action, subject: Subject = ADA, **fields: object) -> Change:
    return Change(DriftKind.ATTRIBUTE_MISMATCH, action, subject, expected_version=3, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("planned", "command"),
    [
        pytest.param(change(Action.LINK), LinkUser(UserId("u-ada"), GraphId("g-ada"), 3), id="link user"),
        pytest.param(
            change(Action.CREATE, after={"userName": "ada@example.com", "name.givenName": "Ada"}),
            CreateUser(
                {"userName": "ada@example.com", "name": {"givenName": "Ada"}},
                UserId("u-ada"),
                GraphId("g-ada"),
            ),
            id="create user",
        ),
        pytest.param(
            change(Action.RESTORE, after={"userName": "ada@example.com"}),
            CreateUser({"userName": "ada@example.com"}, UserId("u-ada"), GraphId("g-ada")),
            id="restore user",
        ),
        pytest.param(
            change(Action.DISABLE, reason=Reason.PURGED),
            DisableUser(UserId("u-ada"), Reason.PURGED, 3),
            id="disable user",
        ),
        pytest.param(
            change(Action.DELETE, reason=Reason.PURGED),
            DeleteUser(UserId("u-ada"), Reason.PURGED, 3),
            id="delete user",
        ),
        pytest.param(
            change(Action.LINK, TEAM), LinkGroup(GroupId("t-team"), GraphId("g-team"), 3), id="link group"
        ),
        pytest.param(
            change(Action.CREATE, TEAM, after={"displayName": "Team"}),
            CreateGroup({"displayName": "Team"}, GroupId("t-team"), GraphId("g-team")),
            id="create group",
        ),
        pytest.param(change(Action.DELETE, TEAM), DeleteGroup(GroupId("t-team"), 3), id="delete group"),
    ],
)
def test_each_kind_of_change_has_its_command(planned: Change, command: Command) -> None:
    """Everything goes through the one door, with the version it was planned on."""
    assert command_for([planned]) == command


def test_an_update_writes_the_paths_that_differ_and_nothing_else() -> None:
    """Only mapped attributes are compared, and only those that differ are written."""
    command = command_for([change(Action.UPDATE, after={"title": "Boss", "name.givenName": "Ada"})])
    assert isinstance(command, ChangeUser)
    name = {"familyName": "Lovelace"}
    before: Document = {"userName": "ada", "title": "Clerk", "name": name, "nickName": "kept"}
    assert command.change(before) == {
        "userName": "ada",
        "title": "Boss",
        "name": {"familyName": "Lovelace", "givenName": "Ada"},
        "nickName": "kept",
    }
    assert command.expected_version == 3


def test_enabling_sets_active() -> None:
    """`active` turning true re-enables."""
    command = command_for([change(Action.ENABLE, after={"active": True})])
    assert isinstance(command, ChangeUser)
    assert command.change({"userName": "ada", "active": False}) == {"userName": "ada", "active": True}


def test_a_group_is_renamed_by_its_document() -> None:
    """Groups are changed like users, members apart."""
    command = command_for([change(Action.UPDATE, TEAM, after={"displayName": "Crew"})])
    assert isinstance(command, ChangeGroup)
    assert command.change({"displayName": "Team"}) == {"displayName": "Crew"}
    assert (command.add_member_ids, command.remove_member_ids, command.replace_member_ids) == ((), (), None)


@pytest.mark.parametrize(
    ("action", "added", "removed"),
    [(Action.ADD_MEMBER, ("u-ada", "u-bob"), ()), (Action.REMOVE_MEMBER, (), ("u-ada", "u-bob"))],
)
def test_members_of_one_group_travel_together_under_its_version(
    action: Action, added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    """I7: a push to the group that landed meanwhile makes the whole command be passed over."""
    command = command_for([change(action, TEAM, member=ADA), change(action, TEAM, member=BOB)])
    assert isinstance(command, ChangeGroup)
    assert (command.add_member_ids, command.remove_member_ids) == (added, removed)
    assert command.expected_version == 3
    assert command.change({"displayName": "Team"}) == {"displayName": "Team"}


def test_a_later_change_of_a_row_is_decided_on_the_version_the_earlier_one_left() -> None:
    """`expected_version` is the version when the plan was made; who applies carries it forward."""
    command = command_for([change(Action.DISABLE)], version=7)
    assert isinstance(command, DisableUser)
    assert command.expected_version == 7


def test_a_row_that_turned_out_to_be_an_older_one_is_named_by_its_own_id() -> None:
    """Who returns gets the row they had; whatever was planned for the new id is meant for that one."""
    ids = {"u-ada": "u-old", "t-team": "t-old"}
    assert command_for([change(Action.DISABLE)], ids=ids) == DisableUser(UserId("u-old"), None, 3)
    added = command_for([change(Action.ADD_MEMBER, TEAM, member=ADA)], ids=ids)
    assert isinstance(added, ChangeGroup)
    assert (added.group_id, added.add_member_ids) == ("t-old", ("u-old",))
