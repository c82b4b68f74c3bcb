"""Who has access here and should not: found whatever the gap they slipped through, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

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
STRICT = Policy(deprovision_local_accounts=True)


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


def test_who_was_pushed_and_purged_before_the_first_pull_is_a_leaver_and_no_local_account() -> None:
    """Soft + hard deleted between two cycles: possibly *nothing* is sent. The row was never linked."""
    made = planned(reading([BO], ["bo"]), holding([row("r1", external_id="ana-nick"), twin(BO)]))
    assert disabled(made) == {"r1": Reason.PURGED}
    assert made.findings == ()
    (absentee,) = made.absentees
    assert absentee.subject.graph_id is None
    assert absentee.subject.key == "r1"
    assert absentee.lookups == (("userPrincipalName", "r1@corp.example"), ("mailNickname", "ana-nick"))


def test_an_unlinked_leaver_whose_external_id_is_in_the_bin_is_soft_deleted() -> None:
    """With objectId -> externalId the deleted items tell who it was."""
    made = planned(reading(deleted=["ana"]), holding([row("r1", external_id="ana")]))
    assert disabled(made) == {"r1": Reason.SOFT_DELETED}


def test_an_object_id_as_external_id_is_looked_up_as_such() -> None:
    """Who was renamed would not be found by userName."""
    object_id = "5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01"
    (absentee,) = planned(reading(), holding([row("r1", external_id=object_id)])).absentees
    assert absentee.lookups == (("userPrincipalName", "r1@corp.example"), ("id", object_id))


def test_a_user_name_that_somebody_else_took_over_is_not_looked_up() -> None:
    """Who has the name now has a row of their own; finding them entitled says nothing about this one."""
    heir = person("bo", userPrincipalName="r1@corp.example")
    orphan = row("r1", external_id="ana-nick")
    made = planned(reading([heir], ["bo"]), holding([orphan, twin(person("bo"), "bo-row")]))
    assert disabled(made) == {"r1": Reason.PURGED}
    assert made.absentees[0].lookups == (("mailNickname", "ana-nick"),)


def test_the_second_row_of_a_person_who_leaves_goes_as_well() -> None:
    """Found by any of its names, the person is not entitled: nor is anybody else to that account."""
    leaver = person("bo", enabled=False, userPrincipalName="r1@corp.example")
    second = row("r1", external_id="bo-nick")
    made = planned(
        reading([leaver], ["bo"]), holding([second, twin(leaver, "bo-row", user_name="old@corp.example")])
    )
    assert disabled(made) == {"r1": Reason.PURGED, "bo-row": Reason.DISABLED}
    absentee = next(a for a in made.absentees if a.subject.local_id == "r1")
    assert ("userPrincipalName", "r1@corp.example") in absentee.lookups


def test_a_nickname_that_somebody_else_answers_to_is_not_looked_up() -> None:
    """It would find that somebody, entitled, and make the listing look like a lie."""
    ana = person("ana", mailNickname="nick")
    state = holding([row("r1", external_id="nick"), row("r2", name="ana@corp.example", external_id="nick")])
    made = planned(reading([ana], ["ana"]), state)
    assert disabled(made) == {"r1": Reason.PURGED}
    assert made.absentees[0].lookups == (("userPrincipalName", "r1@corp.example"),)


@pytest.mark.parametrize(
    ("source", "name", "lookups"),
    [
        pytest.param("mail", "r1@corp.example", (("mail", "r1@corp.example"),), id="another-property"),
        pytest.param("employeeId", "70113", (("employeeId", "70113"),), id="no-mail-address"),
        pytest.param("ToLower([mail])", "r1@corp.example", (), id="expression"),
        pytest.param("userPrincipalName", "jane_partner.example", (), id="guest"),
    ],
)
def test_only_what_would_find_the_person_is_looked_up(
    source: str, name: str, lookups: tuple[tuple[str, str], ...]
) -> None:
    """A search that cannot find anybody proves nothing; without any, nothing is taken away."""
    policy = replace(ENFORCE, mapping={"userName": source})
    (absentee,) = planned(reading(), holding([row("r1", name=name)]), policy).absentees
    assert absentee.lookups == lookups


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
    """And then it is confirmed like everybody else."""
    made = planned(reading(), holding([row("r1", origin=Origin.CONSOLE)]), STRICT)
    assert [(c.action, c.kind) for c in made.changes] == [(Action.DISABLE, DriftKind.LOCAL_ACCOUNT)]
    assert [a.subject.key for a in made.absentees] == ["r1"]


@pytest.mark.parametrize("origin", Origin)
def test_a_broken_off_listing_makes_nobody_unlinked_a_leaver(origin: Origin) -> None:
    """The one who answers to the row may be on the page that did not come."""
    made = planned(reading(completeness=partial()), holding([row("r1", origin=origin)]), STRICT)
    assert (made.changes, made.findings) == ((), ())


def test_where_only_the_assigned_were_read_an_unlinked_leaver_is_unassigned() -> None:
    """Purged cannot be told without the directory."""
    proof = Completeness((ListRead("appRoleAssignedTo", 1, 0, True),), ROLES)
    assert disabled(planned(reading(completeness=proof), holding([row("r1")]))) == {"r1": Reason.UNASSIGNED}


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
        replace(row("r3", admin=True, deleted=True), active=True),
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
