"""Order, identity and JSON of plans; and the part of a plan that concerns one subject."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from store.records import Action, ConnectionId, CycleKind, GraphId, Group, Origin, Policy, User
from tests.builders.reconcile.snapshots import (
    CONNECTION,
    ENFORCE,
    NOW,
    ROLES,
    group_row,
    holding,
    person,
    planned,
    reading,
    row,
    said,
    twin,
)
from worker.reconcile.mapping.attribute_paths import PolicyError
from worker.reconcile.plan import Plan
from worker.reconcile.plan_json import PlanUnreadable, due_rows_from_json, plan_from_json
from worker.reconcile.snapshot import Completeness, Focus, ListRead, Snapshot
from worker.reconcile.state import State

ANA, BO, CY = person("ana"), person("bo"), person("cy")
SALES = group_row("g1", name="Sales", entra="sales")

BUSY_READING = reading(
    [person("ana", jobTitle="Boss"), BO, CY, person("new")],
    ["ana", "bo", "cy", "new"],
    {"sales": ["ana"], "staff": ["bo"]},
)
BUSY_STATE = holding(
    [
        structs.replace(twin(ANA), entra_object_id=None),
        twin(BO, active=False),
        twin(CY),
        row("leaver", entra="gone"),
        row("pushed", external_id="pushed"),
    ],
    [SALES, group_row("g2", name="Old", entra="old"), group_row("g3", name="Staff")],
    {"g1": ["row-cy"]},
)


def test_changes_come_in_the_order_in_which_they_can_be_applied() -> None:
    """Links; users updated, created, enabled; groups deleted, updated, created; adds; disables; removals."""
    assert said(planned(BUSY_READING, BUSY_STATE)) == [
        "link ana@corp.example",
        "link Staff",
        "update ana@corp.example",
        "create new@corp.example",
        "enable bo@corp.example",
        "delete Old",
        "add_member Sales ana@corp.example",
        "add_member Staff bo@corp.example",
        "disable leaver@corp.example",
        "disable pushed@corp.example",
        "remove_member Sales cy@corp.example",
    ]


def test_a_policy_that_makes_no_sense_plans_nothing() -> None:
    """A person must correct it before anything is decided by it."""
    with pytest.raises(PolicyError):
        planned(reading(), holding(), Policy(mapping={"userName": "Mid(x)"}))


# --- Identity


def test_the_checksum_is_of_the_changes_and_nothing_else() -> None:
    """SHA-256 over the canonical JSON of `connection_id` and `changes`."""
    made = planned(BUSY_READING, BUSY_STATE)
    assert len(made.checksum) == 64
    assert replace(made, findings=(), absentees=(), made_at=None).checksum == made.checksum
    assert replace(made, changes=made.changes[1:]).checksum != made.checksum
    assert replace(made, changes=made.changes[::-1]).checksum != made.checksum
    assert replace(made, connection_id=ConnectionId("other")).checksum != made.checksum


def test_a_subset_is_a_plan_of_its_own() -> None:
    """The held part has its own checksum, and asks for its own absentees only."""
    made = planned(BUSY_READING, BUSY_STATE)
    leavers = made.subset(c for c in made.changes if c.subject.local_id == "leaver")
    assert [a.subject.key for a in leavers.absentees] == ["gone"]
    assert leavers.checksum not in {made.checksum, replace(made, changes=()).checksum}


# --- JSON


def test_a_plan_survives_json() -> None:
    """What is stored and shown is what was made, byte for byte of its checksum."""
    made = planned(BUSY_READING, BUSY_STATE)
    assert made.findings == ()
    with_finding = planned(BUSY_READING, holding([row("r1", protected=True), *BUSY_STATE.users.values()]))
    assert with_finding.findings
    for one in (made, with_finding, replace(made, made_at=None)):
        assert plan_from_json(json.loads(json.dumps(one.to_json()))) == one


def test_a_plan_that_was_tampered_with_is_not_read() -> None:
    """A person approves *that checksum*."""
    stored = json.loads(json.dumps(planned(BUSY_READING, BUSY_STATE).to_json()))
    stored["changes"].pop()
    with pytest.raises(PlanUnreadable, match="says it is"):
        plan_from_json(stored)


@pytest.mark.parametrize("damage", [{"changes": None}, {"changes": [{"kind": "?"}]}, {"absentees": [1]}])
def test_a_plan_that_is_damaged_is_not_read(damage: dict[str, object]) -> None:
    """Half a plan is no plan; the next cycle makes a new one."""
    stored = {**planned(reading(), holding()).to_json(), **damage}
    with pytest.raises(PlanUnreadable, match="next cycle"):
        plan_from_json(stored)


@pytest.mark.parametrize("damage", [{"keys": {"a": 1}}, {"keys": [1]}, {"keys": ["a"]}, {"ended": "a"}])
def test_a_held_plan_whose_keys_are_damaged_is_not_read(damage: dict[str, object]) -> None:
    """Which rows wait is known by their keys: other keys would hide a leaver."""
    made = planned(BUSY_READING, BUSY_STATE)
    stored: dict[str, object] = {**made.to_json(), "keys": [c.removal_key for c in made.changes]}
    _, due = due_rows_from_json({**stored, "ended": [made.changes[0].removal_key]})
    assert [change for change, _ in due] == list(made.changes[1:])
    with pytest.raises(PlanUnreadable, match="next cycle"):
        due_rows_from_json({**stored, **damage})


# --- One subject


def about(snapshot: Snapshot, state: State, reference: str) -> Plan:
    """The plan for one user or group, by Graph id or by the row's id."""
    rows: list[User | Group] = [*state.users.values(), *state.groups.values()]
    linked = (r.entra_object_id for r in rows if r.id == reference and r.entra_object_id)
    objects = frozenset({GraphId(reference), *linked})
    return planned(snapshot, state, ENFORCE, Focus(objects, objects, frozenset({reference})))


