"""The changes to users: whom a row stands for, and what is done to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from store.records import (
    Action,
    DriftKind,
    GraphId,
    HolderBasis,
    MembershipMode,
    Origin,
    Policy,
    Reason,
    Scope,
    User,
    UserId,
)
from tests.builders.reconcile.snapshots import (
    CONNECTION,
    ENFORCE,
    LONG_AGO,
    NOW,
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
from worker.reconcile.mapping.attribute_mapping import write_paths
from worker.reconcile.plan import Plan
from worker.reconcile.plan_context import planned_id
from worker.reconcile.snapshot import GraphUser

ANA = person("ana")
BO = person("bo")


def conflicts(made: Plan) -> dict[str, tuple[str, ...]]:
    return {f.subject.key: f.candidates for f in made.findings if f.kind is DriftKind.MATCH_CONFLICT}


# --- Matching


def test_a_linked_row_is_found_by_object_id_whatever_else_changed() -> None:
    """A linked user is found by Entra object id."""
    state = holding([row("r1", name="old@corp.example", entra="ana", external_id="zzz")])
    assert said(planned(reading([ANA], ["ana"]), state)) == ["update old@corp.example"]


@pytest.mark.parametrize(
    ("found", "basis"),
    [
        pytest.param(row("r1", name="other@corp.example", external_id="ana"), "proof", id="object-id"),
        pytest.param(row("r1", name="ANA@CORP.example", external_id="Nick"), "names", id="both-names"),
        pytest.param(row("r1", name="ANA@CORP.example"), "names", id="the-only-name"),
    ],
)
def test_an_unlinked_row_is_recognised_and_linked(found: User, basis: str) -> None:
    """W6: the object id, else userName and externalId together. Linking is itself a change."""
    ana = person("ana", mailNickname="nick")
    made = planned(reading([ana], ["ana"]), holding([found]))
    link = made.changes[0]
    assert (link.action, link.subject.local_id, link.subject.graph_id) == (Action.LINK, "r1", "ana")
    assert link.after == {"holderBasis": basis, "namesAgree": basis == "names"}
    assert {c.expected_version for c in made.changes} == {1}


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(row("r1", name="ana@corp.example", external_id="x"), id="userName-only"),
        pytest.param(row("r1", name="other@corp.example", external_id="nick"), id="externalId-only"),
        pytest.param(row("r1", name="ana@corp.example", external_id="nick", admin=True), id="admin"),
        pytest.param(row("r1", name="ana@corp.example", external_id="nick", protected=True), id="protected"),
        pytest.param(row("r1", name="ana@corp.example", origin=Origin.CONSOLE), id="local"),
    ],
)
def test_half_a_name_and_marked_accounts_are_never_linked(found: User) -> None:
    """W6: seen: a protected admin account was taken, renamed and linked for a free-text mailNickname."""
    ana = person("ana", mailNickname="nick")
    made = planned(reading([ana], ["ana"]), holding([found]))
    assert [c.action for c in made.changes if c.subject.local_id == "r1"] == []
    assert [f.subject.graph_id for f in made.findings if f.kind is DriftKind.MATCH_CONFLICT] == ["ana"]


def test_a_name_under_a_mapping_that_does_not_fit_links_nobody() -> None:
    """Nothing taken, nothing rewritten, and nobody gets a second account."""
    unsure = replace(ENFORCE, mapping_confirmed=False)
    ana = person("ana", mailNickname="nick")
    pushed = row("r1", name="ana@corp.example", external_id="nick")
    made = planned(reading([ana], ["ana"]), holding([pushed]), unsure)
    assert made.changes == ()
    assert "mapping check" in next(f.detail for f in made.findings if f.subject.graph_id == "ana")


def test_the_object_id_speaks_louder_than_a_name() -> None:
    """Ana was renamed, and Bo was given her old name: the row is Ana's, by her object id; her name was never
    agreed on, so it stays, and Bo waits."""
    ana = person("ana", userPrincipalName="ana.lee@corp.example")
    bo = person("bo", userPrincipalName="ana@corp.example")
    state = holding(
        [structs.replace(row("r1", name="ana@corp.example", external_id="ana"), agreed_user_name=None)]
    )
    made = planned(reading([ana, bo], ["ana", "bo"]), state)
    assert said(made)[0] == "link ana@corp.example"
    assert all("userName" not in change.after for change in made.changes if change.action is Action.UPDATE)


def test_a_name_speaks_louder_than_a_nickname() -> None:
    """mailNickname is unique only within a domain: ana@a and ana@b share it, the row is whose name fits."""
    ana_b = person("ana-b", userPrincipalName="ana@other.example", mailNickname="ana")
    state = holding([row("r1", name="ana@corp.example", external_id="ana")])
    made = planned(reading([ANA, ana_b], ["ana", "ana-b"]), state)
    assert [(c.action, c.subject.graph_id) for c in made.changes if c.action is not Action.UPDATE] == [
        (Action.LINK, "ana"),
        (Action.CREATE, "ana-b"),
    ]
    assert conflicts(made) == {}


def test_several_rows_with_one_value_are_a_conflict_and_left_alone() -> None:
    """More than one candidate is `match_conflict`: reported, never guessed."""
    rows = [row("r1", external_id="ana"), row("r2", external_id="ana")]
    made = planned(reading([ANA], ["ana"]), holding(rows))
    assert conflicts(made) == {"ana": ("r1", "r2")}
    assert made.changes == ()


def test_two_people_who_claim_one_row_are_a_conflict() -> None:
    """Two Entra users claiming one row likewise; both are named."""
    one = person("one", mailNickname="x", userPrincipalName="one@corp.example")
    two = person("two", mailNickname="x", userPrincipalName="two@corp.example")
    made = planned(reading([one, two], ["one", "two"]), holding([row("r1", external_id="x")]))
    assert conflicts(made) == {"one": ("r1",), "two": ("r1",)}
    assert made.changes == ()


def test_two_live_rows_with_one_holder_both_go_with_the_holder() -> None:
    """The store forbids it; if it happens, each is judged by its proven holder alone (W8)."""
    rows = [row("r1", entra="ana"), row("r2", entra="ana")]
    made = planned(reading([ANA]), holding(rows))
    assert [c.subject.local_id for c in made.changes if c.action is Action.DISABLE] == ["r1", "r2"]


def test_an_account_that_the_push_gave_away_changes_its_holder() -> None:
    """W3: the holder is gone, the push wrote the account since, and its names are one entitled person's."""
    new = person("new", userPrincipalName="ana@corp.example", mailNickname="ana", displayName="Ana")
    state = replace(holding([twin(ANA, "r1", active=False)]), last_read_at=LONG_AGO - timedelta(days=1))
    made = planned(reading([new], ["new"]), state)
    assert said(made) == ["change_holder ana@corp.example", "enable ana@corp.example"]
    assert made.changes[0].kind is DriftKind.HOLDER_CHANGED
    assert "Entra gave it to another person" in made.changes[0].note


