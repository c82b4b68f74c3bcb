"""What becomes of every change, once each absentee was re-read by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from store.records import REMOVALS, Action, HolderBasis, Origin, Reason, User
from tests.builders.reconcile.snapshots import (
    LONG_AGO,
    answer,
    gone,
    group_row,
    holding,
    person,
    planned,
    reading,
    row,
    said,
    twin,
)
from worker.reconcile.confirmation import Confirmation, confirm
from worker.reconcile.partitioning.partition import partition, partition_approved
from worker.reconcile.plan import Change, Decision, Plan, PlanPartition, Subject, Verdict
from worker.reconcile.snapshot import Evidence

APPLY = Verdict(Decision.APPLY, ())
HOLD = Verdict(Decision.HOLD_REMOVALS, ("6 of 10 users would be disabled.",))
ADD_ONLY = Verdict(Decision.ADD_ONLY, ("The list users broke off.",))
REPORT = Verdict(Decision.REPORT_ONLY, ("The connection is in mode `report`.",))

ANA, BO = person("ana"), person("bo")
SALES = group_row("g1", name="Sales", entra="sales")


def busy() -> Plan:
    """Bo comes, Ana leaves the group, two leave altogether, a group goes."""
    state = holding(
        [twin(ANA), row("l1", entra="gone1"), row("l2", entra="gone2")],
        [SALES, group_row("g2", name="Old", entra="old")],
        {"g1": ["row-ana"]},
    )
    return planned(reading([ANA, BO], ["ana", "bo"], {"sales": []}), state)


def parts(settled: PlanPartition) -> dict[str, list[str]]:
    held = settled.hold.changes if settled.hold else ()
    named = {"apply": settled.apply, "hold": held, "drop": [d.change for d in settled.dropped]}
    return {name: [f"{c.action} {c.subject.label}" for c in changes] for name, changes in named.items()}


def with_answers(made: Plan, **answers: Evidence) -> Mapping[str, Evidence]:
    return {**gone(made), **answers}


def given_away() -> Plan:
    """The push gave the account of Ana, who is gone, to a new person of her name, in Sales."""
    new = person("new", userPrincipalName="ana@corp.example", mailNickname="ana", displayName="Anna")
    state = replace(holding([twin(ANA, "r1")], [SALES]), last_read_at=LONG_AGO - timedelta(days=1))
    return planned(reading([new], ["new"], {"sales": ["new"]}), state)


# --- Verdicts


def test_who_is_gone_goes() -> None:
    """Removals happen only if all hold; here all do."""
    made = busy()
    settled = partition(made, APPLY, gone(made))
    assert [(c.action, c.subject) for c in settled.apply] == [(c.action, c.subject) for c in made.changes]
    assert (settled.hold, settled.dropped, settled.reasons) == (None, (), ())


def test_on_hold_additions_go_on() -> None:
    """Adds and updates go on while removals are held: stopping joiners helps nobody."""
    made = busy()
    settled = partition(made, HOLD, gone(made))
    assert parts(settled) == {
        "apply": ["create bo@corp.example"],
        "hold": ["delete Old", "disable l1@corp.example", "disable l2@corp.example", "remove_member Sales"],
        "drop": [],
    }
    assert settled.reasons == HOLD.reasons
    assert settled.hold is not None
    assert settled.hold.checksum != made.checksum
    assert [a.subject.key for a in settled.hold.absentees] == ["ana", "gone1", "gone2", "old"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(answer("old", found=False), Confirmation.GONE, id="gone from Entra"),
        pytest.param(answer("old", direct=False), Confirmation.GONE, id="not assigned"),
        pytest.param(answer("old", direct=True), Confirmation.ENTITLED, id="assigned after all"),
        pytest.param(answer("old", readable=False), Confirmation.UNKNOWN, id="no answer"),
        pytest.param(None, Confirmation.UNKNOWN, id="nobody asked"),
    ],
)
def test_a_group_is_confirmed_before_it_is_deleted(found: Evidence | None, expected: Confirmation) -> None:
    """Removals, `delete group` among them, happen only if they are confirmed."""
    delete = next(c for c in busy().changes if c.action is Action.DELETE)
    assert confirm(delete, {} if found is None else {"old": found}) is expected


def test_a_pushed_group_that_entra_cannot_be_asked_about_goes_by_the_listing() -> None:
    """Never linked, and without its object id: nothing could ever confirm it."""
    made = planned(reading(), holding([], [group_row("g2", name="Old")]))
    assert made.absentees == ()
    assert parts(partition(made, APPLY, {}))["apply"] == ["delete Old"]


def test_on_hold_with_nothing_to_remove_nothing_is_held() -> None:
    """A suspicious reading that takes nothing away needs no person."""
    made = planned(reading([BO], ["bo"]), holding())
    assert partition(made, HOLD, {}).hold is None


def test_an_incomplete_reading_drops_removals_for_the_next_cycle() -> None:
    """Removals are dropped, not held; the next complete cycle finds them again."""
    made = busy()
    settled = partition(made, ADD_ONLY, gone(made))
    assert parts(settled)["apply"] == ["create bo@corp.example"]
    assert settled.hold is None
    assert {d.why for d in settled.dropped} == {"The reading is not whole: The list users broke off."}


def test_in_mode_report_nothing_happens() -> None:
    """Mode `report` (shadow) plans and reports and applies nothing."""
    made = busy()
    settled = partition(made, REPORT, gone(made))
    assert (settled.apply, settled.hold) == ((), None)
    assert {d.why for d in settled.dropped} == {"The connection is in mode `report`."}


# --- Evidence


def test_one_person_found_entitled_holds_all_other_removals() -> None:
    """Disaster 2: absentees confirmed one by one, found alive, dropped; the listing is not to be believed."""
    made = busy()
    settled = partition(made, APPLY, with_answers(made, gone1=answer("gone1", direct=True)))
    assert parts(settled) == {
        "apply": ["create bo@corp.example"],
        "hold": ["delete Old", "disable l2@corp.example", "remove_member Sales"],
        "drop": ["disable l1@corp.example"],
    }
    assert [d.is_refuted for d in settled.dropped] == [True]
    assert settled.reasons == (
        "1 of 4 removals were refuted when the people were re-read one by one: "
        "the listing had left them out, so the other removals of this cycle wait.",
    )


def test_if_everybody_is_found_entitled_nothing_is_held() -> None:
    """Nobody is left whom a person could decide about."""
    made = planned(reading([ANA], ["ana"]), holding([twin(ANA), row("l1", entra="gone1")]))
    settled = partition(made, HOLD, {"gone1": answer("gone1", group=True)})
    assert parts(settled) == {"apply": [], "hold": [], "drop": ["disable l1@corp.example"]}
    assert len(settled.reasons) == 2


def test_without_an_answer_nobody_goes_and_nobody_else_is_stopped() -> None:
    """403, 429, 5xx: nothing is known; the next cycle asks again."""
    made = busy()
    settled = partition(made, APPLY, with_answers(made, gone1=answer("gone1", readable=False)))
    assert "disable l2@corp.example" in parts(settled)["apply"]
    assert parts(settled)["drop"] == ["disable l1@corp.example"]
    assert settled.hold is None
    assert "could not be confirmed" in settled.dropped[0].why
    assert not settled.dropped[0].is_refuted


def test_an_account_without_holder_goes_when_nobody_who_answers_to_it_is_entitled() -> None:
    """W8: each claimant is asked for alone; one who is entitled is enough to keep it."""
    bo = person("bo", mailNickname="nick")
    two = person("two", mailNickname="nick")
    rows = [row("r1", name="other@corp.example", external_id="nick")]
    made = planned(reading([bo, two], []), holding(rows))
    gone = {"bo": answer("bo", direct=False, group=False), "two": answer("two", direct=False, group=False)}
    [disable] = partition(made, APPLY, gone).apply
    assert (disable.subject.local_id, disable.claimants) == ("r1", ("bo", "two"))
    assert partition(made, APPLY, {**gone, "two": answer("two", direct=True)}).apply == ()
    assert partition(made, APPLY, {"bo": gone["bo"]}).apply == ()


def test_an_unmatched_account_is_held_and_goes_when_a_person_says_so() -> None:
    """W9: removal always held."""
    made = planned(reading([BO], ["bo"]), holding([twin(BO), row("r1", external_id="nick")]))
    held = partition(made, APPLY, {})
    assert held.apply == ()
    assert held.hold is not None
    assert parts(held)["hold"] == ["disable r1@corp.example"]
    assert [c.action for c in partition_approved(held.hold, {}).apply] == [Action.DISABLE]


def test_on_hold_who_could_not_be_confirmed_waits_with_the_others() -> None:
    """Whoever approves asks again first."""
    made = busy()
    settled = partition(made, HOLD, {})
    assert parts(settled)["drop"] == []
    assert len(parts(settled)["hold"]) == 4


@pytest.mark.parametrize("verdict", [ADD_ONLY, REPORT])
def test_what_was_refuted_is_no_drift_whatever_the_verdict(verdict: Verdict) -> None:
    """The report must not accuse who is entitled."""
    made = busy()
    settled = partition(made, verdict, with_answers(made, gone1=answer("gone1", direct=True)))
    assert [d.change.subject.key for d in settled.dropped if d.is_refuted] == ["gone1"]


def test_an_approved_plan_takes_who_is_still_gone() -> None:
    """A held plan is approved hours later: who was re-assigned since keeps access, the others go."""
    held = partition(busy(), HOLD, gone(busy())).hold
    assert held is not None
    answers = with_answers(held, gone1=answer("gone1", direct=True), gone2=answer("gone2", readable=False))
    settled = partition_approved(held, answers)
    assert parts(settled) == {
        "apply": ["delete Old", "remove_member Sales"],
        "hold": [],
        "drop": ["disable l1@corp.example", "disable l2@corp.example"],
    }
    assert [d.is_refuted for d in settled.dropped] == [True, False]


# --- What an answer means


def disable(reason: Reason | None) -> Change:
    made = planned(reading([ANA]), holding([twin(ANA)]))
    (change,) = made.changes
    return Change(change.kind, change.action, change.subject, reason)


GONE, ENTITLED, UNKNOWN = Confirmation.GONE, Confirmation.ENTITLED, Confirmation.UNKNOWN


@pytest.mark.parametrize(
    ("reason", "evidence", "expected"),
    [
        pytest.param(Reason.PURGED, answer("ana", found=False), GONE, id="purged-not-found"),
        pytest.param(Reason.PURGED, answer("ana", direct=True), ENTITLED, id="purged-but-assigned"),
        pytest.param(Reason.PURGED, answer("ana", direct=None), ENTITLED, id="purged-but-there"),
        pytest.param(Reason.PURGED, answer("ana"), UNKNOWN, id="purged-but-there-unassigned"),
        pytest.param(Reason.PURGED, answer("ana", enabled=False), GONE, id="purged-but-disabled"),
        pytest.param(Reason.DISABLED, answer("ana", enabled=False, direct=True), GONE, id="disabled"),
        pytest.param(Reason.DISABLED, answer("ana", enabled=True, group=True), ENTITLED, id="enabled-again"),
        pytest.param(Reason.DISABLED, answer("ana", enabled=None), UNKNOWN, id="enabled-not-told"),
        pytest.param(Reason.UNASSIGNED, answer("ana"), GONE, id="unassigned"),
        pytest.param(Reason.UNASSIGNED, answer("ana", found=False), GONE, id="unassigned-and-deleted"),
        pytest.param(Reason.UNASSIGNED, answer("ana", direct=True), ENTITLED, id="assigned-directly"),
        pytest.param(Reason.UNASSIGNED, answer("ana", direct=None, group=True), ENTITLED, id="by-group"),
        pytest.param(Reason.UNASSIGNED, answer("ana", group=None), UNKNOWN, id="groups-not-told"),
        pytest.param(Reason.OUT_OF_SCOPE, answer("ana", direct=True), GONE, id="out-of-scope"),
        pytest.param(Reason.SOFT_DELETED, answer("ana", direct=True), ENTITLED, id="restored"),
        pytest.param(None, answer("ana", found=False), GONE, id="local-account"),
        pytest.param(None, answer("ana"), UNKNOWN, id="local-account-of-somebody"),
        pytest.param(Reason.PURGED, answer("ana", found=False, readable=False), UNKNOWN, id="unreadable"),
    ],
)
def test_what_an_answer_says_about_access(
    reason: Reason | None, evidence: Evidence, expected: Confirmation
) -> None:
    """200 + enabled -> active; 200 + disabled; 404 + bin -> soft-deleted; 404 -> purged; plus assignments."""
    assert confirm(disable(reason), {"ana": evidence}) is expected


def test_no_answer_at_all_is_unknown() -> None:
    """Nobody was asked."""
    assert confirm(disable(Reason.PURGED), {}) is UNKNOWN


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        pytest.param(answer("ana", member_of=["staff"]), GONE, id="in-another-group"),
        pytest.param(answer("ana", member_of=["sales"]), ENTITLED, id="still-a-member"),
        pytest.param(answer("ana", group=False), GONE, id="in-no-group"),
        pytest.param(answer("ana", group=True), UNKNOWN, id="in-some-group"),
        pytest.param(answer("ana", group=None), UNKNOWN, id="not-told"),
        pytest.param(answer("ana", found=False), GONE, id="deleted"),
    ],
)
def test_what_an_answer_says_about_a_membership(evidence: Evidence, expected: Confirmation) -> None:
    """A person moved from one group to another is assigned by a group, and yet no member of the first."""
    change = next(c for c in busy().changes if c.action is Action.REMOVE_MEMBER)
    assert confirm(change, {"ana": evidence}) is expected


def test_who_gains_needs_no_confirmation() -> None:
    """Additions and updates go on regardless."""
    assert {confirm(c, {}) for c in busy().changes if c.action not in REMOVALS} == {GONE}


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        pytest.param(answer("ana", found=False, soft_deleted=True), Reason.SOFT_DELETED, id="in-the-bin"),
        pytest.param(answer("ana", found=False), Reason.PURGED, id="nowhere"),
        pytest.param(answer("ana", enabled=False), Reason.DISABLED, id="disabled"),
        pytest.param(answer("ana"), Reason.UNASSIGNED, id="as-listed"),
    ],
)
def test_the_reason_written_down_is_the_later_and_closer_one(evidence: Evidence, reason: Reason) -> None:
    """Where only the assigned were listed, the re-reading tells unassigned, disabled and deleted apart."""
    made = planned(reading([ANA]), holding([twin(ANA)]))
    (change,) = partition(made, APPLY, {"ana": evidence}).apply
    assert change.reason is reason


def test_a_held_plan_names_the_reasons_known_by_then() -> None:
    """Who decides should see what was found out."""
    made = planned(reading([ANA, BO]), holding([twin(ANA), twin(BO)]))
    answers = {"ana": answer("ana", enabled=False), "bo": answer("bo", found=False, readable=False)}
    held = partition(made, HOLD, answers).hold
    assert held is not None
    assert [c.reason for c in held.changes] == [Reason.DISABLED, Reason.UNASSIGNED]


def test_a_local_account_gets_no_reason() -> None:
    """Nobody in Entra answers to it: there is no reason there."""
    change = disable(None)
    made = busy().subset([change])
    (settled,) = partition(made, APPLY, {"ana": answer("ana", found=False)}).apply
    assert settled.reason is None


def test_what_concerns_no_person_says_so() -> None:
    """A group as a whole, and a nested group, are nobody."""
    delete = next(c for c in busy().changes if c.action is Action.DELETE)
    assert delete.person is None
    assert isinstance(delete.subject, Subject)
    assert said(busy())[0] == "create bo@corp.example"


@pytest.mark.parametrize(
    ("said_of_inner", "expected"),
    [
        pytest.param(
            answer("inner", group=None, member_of=["sales"]), Confirmation.ENTITLED, id="still a member"
        ),
        pytest.param(answer("inner", group=None, member_of=[]), Confirmation.GONE, id="no member any more"),
        pytest.param(answer("inner", found=False), Confirmation.GONE, id="deleted"),
        pytest.param(answer("inner", group=None), Confirmation.UNKNOWN, id="its groups could not be read"),
        pytest.param(None, Confirmation.UNKNOWN, id="not asked"),
    ],
)
def test_a_nested_group_is_taken_out_on_its_own_answer(
    said_of_inner: Evidence | None, expected: Confirmation
) -> None:
    """A list of members that came back empty took a group out of another, and with it what its people have by it."""
    state = holding(groups=[SALES, group_row("g2", name="Inner", entra="inner")], members={"g1": ["g2"]})
    [removal] = planned(reading(groups={"sales": [], "inner": []}), state).changes
    assert removal.action is Action.REMOVE_MEMBER
    assert confirm(removal, {} if said_of_inner is None else {"inner": said_of_inner}) is expected


# --- Changes of holder


def test_a_change_of_holder_that_is_held_seals_the_account_and_gives_nothing_to_the_other_person() -> None:
    """W3: above the ceilings the keys end all the same; the rest of the plan for the account waits with it."""
    made = given_away()
    assert said(made) == [
        "change_holder ana@corp.example",
        "update ana@corp.example",
        "add_member Sales ana@corp.example",
    ]
    settled = partition(made, HOLD, {})
    assert parts(settled) == {
        "apply": ["seal ana@corp.example"],
        "hold": ["change_holder ana@corp.example"],
        "drop": [],
    }
    assert [change.action for change in settled.waiting] == [Action.UPDATE, Action.ADD_MEMBER]
    assert settled.hold is not None
    [held], [sealed] = settled.hold.changes, settled.apply
    assert (sealed.expected_version, held.expected_version) == (1, 2), (
        "approved, it is decided on the sealed account"
    )
    again = partition(made, replace(HOLD, waiting=frozenset({held.removal_key})), {})
    assert (again.apply, again.hold) == ((), None)
    assert [change.action for change in again.waiting] == [
        Action.CHANGE_HOLDER,
        Action.UPDATE,
        Action.ADD_MEMBER,
    ]


def test_a_change_of_holder_under_the_ceilings_is_applied_with_all_that_follows() -> None:
    made = given_away()
    assert partition(made, APPLY, gone(made)).apply == made.changes


@pytest.mark.parametrize("found", [answer("ana", direct=False), answer("ana", readable=False), None])
@pytest.mark.parametrize("verdict", [APPLY, ADD_ONLY])
def test_an_account_is_given_away_only_if_the_earlier_holder_alone_is_asked_for_and_gone(
    verdict: Verdict, found: Evidence | None
) -> None:
    """W3: while the holder lives the account is theirs, entitled or not; the list may be wrong about them."""
    made = given_away()
    assert [a.subject.key for a in made.absentees] == ["ana"]
    settled = partition(made, verdict, {"ana": found} if found else {})
    assert (settled.apply, settled.hold, settled.waiting) == ((), None, ())
    assert partition_approved(made, {"ana": found} if found else {}).apply == made.changes[1:]


def test_without_proof_a_twin_is_not_retired_and_the_other_is_not_linked() -> None:
    """An incomplete reading takes nothing: the person keeps the account that is linked."""
    renamed = person("ana", userPrincipalName="ana.lee@corp.example", mailNickname="ana.lee")
    pulled = structs.replace(twin(ANA, "r1"), origin=Origin.GRAPH, push_wrote_at=None)
    pushed = structs.replace(twin(renamed, "r2"), entra_object_id=None)
    made = planned(reading([renamed], ["ana"]), holding([pulled, pushed]))
    settled = partition(made, ADD_ONLY, {})
    assert parts(settled) == {
        "apply": [],
        "hold": [],
        "drop": ["retire ana@corp.example", "link ana.lee@corp.example"],
    }


@pytest.mark.parametrize(
    ("verdict", "evidence"),
    [
        pytest.param(HOLD, answer("ana", found=False), id="held"),
        pytest.param(APPLY, answer("ana", readable=False), id="not confirmed"),
        pytest.param(APPLY, answer("ana", direct=True), id="entitled after all"),
        pytest.param(ADD_ONLY, answer("ana", found=False), id="an incomplete reading"),
    ],
)
def test_whoever_is_to_have_a_name_waits_until_it_is_given_up(verdict: Verdict, evidence: Evidence) -> None:
    """W2: decided in the plan; the store would refuse the new account, and the membership with it."""
    new = person("new", userPrincipalName="ana@corp.example", mailNickname="ana")
    state = holding([structs.replace(twin(ANA, "r1"), push_wrote_at=None)], [SALES])
    made = planned(reading([new, BO], ["new", "bo"], {"sales": ["new"]}), state)
    assert [line for line in said(made) if "ana@" in line] == [
        "release_names ana@corp.example",
        "create ana@corp.example",
        "add_member Sales ana@corp.example",
    ]
    settled = partition(made, verdict, {"ana": evidence})
    assert parts(settled)["apply"] == ["create bo@corp.example"]
    assert bool(settled.waiting) is (verdict is HOLD), "what is not held is decided again by the next cycle"


def test_whoever_keeps_an_account_gets_no_second_one() -> None:
    """W3: the push wrote another's names into an account that names linked; while that waits, both wait."""
    other = person("zoe")
    linked = structs.replace(
        twin(ANA, "r1"),
        user_name="zoe@corp.example",
        external_id="zoe",
        holder_basis=HolderBasis.NAMES,
        agreed_user_name="ana@corp.example",
        push_wrote_at=LONG_AGO,
    )
    made = planned(reading([ANA, other], ["ana", "zoe"]), holding([linked]))
    assert {c.action for c in made.changes} >= {Action.CHANGE_HOLDER, Action.CREATE}
    settled = partition(made, HOLD, {})
    assert [c.action for c in settled.apply] == [Action.SEAL]
    assert Action.CREATE in {c.action for c in settled.waiting}


