"""The changes to groups and to who is in them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs

from store.records import Action, DriftKind, GraphId, Group, GroupId, MembershipMode, Origin, Policy, Reason
from tests.builders.reconcile.snapshots import (
    ENFORCE,
    LONG_AGO,
    applied,
    group_row,
    holding,
    partial,
    person,
    planned,
    reading,
    row,
    said,
    twin,
)
from worker.reconcile.plan import Plan
from worker.reconcile.snapshot import Focus

ANA = person("ana")
BO = person("bo")
SALES = group_row("g1", name="Sales", entra="sales")


def conflicts(made: Plan) -> set[str]:
    return {f.subject.key for f in made.findings if f.kind is DriftKind.MATCH_CONFLICT}


# --- Groups themselves


def test_an_assigned_group_is_created_then_filled() -> None:
    """Groups: displayName -> displayName, objectId -> externalId, members -> members."""
    made = planned(reading([ANA], groups={"sales": ["ana"]}), holding())
    assert said(made) == [
        "create ana@corp.example",
        "create Sales",
        "add_member Sales ana@corp.example",
    ]
    assert made.changes[1].kind is DriftKind.GROUP_MISSING
    assert made.changes[1].after == {"displayName": "Sales", "externalId": "sales"}


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(group_row("g1", name="Other", external_id="SALES"), id="externalId=object-id"),
        pytest.param(group_row("g1", name="SALES"), id="displayName"),
        pytest.param(group_row("g1", entra="old", external_id="sales"), id="given-away-by-the-push"),
    ],
)
def test_a_group_that_is_here_is_recognised_and_linked(found: Group) -> None:
    """Link by object id, else externalId = object id, else displayName (which the push matches by)."""
    made = planned(reading(groups={"sales": []}), holding(groups=[found]))
    assert said(made)[0] == f"link {found.display_name}"
    assert {c.subject.local_id for c in made.changes} == {"g1"}


def test_a_group_made_anew_under_an_old_name_is_a_new_group() -> None:
    """W10: the old one goes, and frees the name."""
    made = planned(
        reading(groups={"sales": []}), holding(groups=[group_row("g1", name="Sales", entra="old")])
    )
    assert said(made) == ["delete Sales", "create Sales"]


def test_a_local_group_of_the_same_name_is_taken_over() -> None:
    """The push would match it by displayName as well."""
    local = group_row("g1", name="Sales", origin=Origin.CONSOLE)
    assert said(planned(reading(groups={"sales": []}), holding(groups=[local]))) == ["link Sales"]


def test_without_a_whole_reading_no_group_is_taken_over() -> None:
    """The old group may be assigned still."""
    old = group_row("g1", name="Sales", entra="old")
    made = planned(reading(groups={"sales": []}, completeness=partial()), holding(groups=[old]))
    assert made.changes == ()
    assert conflicts(made) == {"sales"}


def test_several_local_groups_that_could_be_it_are_a_conflict() -> None:
    """Never guessed."""
    rows = [group_row("g1", external_id="sales"), group_row("g2", external_id="sales")]
    made = planned(reading(groups={"sales": []}), holding(groups=rows))
    assert (made.changes, conflicts(made)) == ((), {"sales"})


def test_two_entra_groups_of_one_name_are_a_conflict() -> None:
    """Entra allows it, displayName here is unique per connection."""
    snapshot = reading(groups={"one": [], "two": []}, names={"one": "Sales", "two": "sales"})
    made = planned(snapshot, holding())
    assert (made.changes, conflicts(made)) == ((), {"one", "two"})


def test_a_renamed_group_is_renamed() -> None:
    """`attribute_mismatch` for displayName."""
    made = planned(reading(groups={"sales": []}, names={"sales": "Sellers"}), holding(groups=[SALES]))
    (rename,) = made.changes
    assert (rename.action, rename.kind) == (Action.UPDATE, DriftKind.ATTRIBUTE_MISMATCH)
    assert (rename.before, rename.after) == ({"displayName": "Sales"}, {"displayName": "Sellers"})


def test_a_nameless_group_is_not_renamed() -> None:
    """Entra never sends nulls."""
    assert planned(reading(groups={"sales": []}, names={"sales": ""}), holding(groups=[SALES])).changes == ()


def test_a_rename_to_the_name_of_another_group_is_refused_and_reported() -> None:
    """409: displayName is unique per connection."""
    local = group_row("g2", name="Sellers", origin=Origin.CONSOLE)
    snapshot = reading(groups={"sales": []}, names={"sales": "SELLERS"})
    made = planned(snapshot, holding(groups=[SALES, local]))
    assert (made.changes, conflicts(made)) == ((), {"sales"})


def test_a_group_may_take_the_name_of_one_that_goes() -> None:
    """A group that goes may free the displayName that another is renamed to, so it goes first."""
    old = group_row("g2", name="Sellers", entra="old")
    snapshot = reading(groups={"sales": []}, names={"sales": "Sellers"})
    state = holding(groups=[SALES, old])
    made = planned(snapshot, state)
    assert said(made) == ["delete Sellers", "update Sales"]
    applied(state, made.changes)


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(group_row("g1", entra="gone", origin=Origin.CONSOLE), id="linked"),
        pytest.param(group_row("g1", origin=Origin.SCIM), id="pushed"),
    ],
)
def test_a_group_that_is_no_longer_assigned_is_deleted(extra: Group) -> None:
    """Group unassigned / deleted: DELETE /Groups/{id}."""
    (delete,) = planned(reading(), holding(groups=[extra])).changes
    assert (delete.action, delete.kind) == (Action.DELETE, DriftKind.GROUP_EXTRA)
    assert (delete.reason, delete.expected_version) == (Reason.UNASSIGNED, 1)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(group_row("g1", origin=Origin.CONSOLE), id="local"),
        pytest.param(group_row("g1", deleted=True), id="deleted"),
    ],
)
def test_local_groups_are_left_alone(kept: Group) -> None:
    """`group_extra` (delete only if linked or pushed; local groups are left)."""
    made = planned(reading(), holding(groups=[kept]))
    assert (made.changes, made.findings) == ((), ())


def test_what_a_pushed_group_is_asked_for_by() -> None:
    """By its object id, linked or as externalId; a second row of a group that has one is not in question."""
    first, other = "0f1e2d3c-0000-4000-8000-000000000001", "0f1e2d3c-0000-4000-8000-000000000002"
    rows = [
        group_row("g1", entra=first),
        group_row("g2", external_id=first),
        group_row("g3", external_id=other.upper()),
        group_row("g4", external_id="no-object-id"),
    ]
    made = planned(reading(groups={first: []}), holding([], rows))
    assert {c.subject.local_id for c in made.changes if c.action is Action.DELETE} == {"g2", "g3", "g4"}
    assert [(a.subject.local_id, a.lookups) for a in made.absentees] == [("g3", (("id", other),))]


def test_a_broken_off_reading_deletes_no_group() -> None:
    """An assignment that did not come is no unassignment."""
    assert planned(reading(completeness=partial()), holding(groups=[SALES])).changes == ()


def test_a_group_that_a_push_touched_after_reading_began_is_left_for_the_next_cycle() -> None:
    """It may have been assigned a moment ago."""
    young = structs.replace(SALES, last_modified=reading().taken_at + timedelta(seconds=1))
    made = planned(reading(), holding(groups=[young]))
    assert made.changes == ()
    assert [f.kind for f in made.findings] == [DriftKind.GROUP_EXTRA]


def test_a_group_that_is_assigned_again_has_its_row_back() -> None:
    """The same row, the same history; of several the one deleted last."""
    last = group_row("g1", name="Sales", entra="sales", deleted=True)
    first = structs.replace(last, id=GroupId("g2"), deleted_at=LONG_AGO - timedelta(days=1))
    state = holding([twin(ANA)], [last, first])
    made = planned(reading([ANA], groups={"sales": ["ana"]}), state)
    assert said(made) == ["restore Sales", "add_member Sales ana@corp.example"]
    assert {c.subject.local_id for c in made.changes} == {"g1"}


def test_a_group_that_a_push_just_deleted_is_not_restored() -> None:
    """I7: the push knows of something that happened after we read."""
    young = reading().taken_at + timedelta(seconds=1)
    state = holding([twin(ANA)], [group_row("g1", name="Sales", entra="sales", deleted=True, modified=young)])
    made = planned(reading([ANA], groups={"sales": ["ana"]}), state)
    assert (made.changes, made.again) == ((), frozenset({"g1"}))


def test_the_name_of_a_deleted_group_brings_no_row_back() -> None:
    """It stood for another Entra group, or for none."""
    state = holding(groups=[group_row("g1", name="Sales", deleted=True)])
    assert said(planned(reading(groups={"sales": []}), state)) == ["create Sales"]


# --- Who is in them


def test_missing_and_extra_members_are_put_right() -> None:
    """`membership_missing`, `membership_extra`."""
    state = holding([twin(ANA), twin(BO)], [SALES], {"g1": ["row-bo"]})
    made = planned(reading([ANA, BO], ["bo"], {"sales": ["ana"]}), state)
    assert said(made) == ["add_member Sales ana@corp.example", "remove_member Sales bo@corp.example"]
    assert [c.kind for c in made.changes] == [DriftKind.MEMBERSHIP_MISSING, DriftKind.MEMBERSHIP_EXTRA]
    assert [a.subject.key for a in made.absentees] == ["bo"]


def test_a_returning_member_is_put_back() -> None:
    """Restored / re-enabled: memberships are not replayed by the push."""
    state = holding([twin(ANA, active=False)], [SALES])
    made = planned(reading([ANA], groups={"sales": ["ana"]}), state)
    assert said(made) == ["enable ana@corp.example", "add_member Sales ana@corp.example"]


@pytest.mark.parametrize("shown", [["ana"], []])
def test_who_is_being_disabled_keeps_the_membership(shown: list[str]) -> None:
    """Member deleted (soft): membership is **not** removed. Access is dead either way."""
    state = holding([twin(ANA)], [SALES], {"g1": ["row-ana"]})
    snapshot = reading([person("ana", enabled=False)], ["ana"], {"sales": shown})
    made = planned(snapshot, state)
    assert said(made) == ["disable ana@corp.example"]
    assert planned(snapshot, applied(state, made.changes)).changes == ()


def test_inactive_members_are_not_compared() -> None:
    """Neither put in nor taken out: the comparison starts again when they are active."""
    off = person("ana", enabled=False)
    inactive = twin(ANA, active=False)
    assert (
        planned(
            reading([off], groups={"sales": []}), holding([inactive], [SALES], {"g1": ["row-ana"]})
        ).changes
        == ()
    )
    assert planned(reading([off], groups={"sales": ["ana"]}), holding([inactive], [SALES])).changes == ()


def test_a_person_who_is_enabled_again_loses_what_membership_is_no_longer_theirs() -> None:
    """What was left alone while they were inactive is put right when they are back."""
    state = holding([twin(ANA, active=False)], [SALES], {"g1": ["row-ana"]})
    made = planned(reading([ANA], ["ana"], {"sales": []}), state)
    assert said(made) == ["enable ana@corp.example", "remove_member Sales ana@corp.example"]


def test_a_protected_member_is_reported_and_kept() -> None:
    """Accounts marked protected are never removed."""
    state = holding([twin(ANA, is_protected=True)], [SALES], {"g1": ["row-ana"]})
    made = planned(reading([ANA], ["ana"], {"sales": []}), state)
    assert made.changes == ()
    (finding,) = made.findings
    assert (finding.kind, finding.candidates) == (DriftKind.MEMBERSHIP_EXTRA, ("row-ana",))


def test_a_protected_leaver_who_is_still_a_member_in_entra_stays_one() -> None:
    """Active here, disabled there: whoever Entra shows as a member is no extra one."""
    state = holding([twin(ANA, is_protected=True)], [SALES], {"g1": ["row-ana"]})
    made = planned(reading([person("ana", enabled=False)], groups={"sales": ["ana"]}), state)
    assert made.changes == ()


def test_local_members_are_left_alone() -> None:
    """Unmanaged local members in a synced group are not touched."""
    state = holding([row("r1", origin=Origin.CONSOLE)], [SALES], {"g1": ["r1"]})
    assert planned(reading(groups={"sales": []}), state).changes == ()


def test_a_member_in_conflict_is_left_alone() -> None:
    """Whoever it is, it may be a member."""
    rows = [row("r1", external_id="ana"), row("r2", external_id="ana")]
    state = holding(rows, [SALES], {"g1": ["r1", "r2"]})
    assert planned(reading([ANA], ["ana"], {"sales": []}), state).changes == ()


def test_a_member_that_a_push_touched_after_reading_began_is_left_alone() -> None:
    """A member added while we read looks like an extra one."""
    young = twin(ANA, last_modified=reading().taken_at + timedelta(seconds=1))
    state = holding([young], [SALES], {"g1": ["row-ana"]})
    assert planned(reading([ANA], ["ana"], {"sales": []}), state).changes == ()


def test_a_member_who_changed_meanwhile_is_looked_at_again_though_only_the_group_was_in_focus() -> None:
    """The group counts as compared after this cycle: nothing else would bring the membership up any more."""
    young = twin(ANA, last_modified=reading().taken_at + timedelta(seconds=1))
    state = holding([young], [SALES], {"g1": ["row-ana"]})
    only_sales = Focus(groups=frozenset({GraphId("sales")}))
    made = planned(reading([ANA], ["ana"], {"sales": []}), state, focus=only_sales)
    assert made.changes == ()
    assert made.again == {"row-ana"}


def test_an_extra_member_is_taken_out_whoever_wrote_the_row_last() -> None:
    """A linked person edited in the console is Entra's all the same."""
    state = holding([twin(ANA, origin=Origin.CONSOLE)], [SALES], {"g1": ["row-ana"]})
    made = planned(reading([ANA], ["ana"], {"sales": []}), state)
    assert said(made) == ["remove_member Sales ana@corp.example"]