def test_the_pull_never_gives_one_persons_account_to_another() -> None:
    """W2: nothing of the push touched the account since its holder was seen: it gives up its names and access,
    and the other person gets an own account."""
    new = person("new", userPrincipalName="ana@corp.example", mailNickname="ana", displayName="Ana")
    state = replace(holding([twin(ANA, "r1")]), last_read_at=LONG_AGO + timedelta(days=1))
    made = planned(reading([new], ["new"]), state)
    assert said(made) == ["release_names ana@corp.example", "create ana@corp.example"]
    assert made.changes[0].reason is Reason.PURGED
    assert [a.subject.graph_id for a in made.absentees] == ["ana"]
    assert made.changes[1].subject.local_id != "r1"


def pushed_twin(user: GraphUser, row_id: str) -> User:
    """An account that the push wrote under the person's present names, without a holder."""
    return structs.replace(twin(user, row_id), entra_object_id=None, holder_basis=None)


def test_of_twins_the_one_that_the_pull_made_is_retired() -> None:
    """W1: the pull made an account, the person was renamed, and the push wrote another under the new names."""
    renamed = person("ana", userPrincipalName="ana.lee@corp.example", mailNickname="ana.lee")
    pulled = structs.replace(twin(ANA, "r1"), origin=Origin.GRAPH, push_wrote_at=None)
    state = holding([pulled, pushed_twin(renamed, "r2")])
    made = planned(reading([renamed], ["ana"]), state)
    assert said(made) == ["retire ana@corp.example", "link ana.lee@corp.example"]
    after = applied(state, made.changes)
    assert planned(reading([renamed], ["ana"]), after).changes == (), "and nothing is left to do"
    assert (after.users[UserId("r1")].active, after.users[UserId("r2")].active) == (False, True)