def retired_and_handed_over() -> Plan:
    """The pull made Ana an account, and the push wrote another of which no holder is known; with that the
    retirement and the change of holder are planned together."""
    renamed = person("ana", userPrincipalName="ana.lee@corp.example", mailNickname="ana.lee")
    pulled = structs.replace(twin(ANA, "r1"), origin=Origin.GRAPH, push_wrote_at=None)
    pushed = structs.replace(twin(renamed, "r2"), entra_object_id=None, sealed_at=LONG_AGO)
    made = planned(reading([renamed], ["ana"]), holding([pulled, pushed]))
    assert said(made)[:2] == ["retire ana@corp.example", "change_holder ana.lee@corp.example"]
    return made


@pytest.mark.parametrize("is_rejected", [False, True])
def test_an_account_is_not_given_to_somebody_who_keeps_the_other(is_rejected: bool) -> None:
    """Seed 73181: the store refused the change of holder in every cycle (W1: a person has one account)."""
    made = retired_and_handed_over()
    key = made.changes[0].removal_key
    decided = (
        replace(APPLY, accepted={key: "rejected by me"})
        if is_rejected
        else replace(APPLY, waiting=frozenset({key}))
    )
    settled = partition(made, decided, {})
    assert (settled.apply, settled.hold) == ((), None)
    assert Action.CHANGE_HOLDER in {change.action for change in settled.followers}


