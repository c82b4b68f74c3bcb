"""Push by one mapping and pull by another, for every pair on userName and externalId (docs/safety.md)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import pytest
from msgspec import structs

from store.records import Action, DriftKind, Mode, Policy, User
from tests.builders.reconcile.snapshots import applied, holding, person, planned, reading, row
from worker.reconcile.mapping.attribute_mapping import compile_mapping, write_paths
from worker.reconcile.plan import Plan
from worker.reconcile.snapshot import GraphUser

SUFFIX = 'Append([userPrincipalName], ".test")'
SOURCES = ("userPrincipalName", "mail", "employeeId", "objectId", "mailNickname", SUFFIX)
PAIRS = list(product(SOURCES, SOURCES))
LEAVER = 3
"""Who is not entitled."""


def company(size: int) -> list[GraphUser]:
    return [
        person(
            f"00000000-0000-4000-8000-{n:012x}",
            enabled=n != LEAVER,
            userPrincipalName=f"upn{n}@corp.example",
            mail=f"mail{n}@mail.example",
            employeeId=f"{70000 + n}",
            mailNickname=f"nick{n}",
            displayName=f"Person {n}",
        )
        for n in range(size)
    ]


def pushed(people: Iterable[GraphUser], mapping: dict[str, str]) -> list[User]:
    compiled = compile_mapping(Policy(mapping=mapping))
    accounts: list[User] = []
    for n, user in enumerate(people):
        document = write_paths({}, compiled.wanted(user, lambda _id: None))
        external_id = document["externalId"]
        assert isinstance(external_id, str)
        made = row(f"row{n}", name=str(document["userName"]), external_id=external_id, document=document)
        accounts.append(structs.replace(made, agreed_user_name=None, agreed_external_id=None))
    return accounts


def mapping_of(pair: tuple[str, str]) -> dict[str, str]:
    return {"userName": pair[0], "externalId": pair[1], "displayName": "displayName"}


def check(plan: Plan, push: tuple[str, str]) -> None:
    # Where both names have a constant ending and no address was mapped, no one is found for any account.
    unknown = push == (SUFFIX, SUFFIX)
    for change in plan.changes:
        assert change.action is not Action.CHANGE_HOLDER
        if change.action is Action.CREATE:
            assert unknown, "a person has one account"
            continue
        assert not {"userName", "externalId"} & change.after.keys(), "no name is rewritten"
        if change.action in (Action.DISABLE, Action.RELEASE_NAMES):
            assert change.subject.local_id == f"row{LEAVER}" or change.hold_reason, (
                "who is entitled loses nothing"
            )


CASES = [(pair, 12) for pair in PAIRS] + [((source, source), 5) for source in SOURCES]


@pytest.mark.parametrize(("push", "size"), CASES)
def test_under_any_pair_of_mappings_no_entitled_person_loses_access_and_no_name_is_rewritten(
    push: tuple[str, str], size: int
) -> None:
    people = company(size)
    snapshot = reading(people, [user.id for user in people])
    accounts = pushed(people, mapping_of(push))
    for pull in PAIRS:
        policy = Policy(mode=Mode.ENFORCE, mapping=mapping_of(pull))
        state = holding(accounts)
        first = planned(snapshot, state, policy)
        check(first, push)
        leavers = [change for change in first.changes if change.action is Action.DISABLE]
        conflicts = [finding for finding in first.findings if finding.kind is DriftKind.MATCH_CONFLICT]
        assert leavers or conflicts, "the leaver goes, or is told"
        applicable = [change for change in first.changes if not change.hold_reason]
        if applicable:
            second = planned(snapshot, applied(state, applicable), policy)
            check(second, push)
            assert all(change.hold_reason for change in second.changes), (push, pull)