@pytest.mark.parametrize(
    "fact",
    [
        {"push_found_at": LONG_AGO},
        {"push_wrote_at": LONG_AGO},
        {"is_protected": True},
        {"is_admin": True},
    ],
)
def test_a_twin_that_the_push_touched_or_that_has_a_mark_is_not_retired(fact: dict[str, Any]) -> None:
    """W1: the pull alone made the other; in doubt it is told, and nobody loses anything."""
    renamed = person("ana", userPrincipalName="ana.lee@corp.example", mailNickname="ana.lee")
    pulled = structs.replace(twin(ANA, "r1"), origin=Origin.GRAPH, **({"push_wrote_at": None} | fact))
    made = planned(reading([renamed], ["ana"]), holding([pulled, pushed_twin(renamed, "r2")]))
    assert "retire" not in " ".join(said(made))


def test_twins_under_a_mapping_that_does_not_fit_stay() -> None:
    renamed = person("ana", userPrincipalName="ana.lee@corp.example", mailNickname="ana.lee")
    pulled = structs.replace(twin(ANA, "r1"), origin=Origin.GRAPH, push_wrote_at=None)
    state = holding([pulled, pushed_twin(renamed, "r2")])
    unknown = replace(ENFORCE, mapping_confirmed=False)
    assert "retire" not in " ".join(said(planned(reading([renamed], ["ana"]), state, unknown)))


def test_a_silent_match_of_the_push_counts_as_a_change_of_holder() -> None:
    """W3: Entra finds an account, sends nothing, and anchors to it: the match query is all one sees."""
    new = person("new", userPrincipalName="ana@corp.example", mailNickname="ana", displayName="Ana")
    seen = structs.replace(twin(ANA, "r1"), push_wrote_at=LONG_AGO, push_found_at=NOW - timedelta(hours=1))
    state = replace(holding([seen]), last_read_at=NOW - timedelta(hours=2))
    assert said(planned(reading([new], ["new"]), state))[0] == "change_holder ana@corp.example"


def test_an_account_is_not_given_away_while_its_holder_lives() -> None:
    """Another object id in an account whose holder is there is a shared anchor, told with its remedy."""
    other = "7b1e0c52-0000-4000-8000-000000000001"
    shared = structs.replace(twin(ANA, "r1"), external_id=other)
    made = planned(reading([ANA, person(other)], ["ana", other]), holding([shared]))
    assert "change_holder" not in " ".join(said(made))
    assert [f.subject.local_id for f in made.findings if f.kind is DriftKind.SHARED_ANCHOR] == ["r1"]


def test_a_double_claim_in_an_account_without_access_is_told() -> None:
    """W1: a disable that wrote another person's object id was applied as sent; both accounts are named."""
    other = "7b1e0c52-0000-4000-8000-000000000001"
    left = structs.replace(twin(ANA, "r1", active=False), external_id=other)
    made = planned(reading([person(other)], [other]), holding([left, twin(person(other), "r2")]))
    [told] = [f for f in made.findings if f.kind is DriftKind.MATCH_CONFLICT]
    assert (told.subject.local_id, told.candidates) == ("r1", ("r1", "r2"))