def test_the_keys_of_an_account_that_waits_for_a_retirement_end_all_the_same() -> None:
    """W3: in doubt keys die; here none had a seal yet."""
    made = retired_and_handed_over()
    made = replace(
        made, changes=tuple(structs.replace(c, before={**c.before, "sealed": False}) for c in made.changes)
    )
    waiting = frozenset({made.changes[0].removal_key})
    settled = partition(made, replace(APPLY, waiting=waiting), {})
    assert [(c.action, c.subject.local_id) for c in settled.apply] == [(Action.SEAL, "r2")]


def test_changes_of_holder_in_a_chain_are_asked_about_together_and_the_second_waits_for_the_first() -> None:
    """Zoe is to have Ana's account and Ana that of Bo: while Ana keeps hers, she gets no other."""

    def linked(holder: str, named: str, row_id: str) -> User:
        return structs.replace(
            twin(person(holder), row_id),
            user_name=f"{named}@corp.example",
            external_id=named,
            holder_basis=HolderBasis.NAMES,
            agreed_user_name=f"{holder}@corp.example",
            push_wrote_at=LONG_AGO,
        )

    people = [ANA, BO, person("zoe")]
    rows = [linked("ana", "zoe", "r1"), linked("bo", "ana", "r2")]
    made = planned(reading(people, ["ana", "bo", "zoe"]), holding(rows))
    settled = partition(made, HOLD, {})
    assert settled.hold is not None
    held = {change.subject.local_id: change for change in settled.hold.changes}
    assert held.keys() == {"r1", "r2"}
    rejected = replace(APPLY, accepted={held["r1"].removal_key: "rejected by me"})
    again = partition(made, rejected, {})
    assert [(c.action, c.subject.local_id) for c in again.apply] == [(Action.SEAL, "r2")]
    is_follower = {
        d.change.action: d.is_follower for d in again.accepted if d.change.subject.local_id == "r2"
    }
    assert is_follower[Action.CHANGE_HOLDER]
