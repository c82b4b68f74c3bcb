"""The simulated company: who is entitled, what deleting means, and what the change feed tells."""

import pytest

from simulator.directory import Directory
from simulator.objects import Conflict, DirectoryError, UnknownObject
from simulator.seeding import Shape, seed_company

DAY_S = 86_400


def person(directory: Directory, name: str) -> str:
    return directory.create_user({"userPrincipalName": f"{name}@{directory.domain}"}).id


@pytest.fixture
def directory() -> Directory:
    return Directory()


def test_direct_member_of_an_assigned_group_is_entitled(directory: Directory) -> None:
    """Who Entra provisions: users assigned, plus direct members of assigned groups."""
    ann, ben = person(directory, "ann"), person(directory, "ben")
    crew = directory.create_group({"displayName": "Crew"}).id
    directory.add_member(crew, ben)
    directory.assign(crew)
    directory.assign(ann)
    directory.assign(ben)
    assert directory.entitled() == {ann: ["direct"], ben: ["direct", crew]}


def test_member_of_a_nested_group_is_not_entitled(directory: Directory) -> None:
    """Nested groups are not expanded."""
    ann = person(directory, "ann")
    outer, inner = (directory.create_group({"displayName": name}).id for name in ("Outer", "Inner"))
    directory.add_member(outer, inner)
    directory.add_member(inner, ann)
    directory.assign(outer)
    assert directory.entitled() == {}
    assert directory.transitive_members(outer) == [inner, ann]


def test_groups_in_a_circle_have_finitely_many_members(directory: Directory) -> None:
    """Each object is below a group once, however it is reached."""
    ann = person(directory, "ann")
    one, two = (directory.create_group({"displayName": name}).id for name in ("One", "Two"))
    directory.add_member(one, two)
    directory.add_member(two, one)
    directory.add_member(two, ann)
    assert directory.transitive_members(one) == [two, ann]


def test_reasons_are_told_apart(directory: Directory) -> None:
    """Disabled, soft-deleted and purged are different facts and are recorded as such."""
    people = {
        name: person(directory, name) for name in ("fine", "disabled", "binned", "purged", "unassigned")
    }
    for name in ("fine", "disabled", "binned", "purged"):
        directory.assign(people[name])
    directory.change_user(people["disabled"], {"accountEnabled": False})
    directory.soft_delete_user(people["binned"])
    directory.purge_user(people["purged"])
    reasons = {name: directory.reason_not_entitled(user_id) for name, user_id in people.items()}
    assert reasons == {
        "fine": None,
        "disabled": "disabled",
        "binned": "soft_deleted",
        "purged": "purged",
        "unassigned": "unassigned",
    }


def test_nobody_knows_a_stranger(directory: Directory) -> None:
    """An id that never was is an error, not a purged person."""
    with pytest.raises(UnknownObject):
        directory.reason_not_entitled("nobody")


def test_soft_deleted_user_keeps_memberships_unseen_until_restored(directory: Directory) -> None:
    """A restored person has name, memberships and assignments back."""
    ann = person(directory, "ann")
    crew = directory.create_group({"displayName": "Crew"}).id
    directory.add_member(crew, ann)
    directory.assign(ann)
    directory.soft_delete_user(ann)
    assert (directory.live_members(crew), directory.live_assignments(), directory.find_user("ann")) == (
        [],
        [],
        None,
    )
    directory.restore_user(ann)
    assert directory.live_members(crew) == [ann]
    assert directory.entitled() == {ann: ["direct"]}
    assert directory.find_user(f"ANN@{directory.domain}") is directory.users[ann]


def test_name_is_free_after_soft_delete_and_blocks_the_restore(directory: Directory) -> None:
    """On soft delete the UPN gets the object id (no dashes) prefixed in the deleted object."""
    ann = person(directory, "ann")
    directory.soft_delete_user(ann)
    prefixed = directory.deleted_users[ann].item.user_principal_name
    assert prefixed == f"{ann.replace('-', '')}ann@{directory.domain}"
    person(directory, "ann")
    with pytest.raises(Conflict):
        directory.restore_user(ann)
    assert ann in directory.deleted_users


def test_purge_takes_a_user_out_of_everything(directory: Directory) -> None:
    """A purged person leaves groups, assignments and reports; each is in the feed."""
    ann, ben = person(directory, "ann"), person(directory, "ben")
    crew = directory.create_group({"displayName": "Crew"}).id
    directory.add_member(crew, ann)
    directory.assign(ann)
    directory.set_manager(ben, ann)
    before = directory.sequence
    directory.purge_user(ann)
    kinds = [(event.object_type, event.kind) for event in directory.changes_since(before)]
    assert kinds == [
        ("user", "soft_deleted"),
        ("group", "member_removed"),
        ("user", "changed"),
        ("assignment", "unassigned"),
        ("user", "purged"),
    ]
    assert directory.users[ben].manager_id is None
    assert directory.groups[crew].member_ids == {}