def test_a_member_recognised_but_not_yet_linked_is_compared_as_that_person() -> None:
    """Linked and compared in one plan: a member in Entra stays, who is none goes."""
    rows = [twin(ANA, entra_object_id=None), twin(BO, entra_object_id=None)]
    state = holding(rows, [SALES], {"g1": ["row-ana", "row-bo"]})
    made = planned(reading([ANA, BO], ["ana"], {"sales": ["bo"]}), state)
    assert said(made)[-1] == "remove_member Sales ana@corp.example"
    assert [a.subject.graph_id for a in made.absentees] == ["ana"]


def test_a_protected_member_not_yet_linked_who_is_disabled_in_entra_stays_one() -> None:
    """Entra shows the person as a member, by the id that the row is about to be linked to."""
    row_ = twin(ANA, entra_object_id=None, is_protected=True)
    state = holding([row_], [SALES], {"g1": ["row-ana"]})
    made = planned(reading([person("ana", enabled=False)], groups={"sales": ["ana"]}), state)
    assert said(made) == ["link ana@corp.example"]
    assert [f.kind for f in made.findings] == [DriftKind.MISSED_DEPROVISION]


def test_a_group_that_a_push_changed_after_reading_began_keeps_its_name_and_members() -> None:
    """I7: a push that lands during a cycle is never overwritten by that cycle."""
    young = structs.replace(SALES, last_modified=reading().taken_at + timedelta(seconds=1))
    state = holding([twin(ANA), twin(BO)], [young], {"g1": ["row-bo"]})
    snapshot = reading([ANA, BO], ["bo"], {"sales": ["ana"]}, names={"sales": "Sellers"})
    made = planned(snapshot, state)
    assert (made.changes, made.again) == ((), frozenset({"g1", "row-ana", "row-bo"}))


