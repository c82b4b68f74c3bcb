"""Names that must be unique here, before the store has to refuse them."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from store.records import Action, CycleKind, DriftKind, GraphId, Mode, Policy, User, UserId
from tests.builders.reconcile.snapshots import NOW, holding, person, planned, reading, row, twin
from worker.reconcile.planning.matching import refused_names
from worker.reconcile.snapshot import Focus, Snapshot
from worker.reconcile.state import State

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


def ring() -> tuple[Snapshot, State]:
    """Ana, who left, Bo and Cy were pushed as themselves. Now each has the next one's names, and Ana's account is
    protected: Cy can get no account. Bo's account has Ana's names, Cy's has Bo's.
    """
    names = {"ana": "bo", "bo": "cy", "cy": "ana"}
    people = [
        person(who, userPrincipalName=f"{name}@corp.example", mailNickname=f"{name}.nick")
        for who, name in names.items()
    ]
    rows = [unlinked(twin(person(name, mailNickname=f"{name}.nick"), name)) for name in names]
    rows[0] = structs.replace(rows[0], is_protected=True, active=False)
    return reading(people, ["bo", "cy"]), holding(rows)


def test_links_by_names_end_no_access_while_someone_entitled_is_refused_an_account() -> None:
    """W6, W8: names went round before the first reading; what they would take from Bo waits for a person."""
    made = planned(*ring())
    [removal] = [change for change in made.changes if change.action is Action.DISABLE]
    assert (removal.subject.local_id, removal.claimants) == ("bo", ("ana",))
    assert "an entitled user has no account" in removal.hold_reason
    assert ("cy", "bo") in {
        (c.subject.local_id, c.subject.graph_id) for c in made.changes if c.action is Action.LINK
    }


def test_an_account_whose_name_the_push_gave_away_is_linked_to_no_one_then() -> None:
    """W6: Entra wanted to write Cy's name into Bo's account, and was refused: the name does not say that Cy's account
    is Bo's."""
    snapshot, state = ring()
    cy = structs.replace(state.users[UserId("cy")], sealed_at=NOW)
    made = planned(snapshot, replace(state, users={**state.users, cy.id: cy}))
    assert not [change for change in made.changes if change.action in (Action.LINK, Action.CHANGE_HOLDER)]
    told = {f.subject.graph_id: f.candidates for f in made.findings if f.kind is DriftKind.MATCH_CONFLICT}
    assert (told[BO], told[ANA]) == (("cy",), ("bo",))
    assert CY in told


def test_a_leaver_known_by_names_goes_where_nobody_is_refused_an_account() -> None:
    """The same without the protection: Cy gets the account that has the name, and the leaver's goes."""
    snapshot, state = ring()
    ana = structs.replace(state.users[UserId("ana")], is_protected=False)
    made = planned(snapshot, replace(state, users={**state.users, ana.id: ana}))
    [removal] = [change for change in made.changes if change.action is Action.DISABLE]
    assert (removal.subject.local_id, removal.hold_reason) == ("bo", "")


def test_what_the_last_report_said_of_a_conflict_holds_where_a_part_is_read() -> None:
    """An increment does not see who was refused an account; the person of the link was told to be in a conflict."""
    snapshot, state = ring()
    part = replace(snapshot, kind=CycleKind.INCREMENTAL, users={ANA: snapshot.users[ANA]})
    focus = Focus(users=frozenset({ANA}))
    rows = {UserId("bo"): state.users[UserId("bo")]}
    told = replace(state, users=rows, contested=frozenset({ANA}))
    assert planned(part, told, focus=focus).changes == ()


def unlinked(account: User) -> User:
    return structs.replace(account, entra_object_id=None, agreed_user_name=None, agreed_external_id=None)
