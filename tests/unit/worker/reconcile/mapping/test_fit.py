"""The mapping check: what the push writes is compared with what the mapping gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import pytest
from msgspec import structs

from store.records import Document, JsonValue, Policy, User
from tests.builders.reconcile.snapshots import by_id, person, row
from worker.reconcile.mapping.attribute_mapping import compile_mapping, write_paths
from worker.reconcile.mapping.fit import Fit, check_mapping, judge
from worker.reconcile.mapping.joining import join_accounts
from worker.reconcile.snapshot import GraphUser

SUFFIX = 'Append([userPrincipalName], ".test")'
SOURCES = ("userPrincipalName", "mail", "employeeId", "objectId", "mailNickname", SUFFIX)


def company(size: int) -> list[GraphUser]:
    """People of whom no identifier equals another's, nor another of their own."""
    return [
        person(
            f"00000000-0000-4000-8000-{n:012x}",
            userPrincipalName=f"upn{n}@corp.example",
            mail=f"mail{n}@mail.example",
            employeeId=f"{70000 + n}",
            mailNickname=f"nick{n}",
            jobTitle=f"Title {n}",
        )
        for n in range(size)
    ]


def account(row_id: str, document: Document) -> User:
    """An account with this document, linked to no person."""
    external_id = document.get("externalId")
    made = row(
        row_id,
        name=str(document["userName"]),
        external_id=external_id if isinstance(external_id, str) else None,
        document=document,
    )
    return structs.replace(made, agreed_user_name=None, agreed_external_id=None)


def pushed(people: Iterable[GraphUser], mapping: dict[str, str]) -> list[User]:
    """The accounts that a push by this mapping would have made."""
    compiled = compile_mapping(Policy(mapping=mapping))
    return [
        account(f"row{n}", write_paths({}, compiled.wanted(user, lambda _id: None)))
        for n, user in enumerate(people)
    ]


@pytest.mark.parametrize("push", list(product(SOURCES, SOURCES)), ids=" ".join)
def test_a_foreign_mapping_is_seen_and_the_right_one_is_named(push: tuple[str, str]) -> None:
    """Push by one mapping and pull by another, for every pair on userName and externalId."""
    people = company(12)
    accounts = pushed(people, {"userName": push[0], "externalId": push[1]})
    for pull in product(SOURCES, SOURCES):
        fit = check_mapping(
            accounts, by_id(people), Policy(mapping={"userName": pull[0], "externalId": pull[1]})
        )
        for path, written, mapped in zip(("userName", "externalId"), push, pull, strict=True):
            found = fit.of(path)
            assert found is not None
            assert found.compared == 12
            assert found.verdict is (Fit.FITS if written == mapped else Fit.DOES_NOT_FIT), (push, pull)
            assert (found.suggestion and found.suggestion.source) == (None if written == mapped else written)
        assert fit.names_fit is (push == pull)


def test_the_first_story_of_the_review() -> None:
    """userName <- mail, externalId <- employeeId, pulled by Entra's default mapping."""
    people = [
        person(
            f"id{n}",
            userPrincipalName=f"p{n}@corp.example",
            mail=f"{'other' if n < 4 else 'p'}{n}@corp.example",
            mailNickname=f"p{n}",
            employeeId=None if n < 4 else f"{70000 + n}",
        )
        for n in range(90)
    ]
    accounts = pushed(people, {"userName": "mail", "externalId": "employeeId"})
    fit = check_mapping(accounts, by_id(people), Policy())
    found = fit.of("externalId")
    assert found is not None
    assert found.sentence == (
        "externalId does not fit: 0 of 90 accounts hold what mailNickname gives; "
        "it equals employeeId for 86 of 86."
    )
    assert not fit.names_fit
    assert fit.joined == 90


@pytest.mark.parametrize(
    ("agreeing", "compared", "verdict"),
    [
        (0, 0, Fit.UNKNOWN),
        (2, 2, Fit.UNKNOWN),
        (3, 3, Fit.FITS),
        (2, 3, Fit.DOES_NOT_FIT),
        (9, 9, Fit.FITS),
        (8, 9, Fit.DOES_NOT_FIT),
        (9, 10, Fit.FITS),
        (8, 10, Fit.DOES_NOT_FIT),
        (18, 20, Fit.FITS),
        (17, 19, Fit.DOES_NOT_FIT),
        (950, 1000, Fit.FITS),
    ],
)
def test_the_verdict_goes_by_the_numbers(agreeing: int, compared: int, verdict: Fit) -> None:
    """9 of 10 from 10 on, all of 3 to 9, nothing below 3."""
    assert judge(agreeing, compared) is verdict