@pytest.mark.parametrize(
    ("name", "member", "again"),
    [("Sales", "ana", []), ("Sellers", "ana", ["g1"]), ("Sales", "bo", ["row-ana", "row-bo"])],
)
def test_of_a_group_that_a_push_changed_meanwhile_what_differs_is_looked_at_again(
    name: str, member: str, again: list[str]
) -> None:
    """To look at a group is to read all its members: those who came or went are looked at by themselves."""
    young = structs.replace(SALES, last_modified=reading().taken_at + timedelta(seconds=1))
    state = holding([twin(ANA), twin(BO)], [young], {"g1": ["row-ana"]})
    snapshot = reading([ANA, BO], ["ana", "bo"], {"sales": [member]}, names={"sales": name})
    made = planned(snapshot, state)
    assert (made.changes, made.again) == ((), frozenset(again))


def test_memberships_are_decided_on_a_version_of_the_group() -> None:
    """A push to the group since then goes first."""
    state = holding([twin(ANA), twin(BO)], [structs.replace(SALES, version=7)], {"g1": ["row-bo"]})
    made = planned(reading([ANA, BO], ["bo"], {"sales": ["ana"]}), state)
    assert {c.expected_version for c in made.changes} == {7}


def test_a_broken_off_reading_takes_nobody_out_of_a_group() -> None:
    """The page with the member may be the one that did not come; additions go on."""
    state = holding([twin(ANA), twin(BO)], [SALES], {"g1": ["row-bo"]})
    snapshot = reading([ANA, BO], ["bo"], {"sales": ["ana"]}, completeness=partial())
    assert said(planned(snapshot, state)) == ["add_member Sales ana@corp.example"]


