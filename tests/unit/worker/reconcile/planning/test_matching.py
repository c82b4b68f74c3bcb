"""Names that must be unique here, before the store has to refuse them."""

from __future__ import annotations

from dataclasses import replace

from store.records import DriftKind, GraphId, Mode, Policy, User
from tests.builders.reconcile.snapshots import holding, person, planned, reading, row, twin
from worker.reconcile.planning.matching import refused_names

ANA, BO, CY = GraphId("ana"), GraphId("bo"), GraphId("cy")


def test_whoever_has_a_name_keeps_it() -> None:
    """Bo is Bo already, in whatever letter case: Ana cannot become Bo."""
    assert refused_names({ANA: "bo", BO: "BO"}, {ANA: "ana", BO: "Bo"}, []) == {ANA}


def test_names_that_swap_are_free() -> None:
    """In the end each has one name: the plan says what should be, the store in which steps it gets there."""
    assert refused_names({ANA: "bo", BO: "ana"}, {ANA: "ana", BO: "bo"}, []) == frozenset()


def test_a_refusal_reaches_whoever_waited_for_the_old_name() -> None:
    """Ana stays Ana, so Bo cannot become Ana, so Cy cannot become Bo."""
    wanted = {ANA: "taken", BO: "ana", CY: "bo"}
    assert refused_names(wanted, {ANA: "ana", BO: "bo"}, ["taken"]) == {ANA, BO, CY}


def test_names_that_are_double_already_end_in_refusals_and_no_endless_loop() -> None:
    """The store forbids it; the plan must not hang on it."""
    assert refused_names({ANA: "x"}, {ANA: "ana"}, ["x", "x"]) == {ANA}


def test_a_conflict_names_every_account_to_which_a_person_answers() -> None:
    """W8: names were swapped before the first reading; neither account may be left untold (simulation, seed 31001)."""
    swapped = person("rita", mail="siri@corp.example", mailNickname="siri")
    rows = [row("r1", name="rita@corp.example"), row("r2", name="siri@corp.example")]
    state = holding([unlinked(each) for each in rows])
    made = planned(reading([swapped], ["rita"]), state, Policy(mode=Mode.ENFORCE))
    [conflict] = [f for f in made.findings if f.kind is DriftKind.MATCH_CONFLICT]
    assert conflict.candidates == ("r1", "r2")


def test_an_account_that_stays_though_it_is_no_ones_is_told() -> None:
    """W8: all who answer to it have another account, and one of them is entitled: a person has to say."""
    ana = person("ana", mail="old@corp.example")
    stray = unlinked(row("r2", name="old@corp.example"))
    made = planned(reading([ana], ["ana"]), holding([twin(ana, "r1"), stray]))
    [conflict] = [f for f in made.findings if f.kind is DriftKind.MATCH_CONFLICT]
    assert set(conflict.candidates) == {"ana", "r1", "r2"}
    assert {change.subject.local_id for change in made.changes} <= {"r1"}


def unlinked(account: User) -> User:
    return replace(account, entra_object_id=None, agreed_user_name=None, agreed_external_id=None)