def test_recycle_bin_empties_after_thirty_days(directory: Directory) -> None:
    """Deleted objects are kept 30 days."""
    ann = person(directory, "ann")
    directory.soft_delete_user(ann)
    directory.advance(29 * DAY_S)
    assert ann in directory.deleted_users
    directory.advance(DAY_S)
    assert directory.reason_not_entitled(ann) == "purged"


def test_security_group_vanishes_at_once_and_office_group_can_come_back(directory: Directory) -> None:
    """Only Microsoft 365 groups are soft-deletable; security groups vanish at once."""
    ann = person(directory, "ann")
    security = directory.create_group({"displayName": "Security"}).id
    office = directory.create_group({"displayName": "Office", "groupTypes": ["Unified"]}).id
    for group in (security, office):
        directory.add_member(group, ann)
        directory.assign(group)
        directory.delete_group(group)
    assert directory.entitled() == {}
    assert list(directory.deleted_groups) == [office]
    directory.restore_group(office)
    assert directory.entitled() == {ann: [office]}
    assert directory.groups_of(ann) == [office]


def test_only_real_changes_are_recorded(directory: Directory) -> None:
    """The feed tells what changed, property by property, and nothing else."""
    ann = person(directory, "ann")
    directory.change_user(ann, {"jobTitle": "Clerk", "department": None})
    before = directory.sequence
    directory.change_user(ann, {"jobTitle": "Clerk", "department": None})
    assert directory.changes_since(before) == []
    directory.change_user(ann, {"jobTitle": None, "city": "Oslo"})
    assert [event.properties for event in directory.changes_since(before)] == [("jobTitle", "city")]
    assert "jobTitle" not in directory.users[ann].properties


def test_renaming_keeps_the_index_true(directory: Directory) -> None:
    """A userPrincipalName is unique, whatever its case, and findable after a change of case only."""
    ann, ben = person(directory, "ann"), person(directory, "ben")
    with pytest.raises(Conflict):
        directory.change_user(ben, {"userPrincipalName": f"Ann@{directory.domain}"})
    directory.change_user(ann, {"userPrincipalName": f"ANN@{directory.domain}"})
    assert directory.find_user(f"ann@{directory.domain}") is directory.users[ann]
    directory.change_user(ann, {"userPrincipalName": f"anna@{directory.domain}"})
    assert directory.find_user(f"ann@{directory.domain}") is None


def test_each_role_is_an_assignment_of_its_own(directory: Directory) -> None:
    """The same principal may appear several times, one per appRoleId."""
    ann = person(directory, "ann")
    directory.assign(ann)
    directory.assign(ann, directory.app_role_id)
    assert directory.assign(ann) in directory.live_assignments()
    assert len(directory.live_assignments()) == 2
    directory.unassign(ann, directory.app_role_id)
    assert directory.entitled() == {ann: ["direct"]}
    directory.unassign(ann)
    assert directory.entitled() == {}


def test_user_without_a_name_is_refused(directory: Directory) -> None:
    """A user needs a userPrincipalName."""
    with pytest.raises(DirectoryError, match="userPrincipalName"):
        directory.create_user({"displayName": "Nobody"})


def test_same_seed_gives_the_same_company() -> None:
    """Same seed, same people, groups, managers and ids; another seed, another company."""
    first, again, other = Directory(7), Directory(7), Directory(8)
    for directory in (first, again, other):
        seed_company(directory, users=150, groups=9)
    assert first.users == again.users
    assert first.groups == again.groups
    assert first.entitled() == again.entitled()
    assert first.client_secret == again.client_secret
    assert set(first.users).isdisjoint(other.users)


def test_seeded_company_is_the_beginning_of_the_story() -> None:
    """Seeding leaves no events; every kind of fact is there from the start."""
    directory = Directory(3)
    seed_company(directory, users=300, groups=20)
    assert (directory.sequence, directory.changes_since(0)) == (0, [])
    reasons = {directory.reason_not_entitled(user_id) for user_id in directory.users}
    assert reasons == {None, "disabled", "unassigned"}
    assert any(m in directory.groups for group in directory.groups.values() for m in group.member_ids)
    assert any(len(held) > 1 for held in directory.assignments.values())


def test_company_of_a_given_shape() -> None:
    """A benchmark can ask for exactly three memberships each and nobody outside."""
    directory = Directory(3)
    shape = Shape(memberships_per_user=3, assigned_groups=1, nested_groups=0, outside=0, disabled=0)
    seed_company(directory, users=500, groups=10, shape=shape)
    assert sum(len(group.member_ids) for group in directory.groups.values()) == 1500
    assert set(directory.entitled()) == set(directory.users)


def test_company_may_be_empty() -> None:
    """No users and no groups is a company too."""
    directory = Directory()
    seed_company(directory, users=0, groups=0)
    assert (directory.users, directory.entitled()) == ({}, {})
