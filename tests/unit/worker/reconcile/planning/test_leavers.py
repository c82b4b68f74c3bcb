"""Who has access here and should not: found whatever the gap they slipped through, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from store.records import Action, DriftKind, Origin, Policy, Reason
from tests.builders.reconcile.snapshots import (
    ENFORCE,
    LONG_AGO,
    ROLES,
    holding,
    partial,
    person,
    planned,
    reading,
    row,
    twin,
)
from worker.reconcile.plan import Plan
from worker.reconcile.snapshot import Completeness, ListRead

ANA = person("ana")
BO = person("bo")
STRICT = Policy(deprovision_local_accounts=True, mapping_confirmed=True)
OBJECT_ID = "5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01"


def disabled(made: Plan) -> dict[str | None, Reason | None]:
    return {c.subject.local_id: c.reason for c in made.changes if c.action is Action.DISABLE}


def reported(made: Plan) -> dict[str | None, str]:
    return {f.subject.local_id: f.detail for f in made.findings}


def test_each_kind_of_leaver_is_disabled_with_its_reason() -> None:
    """`missed_deprovision` (reason: disabled, soft_deleted, purged, unassigned)."""
    people = {name: person(name) for name in ("ana", "bo", "cy", "di", "ed")}
    snapshot = reading(
        [people["ana"], person("bo", enabled=False), people["ed"]],
        assigned=["ana", "bo"],
        deleted=["cy"],
    )
    made = planned(snapshot, holding(twin(user, name) for name, user in people.items()))
    assert disabled(made) == {
        "bo": Reason.DISABLED,
        "cy": Reason.SOFT_DELETED,
        "di": Reason.PURGED,
        "ed": Reason.UNASSIGNED,
    }
    assert {c.kind for c in made.changes} == {DriftKind.MISSED_DEPROVISION}
    assert [a.subject.key for a in made.absentees] == ["bo", "cy", "di", "ed"]


def test_to_a_pushed_account_nobody_answers_and_that_proves_nothing() -> None:
    """W9: an unmatched account is its own kind, never `purged`, and always waits for a person."""
    made = planned(reading([BO], ["bo"]), holding([row("r1", external_id="ana-nick"), twin(BO)]))
    (change,) = made.changes
    assert (change.kind, change.action, change.reason) == (DriftKind.UNMATCHED_ACCOUNT, Action.DISABLE, None)
    assert "Nobody in Entra answers to it" in change.hold_reason
    [search] = made.absentees
    assert (search.subject.local_id, search.subject.graph_id) == ("r1", None)
    assert {name for name, _ in search.lookups} == {
        *("proxyAddresses", "otherMails", "onPremisesUserPrincipalName"),
        *("onPremisesImmutableId", "onPremisesSamAccountName", "onPremisesSecurityIdentifier"),
    }, "what the list of all people does not show"
    assert "proxyAddresses" in change.note
    assert "mailNickname" in change.note


def test_an_unlinked_leaver_whose_external_id_is_in_the_bin_is_soft_deleted() -> None:
    """With objectId -> externalId the deleted items tell who it was: the object id is a proof."""
    made = planned(reading(deleted=[OBJECT_ID]), holding([row("r1", external_id=OBJECT_ID)]))
    assert disabled(made) == {"r1": Reason.SOFT_DELETED}
    assert [absentee.subject.graph_id for absentee in made.absentees] == [OBJECT_ID]
    assert made.changes[0].hold_reason == ""


def test_an_object_id_that_graph_does_not_know_is_no_proof() -> None:
    """A vendor's number may look like one: the account is unmatched, and waits for a person."""
    (change,) = planned(reading(), holding([row("r1", external_id=OBJECT_ID)])).changes
    assert change.kind is DriftKind.UNMATCHED_ACCOUNT


def test_an_account_is_kept_while_somebody_entitled_answers_to_its_name() -> None:
    """W8: an account without holder is judged by everybody who answers to it."""
    heir = person("bo", userPrincipalName="r1@corp.example")
    orphan = row("r1", external_id="ana-nick")
    made = planned(reading([heir], ["bo"]), holding([orphan, twin(person("bo"), "bo-row")]))
    assert disabled(made) == {}


def test_the_second_row_of_a_person_who_leaves_goes_as_well() -> None:
    """W8: nobody who answers to the account is entitled: it is a leaver like any other."""
    leaver = person("bo", enabled=False, userPrincipalName="r1@corp.example")
    second = row("r1", external_id="bo-nick")
    made = planned(
        reading([leaver], ["bo"]), holding([second, twin(leaver, "bo-row", user_name="old@corp.example")])
    )
    assert disabled(made) == {"r1": Reason.DISABLED, "bo-row": Reason.DISABLED}
    change = next(c for c in made.changes if c.subject.local_id == "r1")
    assert (change.claimants, change.hold_reason) == (("bo",), "")