@pytest.mark.parametrize("size", [3, 5, 1000])
def test_a_foreign_mapping_of_any_size(size: int) -> None:
    """3, 5 and 1,000 people under a foreign mapping."""
    people = company(size)
    fit = check_mapping(
        pushed(people, {"userName": "mail", "externalId": "objectId"}), by_id(people), Policy()
    )
    suggested = {found.path: found.suggestion.source for found in fit.attributes if found.suggestion}
    assert suggested == {"userName": "mail", "externalId": "objectId"}


def test_two_jobs_on_one_connection() -> None:
    """950 by the mapping and 50 guests by another: the mapping fits, and the 50 are counted."""
    people = company(1000)
    one = pushed(people[:950], {"userName": "userPrincipalName", "externalId": "mailNickname"})
    other = pushed(people[950:], {"userName": "mail", "externalId": "employeeId"})
    fit = check_mapping([*one, *other], by_id(people), Policy())
    found = fit.of("externalId")
    assert found is not None
    assert (found.agreeing, found.compared, fit.names_fit) == (950, 1000, True)
    assert found.sentence == "externalId fits: 950 of 1000 accounts hold what mailNickname gives."


def test_an_attribute_that_is_not_a_name_is_judged_without_a_suggestion() -> None:
    """Titles are compared like names; what is empty in Entra keeps its last value here."""
    people = company(10)
    accounts = pushed(people, {"userName": "mail", "title": 'Append([jobTitle], "!")'})
    people[0] = person(people[0].id, mail="mail0@mail.example", jobTitle=None)
    found = check_mapping(
        accounts, by_id(people), Policy(mapping={"userName": "mail", "title": "jobTitle"})
    ).of("title")
    assert found is not None
    assert (found.agreeing, found.compared, found.suggestion) == (0, 9, None)
    assert found.sentence == (
        "title does not fit: 0 of 9 accounts hold what jobTitle gives; no other attribute was found that would."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "suggestion"),
    [
        ('Replace([mail], "@mail.example", , , "", , )', 'Replace([mail], "@mail.example", , , "", , )'),
        (
            'Replace([employeeId], "<value>", , , , , "E-<value>")',
            'Replace([employeeId], "<value>", , , , , "E-<value>")',
        ),
        ('Append([employeeId], "@staff.example")', 'Append([employeeId], "@staff.example")'),
        ("ToUpper([objectId])", "objectId"),
        ("Mid([employeeId], 2, 9)", None),
    ],
)
def test_a_constant_before_or_behind_is_found(source: str, suggestion: str | None) -> None:
    """A suffix of a sandbox, a prefix of a staff number, a domain that is stripped."""
    people = company(10)
    accounts = pushed(people, {"userName": "mail", "externalId": source})
    found = check_mapping(accounts, by_id(people), Policy()).of("externalId")
    assert found is not None
    assert (found.suggestion and found.suggestion.source) == suggestion


def test_with_fewer_than_three_nothing_is_known() -> None:
    """Unknown holds like not fitting."""
    people = company(2)
    fit = check_mapping(pushed(people, {"userName": "userPrincipalName"}), by_id(people), Policy())
    assert not fit.names_fit
    found = fit.of("userName")
    assert found is not None
    assert "only 2 accounts could be compared" in found.sentence


def test_accounts_are_joined_only_where_one_person_is_named() -> None:
    """A name of two people, and two names of different people, join nothing."""
    people = [*company(3), person("x", mail="shared@corp.example"), person("y", mail="shared@corp.example")]
    rows = [
        account("1", {"userName": "shared@corp.example"}),
        account("2", {"userName": "upn0@corp.example", "externalId": "nick1"}),
        account("3", {"userName": "upn2@corp.example", "externalId": "unheard-of"}),
        account("4", {"userName": "stranger"}),
    ]
    joined = join_accounts(rows, people)
    assert [(row.id, user.id) for row, user in joined.pairs] == [("3", people[2].id)]
    assert (joined.unmatched, joined.contradictory, joined.accounts) == (2, 1, 4)


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"proxyAddresses": ["SMTP:old@corp.example", "x500:/o=x"]}, "old@corp.example"),
        ({"otherMails": ["home@home.example"]}, "HOME@home.example"),
        ({"onPremisesSamAccountName": "alee"}, "alee"),
        ({"onPremisesImmutableId": "abc=="}, "abc=="),
        ({"userPrincipalName": "jane_x.example#EXT#@corp.onmicrosoft.com"}, "jane_x.example"),
    ],
)
def test_any_identifier_joins(properties: dict[str, JsonValue], name: str) -> None:
    """proxyAddresses, otherMails, on-premises ids, the stripped name of a guest."""
    user = person("ana", **properties)  # type: ignore[arg-type]
    assert join_accounts([account("1", {"userName": name})], [user]).pairs[0][1] is user


