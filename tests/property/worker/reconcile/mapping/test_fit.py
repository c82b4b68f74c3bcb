"""The mapping check for any mixture of accounts: the numbers add up, and the order does not matter."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from store.records import Policy, User
from tests.builders.reconcile.snapshots import by_id, person, row
from worker.reconcile.mapping.attribute_mapping import compile_mapping
from worker.reconcile.mapping.fit import NAMES, AttributeFit, Fit, check_mapping, judge
from worker.reconcile.snapshot import GraphUser

SOURCES = ["userPrincipalName", "mail", "employeeId", "objectId", "mailNickname", 'Append([mail], ".t")']
words = st.sampled_from(["a", "b", "ab", "7", "a@x", "b@x", "smtp:a@x"])

people = st.lists(
    st.builds(
        lambda upn, mail, staff, nick: (upn, mail, staff, nick),
        words,
        st.none() | words,
        st.none() | words,
        st.none() | words,
    ),
    max_size=14,
).map(
    lambda rows: [
        person(f"p{n}", userPrincipalName=u, mail=m, employeeId=e, mailNickname=k)
        for n, (u, m, e, k) in enumerate(rows)
    ]
)
accounts = st.lists(st.tuples(words | st.sampled_from(["p0", "p1"]), st.none() | words), max_size=14).map(
    lambda rows: [row(f"r{n}", name=name, external_id=external) for n, (name, external) in enumerate(rows)]
)
policies = st.builds(
    lambda name, external: Policy(mapping={"userName": name, "externalId": external}),
    st.sampled_from(SOURCES),
    st.sampled_from(SOURCES),
)


@settings(max_examples=200)
@given(accounts, people, policies, st.randoms())
def test_the_numbers_add_up_in_any_order(
    accounts: list[User], people: list[GraphUser], policy: Policy, dice: Random
) -> None:
    """Every account is joined, unmatched or contradictory, and no count exceeds the accounts joined."""
    fit = check_mapping(accounts, by_id(people), policy)
    assert fit.joined + fit.unmatched + fit.contradictory == len(accounts)
    for found in fit.attributes:
        assert 0 <= found.agreeing <= found.compared <= fit.joined
        assert found.verdict is judge(found.agreeing, found.compared)
        assert (found.suggestion is None) or found.verdict is Fit.DOES_NOT_FIT
        if found.suggestion:
            assert judge(found.suggestion.agreeing, found.suggestion.compared) is Fit.FITS
    shuffled, others = list(accounts), list(people)
    dice.shuffle(shuffled)
    dice.shuffle(others)
    again = check_mapping(shuffled, by_id(others), policy)
    assert _numbers(again.attributes) == _numbers(fit.attributes)


def _numbers(attributes: Iterable[AttributeFit]) -> list[tuple[str, int, int]]:
    return [(a.path, a.compared, a.agreeing) for a in attributes]


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_more_agreement_never_makes_a_verdict_worse(agreeing: int, more: int) -> None:
    """With fewer than 3 nothing fits; what fits goes on fitting when another account agrees."""
    compared = agreeing + more % 7
    if judge(agreeing, compared) is Fit.FITS:
        assert compared >= 3
        assert judge(agreeing + 1, compared + 1) is Fit.FITS


@settings(max_examples=100)
@given(people, policies)
def test_what_the_mapping_itself_wrote_fits(people: list[GraphUser], policy: Policy) -> None:
    """Accounts that hold what the mapping gives agree in every name that could be compared."""
    assert policy.mapping is not None
    mapping = compile_mapping(policy)
    written = []
    for user in people:
        values = mapping.wanted(user, lambda _id: None)
        if "userName" in values:
            external = values.get("externalId")
            made = row(f"r{user.id}", name=str(values["userName"]))
            written.append(structs.replace(made, external_id=external if isinstance(external, str) else None))
    for found in check_mapping(written, by_id(people), policy).attributes:
        assert found.path in NAMES
        assert found.agreeing == found.compared