def test_two_accounts_with_one_object_id_both_go_with_their_person() -> None:
    """W1, W8: a conflict is no hiding place; seen: the old account stayed active through every full cycle."""
    mia = person("mia", enabled=False)
    rows = [
        row("a", name="mia@corp.example", external_id="mia"),
        row("b", name="mia.new@x", external_id="mia"),
    ]
    made = planned(reading([mia], ["mia"]), holding(rows))
    assert disabled(made) == {"a": Reason.DISABLED, "b": Reason.DISABLED}
    assert {change.hold_reason for change in made.changes} == {""}


def test_names_alone_take_no_access_where_the_mapping_is_not_known_to_fit() -> None:
    """Unknown holds like not fitting: the leaver is told, and waits for a person."""
    leaver = person("bo", enabled=False, mailNickname="nick")
    unsure = replace(ENFORCE, mapping_confirmed=False)
    made = planned(reading([leaver], ["bo"]), holding([twin(leaver, "r1", entra_object_id=None)]), unsure)
    (change,) = made.changes
    assert (change.action, change.reason) == (Action.DISABLE, Reason.DISABLED)
    assert "not known that the mapping fits" in change.hold_reason


def test_a_marked_account_whose_only_claimant_left_waits_for_a_person() -> None:
    """W6: for local, admin and protected accounts a name is a proposal; who left stands first."""
    leaver = person("bo", enabled=False)
    local = twin(leaver, "r1", entra_object_id=None, origin=Origin.CONSOLE)
    (change,) = planned(reading([leaver], ["bo"]), holding([local])).changes
    assert change.kind is DriftKind.MISSED_DEPROVISION
    assert "carries a mark" in change.hold_reason


@pytest.mark.parametrize("length", [20, 256, 300, 1_000])
def test_a_name_of_any_length_names_its_person(length: int) -> None:
    """W9: the second account of somebody entitled was called nobody's, for its name was too long (seed 59004)."""
    ana = person("ana", mailNickname="a" * length)
    name = f"{ana.properties['mailNickname']}@app.example"
    policy = replace(
        ENFORCE, mapping={"userName": 'Append([mailNickname], "@app.example")', "externalId": "mailNickname"}
    )
    state = holding([twin(ana), row("r2", name=name, origin=Origin.SCIM)])
    made = planned(reading([ana], ["ana"]), state, policy)
    assert DriftKind.UNMATCHED_ACCOUNT not in {change.kind for change in made.changes}


def test_what_the_push_undid_is_not_done_again_without_a_person() -> None:
    """No fights: a second application or job on the connection is the usual cause."""
    leaver = person("bo", enabled=False)
    fought = twin(
        leaver, access_ended_by=Origin.GRAPH, access_ended_reason="disabled", access_given_by=Origin.SCIM
    )
    (change,) = planned(reading([leaver], ["bo"]), holding([fought])).changes
    assert "the push enabled it again" in change.hold_reason
    other = twin(
        leaver, access_ended_by=Origin.GRAPH, access_ended_reason="unassigned", access_given_by=Origin.SCIM
    )
    (change,) = planned(reading([leaver], ["bo"]), holding([other])).changes
    assert change.hold_reason == ""


def test_the_second_row_of_an_entitled_person_is_left_alone() -> None:
    """Its externalId names somebody who is entitled: that is no proof of absence."""
    made = planned(reading([ANA], ["ana"]), holding([twin(ANA), row("r2", external_id="ana")]))
    assert disabled(made) == {}


@pytest.mark.parametrize("origin", [Origin.CONSOLE, Origin.API])
def test_a_local_account_is_reported_and_not_touched(origin: Origin) -> None:
    """`local_account` (nobody in Entra; never touched unless policy says so)."""
    made = planned(reading(), holding([row("r1", origin=origin)]))
    assert made.changes == ()
    assert [(f.kind, f.subject.local_id) for f in made.findings] == [(DriftKind.LOCAL_ACCOUNT, "r1")]


def test_a_local_account_is_disabled_where_the_policy_says_so() -> None:
    """And then the policy is a person's word: there is nobody to ask for in Entra."""
    made = planned(reading(), holding([row("r1", origin=Origin.CONSOLE)]), STRICT)
    assert [(c.action, c.kind) for c in made.changes] == [(Action.DISABLE, DriftKind.LOCAL_ACCOUNT)]
    assert made.changes[0].hold_reason == ""


@pytest.mark.parametrize("origin", Origin)
def test_a_broken_off_listing_makes_nobody_unlinked_a_leaver(origin: Origin) -> None:
    """The one who answers to the row may be on the page that did not come."""
    made = planned(reading(completeness=partial()), holding([row("r1", origin=origin)]), STRICT)
    assert (made.changes, made.findings) == ((), ())


def test_where_only_the_assigned_were_read_nobody_unlinked_is_judged() -> None:
    """Who answers to an account cannot be told without the directory."""
    proof = Completeness((ListRead("appRoleAssignedTo", 1, 0, True),), ROLES)
    assert disabled(planned(reading(completeness=proof), holding([row("r1")]))) == {}