def alone(*people_and_more: object, **fields: object) -> Snapshot:
    """A reading of one subject: none of its lists is the directory."""
    proof = Completeness((ListRead("user", 1, 1, True),), ROLES)
    whole = reading(*people_and_more, kind=CycleKind.ON_DEMAND, completeness=proof, **fields)  # type: ignore[arg-type]
    return replace(whole, taken_at=NOW - timedelta(seconds=1))


def test_on_demand_a_user_is_brought_up_to_date_and_nobody_else_is_touched() -> None:
    """One user: the row, and its memberships of groups that are here."""
    snapshot = alone([person("ana", jobTitle="Boss")], (), {"sales": ["ana"], "staff": ["ana"], "board": []})
    state = holding(
        [twin(ANA), twin(BO)], [SALES, group_row("g2", name="Board", entra="board")], {"g2": ["row-ana"]}
    )
    assert said(about(snapshot, state, "ana")) == [
        "update ana@corp.example",
        "add_member Sales ana@corp.example",
        "remove_member Board ana@corp.example",
    ]


@pytest.mark.parametrize("reference", ["gone", "leaver"])
def test_on_demand_who_is_purged_is_disabled_by_either_id(reference: str) -> None:
    """POD cannot act on users disabled or deleted in Entra; this can."""
    made = about(alone(), BUSY_STATE, reference)
    assert said(made) == ["disable leaver@corp.example"]
    assert [a.subject.key for a in made.absentees] == ["gone"]


def test_on_demand_an_unlinked_row_is_found_by_our_id() -> None:
    """Pushed and purged before the first pull: Entra has no id for it, and a person decides."""
    made = about(alone(), BUSY_STATE, "pushed")
    assert said(made) == ["disable pushed@corp.example"]
    assert "Nobody in Entra was found" in made.changes[0].hold_reason


def test_on_demand_a_protected_leaver_is_reported() -> None:
    """Rule 5 holds on demand, and the admin is told."""
    state = holding([twin(ANA, is_protected=True), twin(BO, is_protected=True)])
    made = about(alone([person("ana", enabled=False)]), state, "ana")
    assert made.changes == ()
    assert [f.subject.key for f in made.findings] == ["ana"]


def test_on_demand_a_user_does_not_take_over_the_row_of_somebody_who_was_not_read() -> None:
    """The other may be alive and well: only a listing of the directory could tell."""
    new = person("new", userPrincipalName="ana@corp.example")
    made = about(alone([new], ["new"]), holding([twin(ANA)]), "new")
    assert made.changes == ()
    assert [f.subject.key for f in made.findings] == ["new"]


@pytest.mark.parametrize("reference", ["sales", "g1"])
def test_on_demand_a_group_comes_with_the_users_it_brings_in(reference: str) -> None:
    """A whole group of any size: the group, its memberships, and its members' rows."""
    people = [person("ana", enabled=False), BO]
    snapshot = alone(people, (), {"sales": ["ana", "bo"]}, names={"sales": "Sellers"})
    users = [twin(ANA), twin(CY), row("leaver", entra="gone")]
    state = holding(users, [SALES], {"g1": ["row-ana", "row-cy"]})
    assert said(about(snapshot, state, reference)) == [
        "create bo@corp.example",
        "update Sales",
        "add_member Sales bo@corp.example",
        "disable ana@corp.example",
        "remove_member Sales cy@corp.example",
    ]


def test_on_demand_a_group_keeps_a_pushed_member_whose_holder_is_not_known() -> None:
    """Whose the account is, only names could say, and an empty search takes nothing; a local account stays."""
    users = [row("pushed"), row("local", origin=Origin.CONSOLE)]
    state = holding(users, [SALES], {"g1": ["pushed", "local"]})
    made = about(alone((), (), {"sales": []}), state, "sales")
    assert said(made) == []


def test_on_demand_a_group_that_is_not_here_is_created_with_its_members() -> None:
    """Made by itself, not by one of its members."""
    snapshot = alone([ANA], (), {"sales": ["ana"]})
    assert said(about(snapshot, holding([twin(ANA)]), "sales")) == [
        "create Sales",
        "add_member Sales ana@corp.example",
    ]
    assert said(about(snapshot, holding([twin(ANA)]), "ana")) == []


def test_on_demand_a_group_that_is_no_longer_assigned_is_deleted() -> None:
    """The truth of one group, whatever the others are."""
    state = holding(groups=[SALES, group_row("g2", name="Other", entra="other")])
    assert said(about(alone(), state, "sales")) == ["delete Sales"]


def test_the_same_subject_planned_whole_or_alone_gets_the_same_changes() -> None:
    """On demand is the same truth, sooner."""
    whole = planned(BUSY_READING, BUSY_STATE)
    alone_ = about(BUSY_READING, BUSY_STATE, "ana")
    expected = [
        c for c in whole.changes if GraphId("ana") in {c.subject.graph_id, c.member and c.member.graph_id}
    ]
    assert list(alone_.changes) == expected
    assert alone_.connection_id == CONNECTION
    assert {c.action for c in expected} == {Action.LINK, Action.UPDATE, Action.ADD_MEMBER}