def test_who_is_seen_again_has_the_seal_lifted() -> None:
    """W5: the same person seen again unseals the account."""
    made = planned(reading([ANA], ["ana"]), holding([structs.replace(twin(ANA, "r1"), sealed_at=LONG_AGO)]))
    assert said(made) == ["unseal ana@corp.example"]


def test_a_row_taken_over_by_a_push_is_not_disabled_for_the_old_owner() -> None:
    """I1: the person who is entitled now keeps access, though the link still names who was purged."""
    new = person("new", userPrincipalName="ana@corp.example", mailNickname="ana", displayName="Ana")
    assert said(planned(reading([new], ["new"]), holding([twin(ANA)]))) == ["change_holder ana@corp.example"]


def test_a_name_that_was_never_agreed_on_is_not_overwritten() -> None:
    """50 guests mapped by another job are not "corrected" because 950 fit."""
    renamed = person("ana", userPrincipalName="ana.lee@corp.example")
    known = twin(ANA, "r1")
    assert said(planned(reading([renamed], ["ana"]), holding([known]))) == ["update ana@corp.example"]
    foreign = structs.replace(known, agreed_user_name="ana@elsewhere.example")
    made = planned(reading([renamed], ["ana"]), holding([foreign]))
    assert made.changes == ()
    assert "another provisioning job" in made.findings[0].detail
    assert made.unsettled == {"r1"}


def test_two_names_that_were_never_agreed_on_are_told_in_one_finding() -> None:
    """A person has one finding of a kind: a second one would take the place of the first, and tell half."""
    renamed = person("ana", userPrincipalName="ana.lee@corp.example", mailNickname="lee")
    foreign = structs.replace(
        twin(ANA, "r1"), agreed_user_name="ana@elsewhere.example", agreed_external_id="else"
    )
    made = planned(reading([renamed], ["ana"]), holding([foreign]))
    assert made.changes == ()
    [finding] = made.findings
    assert "userName and externalId are not the last values" in finding.detail
    assert "ana.lee@corp.example and lee" in finding.detail


def test_the_case_of_a_name_is_written_with_the_link_that_agrees_on_it() -> None:
    """I6: the second cycle changes nothing; a link by the same names says that both sides agree on them."""
    ana = person("ana", userPrincipalName="ANA@corp.example")
    pushed = structs.replace(
        row("r1", name="ana@corp.example", external_id="ana"), agreed_user_name=None, agreed_external_id=None
    )
    made = planned(reading([ana], ["ana"]), holding([pushed]))
    assert [change.action for change in made.changes] == [Action.LINK, Action.UPDATE]
    assert made.changes[1].after["userName"] == "ANA@corp.example"
    assert made.findings == ()


def test_another_directory_proves_nothing_about_anybody() -> None:
    """A new directory makes all holders unproven and proves no absence."""
    known = structs.replace(twin(ANA, "r1"), directory_id="old-directory")
    state = replace(holding([known]), directory_id="new-directory")
    made = planned(reading([BO], ["bo"]), state)
    assert [c.kind for c in made.changes if c.subject.local_id == "r1"] == [DriftKind.UNMATCHED_ACCOUNT]


def test_nothing_of_another_directorys_person_is_handed_to_a_namesake() -> None:
    """W6: a link is enough to keep an account in step, never to hand over what an earlier holder left."""
    known = structs.replace(twin(ANA, "r1", entra_object_id=GraphId("other")), directory_id="old-directory")
    state = replace(holding([known]), directory_id="new-directory")
    made = planned(reading([ANA], ["ana"]), state)
    assert said(made) == ["change_holder ana@corp.example"]
    assert "nothing of it is handed over" in made.changes[0].note


def test_without_the_whole_directory_no_row_is_taken_over() -> None:
    """The old owner may merely not have been listed."""
    new = person("new", userPrincipalName="ana@corp.example")
    state = holding([twin(ANA, "r1", active=False)])
    made = planned(reading([new], ["new"], completeness=partial()), state)
    assert made.changes == ()
    assert list(conflicts(made)) == ["new"]