def test_protected_accounts_are_reported_and_kept() -> None:
    """Rule 5: accounts marked protected are never removed."""
    made = planned(reading([ANA]), holding([twin(ANA, "r1", is_protected=True)]))
    assert made.changes == ()
    assert reported(made) == {"r1": "the account is protected"}
    assert [f.reason for f in made.findings] == [Reason.UNASSIGNED]


def test_the_last_admin_is_reported_and_kept() -> None:
    """Rule 5: the last admin of a tenant is never removed; of several, the one longest here stays."""
    old = twin(ANA, "r1", is_admin=True, created_at=LONG_AGO - timedelta(days=1))
    new = twin(BO, "r2", is_admin=True)
    made = planned(reading([ANA, BO]), holding([new, old]))
    assert set(disabled(made)) == {"r2"}
    assert reported(made) == {"r1": "it is the last admin"}


def test_an_admin_who_leaves_others_behind_is_disabled() -> None:
    """Here another admin stays."""
    made = planned(
        reading([ANA, BO], ["bo"]), holding([twin(ANA, "r1", is_admin=True), twin(BO, is_admin=True)])
    )
    assert set(disabled(made)) == {"r1"}


def test_an_admin_who_is_protected_stays_and_so_another_may_go() -> None:
    """The protected one is the admin that is left."""
    rows = [twin(ANA, "r1", is_admin=True), twin(BO, "r2", is_admin=True, is_protected=True)]
    assert set(disabled(planned(reading([ANA, BO]), holding(rows)))) == {"r1"}


def test_an_admin_who_comes_back_in_the_same_plan_counts() -> None:
    """Otherwise the next plan would take the one that this one spared."""
    rows = [twin(ANA, "r1", is_admin=True), twin(BO, "r2", is_admin=True, active=False)]
    assert set(disabled(planned(reading([ANA, BO], ["bo"]), holding(rows)))) == {"r1"}


def test_an_admin_of_another_connection_counts() -> None:
    """The last admin of a tenant, not of a connection."""
    state = replace(holding([twin(ANA, "r1", is_admin=True)]), has_admin_elsewhere=True)
    assert set(disabled(planned(reading([ANA]), state))) == {"r1"}


def test_an_inactive_admin_is_no_admin_left() -> None:
    """Nobody could sign in to put things right."""
    rows = [
        twin(ANA, "r1", is_admin=True),
        twin(BO, "r2", is_admin=True, active=False),
        structs.replace(row("r3", admin=True, deleted=True), active=True),
    ]
    made = planned(reading([ANA, BO]), holding(rows))
    assert made.changes == ()
    assert reported(made) == {"r1": "it is the last admin"}


def test_inactive_admins_are_no_concern() -> None:
    """Who has no access already cannot lose it."""
    rows = [twin(ANA, "r1", is_admin=True, active=False), row("r2", admin=True, deleted=True)]
    assert planned(reading([ANA]), holding(rows)).changes == ()


@pytest.mark.parametrize(("seconds", "kept"), [(0, False), (1, True)])
def test_a_row_that_a_push_touched_after_reading_began_is_left_for_the_next_cycle(
    seconds: int, kept: bool
) -> None:
    """I7: a push that lands during a cycle is never overwritten by it; the person may be assigned since."""
    snapshot = reading()
    touched = snapshot.taken_at + timedelta(seconds=seconds)
    made = planned(snapshot, holding([row("r1", modified=touched)]))
    assert bool(made.findings) is kept
    assert bool(made.changes) is not kept
    assert made.again == (frozenset({"r1"}) if kept else frozenset())


def test_one_notion_of_a_name_decides_who_answers() -> None:
    """Case, Unicode form and outer white space make no difference, as in the store (`name_key`)."""
    jurgen = person("j", enabled=False, userPrincipalName="JÜRGEN.STRASSE@corp.example", mailNickname="j")
    account = row("r1", name="ju\u0308rgen.straße@corp.example ", external_id="other")
    made = planned(reading([jurgen, BO], ["bo"]), holding([account, twin(BO)]))
    (change,) = made.changes
    assert (change.kind, change.claimants) == (DriftKind.MISSED_DEPROVISION, ("j",))


def test_what_the_mapping_gives_as_external_id_answers_too() -> None:
    """W9: by the mapping itself, applied to all people, deleted ones too."""
    policy = replace(
        ENFORCE, mapping={"userName": "userPrincipalName", "externalId": 'Append("E-", [employeeId])'}
    )
    gone_ = person("gone", enabled=False, employeeId="77")
    account = row("r1", name="else@corp.example", external_id="e-77")
    made = planned(reading([gone_, BO], ["bo"]), holding([account, twin(BO, external_id=None)]), policy)
    assert [c.claimants for c in made.changes if c.subject.local_id == "r1"] == [("gone",)]