def test_emails_and_employee_number_join() -> None:
    """A name that nothing in Entra equals does not matter where the e-mail does."""
    people = company(2)
    extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    rows: Sequence[User] = [
        account("1", {"userName": "?1", "emails": [{"value": "mail0@mail.example"}, "odd"]}),
        account("2", {"userName": "?2", extension: {"employeeNumber": "70001"}}),
    ]
    assert [user for _, user in join_accounts(rows, people).pairs] == people


def test_a_name_on_which_both_sides_agreed_is_no_sign_of_a_foreign_mapping() -> None:
    """Drift is not a mapping that does not fit: six of twelve were renamed in Entra, and the push missed it."""
    people = company(12)
    pairs = zip(pushed(people, {"userName": "userPrincipalName"}), people, strict=True)
    written = [structs.replace(account, entra_object_id=user.id) for account, user in pairs]
    agreed = [structs.replace(account, agreed_user_name=account.user_name) for account in written]
    moved = [
        structs.replace(user, properties={**user.properties, "userPrincipalName": f"new{n}@corp.example"})
        if n < 6
        else user
        for n, user in enumerate(people)
    ]
    policy = Policy(mapping={"userName": "userPrincipalName"})
    assert check_mapping(agreed, by_id(moved), policy).misfits == frozenset()
    assert check_mapping(written, by_id(moved), policy).misfits == {"userName"}


def test_a_value_that_moved_in_entra_since_both_agreed_is_no_sign_of_a_foreign_mapping() -> None:
    """Three people have a title, and that of one changed in Entra: it is written in the same cycle."""
    people, policy = company(12), Policy(mapping={"userName": "userPrincipalName", "title": "jobTitle"})
    people[3:] = [
        structs.replace(user, properties={**user.properties, "jobTitle": None}) for user in people[3:]
    ]
    pairs = zip(pushed(people, dict(policy.mapping or {})), people, strict=True)
    accounts = [structs.replace(account, entra_object_id=user.id) for account, user in pairs]
    people[0] = structs.replace(people[0], properties={**people[0].properties, "jobTitle": "Chief"})
    assert check_mapping(accounts, by_id(people), policy).misfits == {"title"}
    assert not check_mapping(accounts, by_id(people), policy, agreed={"row0"}).misfits


def test_the_verdict_is_the_same_however_many_accounts_were_loaded() -> None:
    """Accounts that were left out count where their person has a value, and only there."""
    people, policy = company(12), Policy(mapping={"userName": "userPrincipalName", "title": "jobTitle"})
    people[3:] = [
        structs.replace(user, properties={**user.properties, "jobTitle": None}) for user in people[3:]
    ]
    pairs = zip(pushed(people, dict(policy.mapping or {})), people, strict=True)
    accounts = [structs.replace(account, entra_object_id=user.id) for account, user in pairs]
    people[0] = structs.replace(people[0], properties={**people[0].properties, "jobTitle": "Chief"})
    loaded = [accounts[0]]
    settled = {user.id for user in people[1:]}
    fit = check_mapping(loaded, by_id(people), policy, settled=settled).of("title")
    assert fit == check_mapping(accounts, by_id(people), policy).of("title")


def test_a_name_is_the_same_in_any_case_and_unicode_form() -> None:
    """The one notion of a name: what Entra spells otherwise is no misfit, in userName and externalId alike."""
    people = [
        person(f"id{n}", userPrincipalName=f"stra\u00dfe{n}@corp.example", mailNickname=f"Rene\u0301 {n}")
        for n in range(12)
    ]
    accounts = [
        account(
            f"row{n}",
            {"userName": f"STRASSE{n}@corp.example", "externalId": f"ren\u00e9 {n}", "active": True},
        )
        for n in range(12)
    ]
    assert check_mapping(accounts, by_id(people), Policy()).names_fit