# --- Create, restore, enable, update


def test_somebody_new_is_created_under_an_id_that_a_replay_gives_again() -> None:
    """Deterministic: a replay creates nothing twice."""
    (create,) = planned(reading([ANA], ["ana"]), holding()).changes
    assert create.kind is DriftKind.MISSED_PROVISION
    assert create.after == {
        "userName": "ana@corp.example",
        "externalId": "ana",
        "displayName": "Ana",
        "active": True,
    }
    (again,) = planned(reading([ANA], ["ana"]), holding()).changes
    assert create.subject == again.subject


def test_an_id_that_was_used_up_is_not_given_again() -> None:
    """The row under the planned id may since stand for somebody else."""
    first = planned_id(CONNECTION, GraphId("ana"), ())
    second = planned_id(CONNECTION, GraphId("ana"), {first})
    assert first != second
    state = holding([row(first, name="bo@corp.example", entra="bo")])
    made = planned(reading([ANA, BO], ["ana", "bo"]), state)
    assert [c.subject.local_id for c in made.changes if c.action is Action.CREATE] == [second]


def test_running_out_of_ids_is_an_error_and_no_endless_loop() -> None:
    """A hundred rows for one Entra object: something else is wrong."""

    class Everything:
        def __contains__(self, _: object) -> bool:
            return True

    with pytest.raises(AssertionError, match="a hundred rows"):
        planned_id(CONNECTION, GraphId("ana"), Everything())


OLD = "2f1e0d3c-6b5a-4c7d-8e9f-0a1b2c3d4e5f"
"""The object id of somebody who left."""


@pytest.mark.parametrize(
    "deleted",
    [
        pytest.param(row("r1", name="was@corp.example", entra="ana", deleted=True), id="object-id"),
        pytest.param(row("r1", external_id=OLD, deleted=True), id="object-id-as-externalId"),
    ],
)
def test_a_deleted_person_who_is_back_has_the_same_row(deleted: User) -> None:
    """A deleted row of the same person is restored: the same row, the same history."""
    back = deleted.entra_object_id or OLD
    (restore,) = planned(reading([person(back)], [back]), holding([deleted])).changes
    assert (restore.action, restore.subject.local_id) == (Action.RESTORE, "r1")
    assert restore.after["active"] is True


def test_of_several_deleted_rows_the_one_linked_is_taken() -> None:
    """By object id, else by userName."""
    rows = [row("r1", name="ana@corp.example", deleted=True), row("r2", entra="ana", deleted=True)]
    (restore,) = planned(reading([ANA], ["ana"]), holding(rows)).changes
    assert restore.subject.local_id == "r2"


@pytest.mark.parametrize(
    "deleted",
    [
        pytest.param(row("r1", name="ana@corp.example", entra="old", deleted=True), id="linked"),
        pytest.param(row("r1", name="ana@corp.example", external_id=OLD, deleted=True), id="pushed"),
    ],
)
def test_a_name_given_to_another_person_brings_no_history_with_it(deleted: User) -> None:
    """Somebody else's deleted row stays theirs."""
    state = holding([deleted])
    assert said(planned(reading([ANA], ["ana"]), state)) == ["create ana@corp.example"]


def test_an_entitled_person_who_is_inactive_here_is_enabled_and_brought_up_to_date() -> None:
    """Restored / re-enabled / re-assigned: PATCH active True."""
    ana = person("ana", jobTitle="Boss")
    made = planned(reading([ana], ["ana"]), holding([twin(ANA, active=False)]))
    assert [(c.action, c.kind, dict(c.after)) for c in made.changes] == [
        (Action.UPDATE, DriftKind.ATTRIBUTE_MISMATCH, {"title": "Boss"}),
        (Action.ENABLE, DriftKind.MISSED_PROVISION, {"active": True}),
    ]


def test_an_inactive_person_who_is_not_entitled_is_not_looked_at() -> None:
    """Entra does not update who is out of scope."""
    ana = person("ana", jobTitle="Boss")
    assert planned(reading([ana]), holding([twin(ANA, active=False)])).changes == ()