def test_members_who_are_unknown_here_are_nobodys_business() -> None:
    """A membership of a row that is gone, or of a deleted one."""
    deleted = structs.replace(row("r1", entra="ana", deleted=True), active=True)
    state = holding([deleted], [SALES], {"g1": ["r1", "nobody"]})
    assert planned(reading(groups={"sales": []}), state).changes == ()


def test_nested_groups_are_members_when_both_are_assigned() -> None:
    """If both groups are assigned, the child group's own SCIM id is added; its members are not expanded."""
    state = holding(groups=[SALES, group_row("g2", name="Inner", entra="inner")])
    made = planned(reading(groups={"sales": ["inner", "other"], "inner": []}), state)
    assert said(made) == ["add_member Sales Inner"]
    assert made.changes[0].person is None


def test_a_nested_group_that_is_no_member_any_more_is_taken_out() -> None:
    """And is asked for before: its people may have something in the app by it (simulation, seed 45037)."""
    inner = group_row("g2", name="Inner", entra="inner")
    state = holding(groups=[SALES, inner], members={"g1": ["g2"]})
    made = planned(reading(groups={"sales": [], "inner": []}), state)
    assert said(made) == ["remove_member Sales Inner"]
    assert [each.subject.graph_id for each in made.absentees] == ["inner"]


