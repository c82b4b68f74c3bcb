"""Names that must be unique here, before the store has to refuse them."""

from __future__ import annotations

from store.records import GraphId
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