def test_a_manager_is_our_id_also_of_somebody_created_in_the_same_plan() -> None:
    """Manager: value is OUR id of the manager's row."""
    ana = person("ana", manager="bo")
    made = planned(reading([ana, BO], ["ana", "bo"]), holding())
    by_key = {c.subject.key: c for c in made.changes}
    manager = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"
    assert by_key["ana"].after[manager] == by_key["bo"].subject.local_id


def test_a_manager_who_was_not_listed_is_found_by_the_link() -> None:
    """With on-demand readings the manager is an id and nothing else."""
    ana = person("ana", manager="bo")
    state = holding([twin(ANA), twin(BO, "r2")])
    assert planned(reading([ana], ["ana"], completeness=partial()), state).changes[0].after == {
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager": "r2"
    }


def test_who_comes_by_nesting_only_is_marked() -> None:
    """People found only through nesting are labelled "nested: Entra does not provision these"."""
    policy = Policy(membership=MembershipMode.TRANSITIVE)
    snapshot = reading([ANA, BO], groups={"sales": []}, nested={"sales": ["ana", "bo"]})
    made = planned(snapshot, holding([twin(BO, active=False)]), policy)
    notes = {c.note for c in made.changes if c.kind is not DriftKind.GROUP_MISSING}
    assert notes == {"nested: Entra does not provision these"}


# --- Rows that a push touched after reading began (I7: a push that lands during a cycle is never overwritten)

YOUNG = reading().taken_at + timedelta(seconds=1)


def test_attributes_that_a_push_may_have_changed_are_not_put_back() -> None:
    """Nor is the person's name taken for free: the row may keep it."""
    ana = person("ana", userPrincipalName="ana.lee@corp.example")
    new = person("new", userPrincipalName="ana@corp.example")
    made = planned(reading([ana, new], ["ana", "new"]), holding([twin(ANA, last_modified=YOUNG)]))
    assert made.changes == ()
    assert set(conflicts(made)) == {"new"}


def test_who_was_just_disabled_or_deleted_by_a_push_is_not_brought_back() -> None:
    """The push knows of something that happened after we read; a membership would be one too many as well."""
    rows = [twin(ANA, active=False, last_modified=YOUNG), row("r2", entra="bo", deleted=True, modified=YOUNG)]
    sales = group_row("g1", name="Sales", entra="sales")
    made = planned(reading([ANA, BO], groups={"sales": ["ana", "bo"]}), holding(rows, [sales]))
    assert made.changes == ()


# --- Names that cannot be given


def test_without_a_user_name_nobody_is_created_and_the_report_says_why() -> None:
    """The source value null/empty: the object is skipped (`ImportSkipped`), not created."""
    made = planned(reading([person("ana", userPrincipalName=None)], ["ana"]), holding())
    assert made.changes == ()
    assert [(f.kind, f.subject.key) for f in made.findings] == [(DriftKind.MISSED_PROVISION, "ana")]
    assert "ImportSkipped" in made.findings[0].detail


def test_two_newcomers_with_one_user_name_are_a_conflict() -> None:
    """userName is unique: which of them should have it is not ours to guess."""
    policy = Policy(mapping={"userName": "mail"}, scope=Scope.ALL)
    people = [person("ana", mail="info@corp.example"), person("bo", mail="Info@corp.example")]
    made = planned(reading(people), holding(), policy)
    assert made.changes == ()
    assert set(conflicts(made)) == {"ana", "bo"}