def test_a_nested_group_in_focus_that_left_a_group_a_push_changed_meanwhile_is_looked_at_again() -> None:
    """The increment was about the nested group: what it leaves alone is its to tell (simulation, seed 1015)."""
    young = structs.replace(SALES, last_modified=reading().taken_at + timedelta(seconds=1))
    state = holding(groups=[young, group_row("g2", name="Inner", entra="inner")], members={"g1": ["g2"]})
    about = Focus(groups=frozenset({GraphId("inner")}))
    made = planned(reading(groups={"sales": [], "inner": []}), state, ENFORCE, about)
    assert (made.changes, made.again) == ((), frozenset({"g2"}))


@pytest.mark.parametrize("inner", [group_row("g2", origin=Origin.CONSOLE), group_row("g2", entra="gone")])
def test_a_nested_group_that_is_local_or_about_to_go_is_not_taken_out(inner: Group) -> None:
    """The deletion of a group ends its memberships by itself."""
    state = holding(groups=[SALES, inner], members={"g1": ["g2"]})
    made = planned(reading(groups={"sales": []}), state)
    assert Action.REMOVE_MEMBER not in {c.action for c in made.changes}


def test_membership_by_nesting_counts_by_policy() -> None:
    """`membership: transitive` is a choice per connection."""
    state = holding([twin(ANA), twin(BO)], [SALES])
    snapshot = reading([ANA, BO], ["bo"], {"sales": ["ana"]}, nested={"sales": ["bo"]})
    made = planned(snapshot, state, Policy(membership=MembershipMode.TRANSITIVE))
    assert {c.member.label: c.note for c in made.changes if c.member} == {
        "ana@corp.example": "",
        "bo@corp.example": "nested: Entra does not provision these",
    }