@pytest.mark.parametrize("basis", HolderBasis)
def test_a_link_by_names_goes_with_the_names_that_the_push_writes(basis: HolderBasis) -> None:
    """W6; found by `delete A; hire C as A; rename C; restore A`: Entra wrote both into one account, and A had none."""
    ana, cleo = person("ana"), person("cleo")
    shared = twin(ANA, entra_object_id=cleo.id, holder_basis=basis, agreed_user_name="cleo@corp.example")
    made = planned(reading([ana, cleo], ["ana", "cleo"]), holding([shared]))
    if basis is HolderBasis.NAMES:
        assert said(made) == ["change_holder ana@corp.example", "create cleo@corp.example"]
    else:
        assert "change_holder" not in " ".join(said(made)), "a proof is not outweighed by names"
        assert DriftKind.SHARED_ANCHOR in {finding.kind for finding in made.findings}


@pytest.mark.parametrize("protected", [False, True])
def test_a_leaver_who_has_another_name_by_now_gives_up_the_old_one(protected: bool) -> None:
    """Found by the stories `unassign A; swap A and B`: B's rename met 409 for ever."""
    ana = person("ana", userPrincipalName="zed@corp.example")
    zed = person("zed", userPrincipalName="ana@corp.example", enabled=False)
    kept = twin(person("zed"), active=False, is_protected=protected)
    made = planned(reading([ana, zed], ["ana"]), holding([twin(ANA), kept]))
    told = ["release_names zed@corp.example"] * (not protected) + ["update ana@corp.example"] * (
        not protected
    )
    assert said(made) == told
    assert bool(made.findings) is protected, "a marked account keeps its name, and that is told"


def test_a_rename_to_a_name_that_is_taken_is_left_out_and_reported() -> None:
    """userName change collides (409): the rest of the person is still brought up to date."""
    ana = person("ana", userPrincipalName="bo@corp.example", jobTitle="Boss")
    state = holding([twin(ANA), row("r2", name="bo@corp.example", origin=Origin.CONSOLE)])
    made = planned(reading([ana], ["ana"]), state)
    (update,) = [c for c in made.changes if c.action is Action.UPDATE]
    assert update.after == {"title": "Boss"}
    assert "ana" in conflicts(made)


def test_names_may_be_passed_on_in_one_plan() -> None:
    """Updates come before creates because a rename may free the userName that a newcomer takes."""
    ana = person("ana", userPrincipalName="ana.lee@corp.example")
    new = person("new", userPrincipalName="ana@corp.example")
    state = holding([twin(ANA)])
    made = planned(reading([ana, new], ["ana", "new"]), state)
    assert [c.action for c in made.changes] == [Action.UPDATE, Action.CREATE]
    assert conflicts(made) == {}
    applied(state, made.changes)


def test_who_is_refused_a_name_keeps_the_old_one_from_others() -> None:
    """Ana cannot become Bo, so the newcomer cannot become Ana."""
    ana = person("ana", userPrincipalName="bo@corp.example")
    new = person("new", userPrincipalName="ana@corp.example")
    made = planned(reading([ana, BO, new], ["ana", "bo", "new"]), holding([twin(ANA), twin(BO)]))
    assert made.changes == ()
    assert set(conflicts(made)) == {"ana", "new"}


# --- What is written


def test_what_a_document_holds_beyond_the_mapping_stays() -> None:
    """Only mapped attributes are compared and written."""
    ana = person("ana", jobTitle="Boss")
    held = twin(ANA)
    state = holding([twin(ANA, document={**held.document, "nickName": "An"})])
    made = planned(reading([ana], ["ana"]), state)
    after = applied(state, made.changes).users[held.id]
    assert after.document == write_paths(held.document, {"nickName": "An", "title": "Boss"})


def test_the_policys_clearing_reaches_the_plan() -> None:
    """Whether an emptied attribute is cleared is a policy."""
    held = twin(ANA, document={**twin(ANA).document, "title": "Boss"})
    assert planned(reading([ANA], ["ana"]), holding([held])).changes == ()
    policy = Policy(clear_emptied_attributes=True)
    (update,) = planned(reading([ANA], ["ana"]), holding([held]), policy).changes
    assert (update.before, update.after) == ({"title": "Boss"}, {"title": None})


def test_a_plan_says_when_it_was_made() -> None:
    """A held plan is shown with its age."""
    assert planned(reading(), holding(), ENFORCE).made_at == NOW
