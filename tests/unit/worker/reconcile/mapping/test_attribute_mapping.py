"""The attribute mapping: what a Graph user should look like here."""

from __future__ import annotations

import pytest
from msgspec import structs

from store.records import Document, GraphId, JsonValue, Policy, ScopingClause
from tests.builders.reconcile.snapshots import person
from worker.reconcile.mapping.attribute_mapping import (
    DEFAULT_MAPPING,
    compile_mapping,
    required_graph_properties,
    wants_manager,
    write_paths,
)
from worker.reconcile.mapping.attribute_paths import ENTERPRISE, MANAGER, PolicyError

ANA = person(
    "ana",
    manager="bo",
    mail="ana@corp.example",
    jobTitle="Clerk",
    preferredLanguage="en-GB",
    givenName="Ana",
    surname="Lee",
    officeLocation="Pier 4",
    streetAddress="4 Pier Road",
    city="Leith",
    state="Lothian",
    postalCode="EH6",
    country="UK",
    businessPhones=["+44 131"],
    mobilePhone="+44 77",
    faxNumber="+44 99",
    employeeId="70113",
    department="Records",
    proxyAddresses=["SMTP:ana@corp.example"],
)


def held(graph_id: GraphId) -> str | None:
    """Bo is here."""
    return {"bo": "row-bo"}.get(graph_id)


def nobody(_graph_id: GraphId) -> None:
    return None


def test_the_default_mapping_gives_what_entras_push_would_send() -> None:
    """Default mappings of the non-gallery `scim` template, as the push renders them."""
    assert write_paths({}, compile_mapping(Policy()).wanted(ANA, held)) == {
        "userName": "ana@corp.example",
        "externalId": "ana",
        "displayName": "Ana",
        "title": "Clerk",
        "preferredLanguage": "en-GB",
        "name": {"givenName": "Ana", "familyName": "Lee", "formatted": "Ana Lee"},
        "emails": [{"type": "work", "primary": True, "value": "ana@corp.example"}],
        "addresses": [
            {
                "type": "work",
                "primary": False,
                "formatted": "Pier 4",
                "streetAddress": "4 Pier Road",
                "locality": "Leith",
                "region": "Lothian",
                "postalCode": "EH6",
                "country": "UK",
            }
        ],
        "phoneNumbers": [
            {"type": "work", "primary": True, "value": "+44 131"},
            {"type": "mobile", "primary": False, "value": "+44 77"},
            {"type": "fax", "primary": False, "value": "+44 99"},
        ],
        ENTERPRISE: {"employeeNumber": "70113", "department": "Records", "manager": {"value": "row-bo"}},
    }


def test_a_connections_own_mapping_takes_the_place_of_the_default() -> None:
    """Most vendors tell admins to map objectId to externalId."""
    mapping = compile_mapping(Policy(mapping={"userName": "mail", "externalId": "objectId", "active": "x("}))
    assert mapping.wanted(ANA, held) == {"userName": "ana@corp.example", "externalId": "ana"}
    assert mapping.user_name_property == "mail"


def test_a_mapping_without_user_name_is_refused() -> None:
    """SCIM requires a userName, and nobody could be matched without."""
    with pytest.raises(PolicyError, match="userName"):
        compile_mapping(Policy(mapping={"displayName": "displayName"}))


def test_only_attributes_that_differ_are_given() -> None:
    """Only mapped attributes are compared."""
    mapping = compile_mapping(Policy())
    document = write_paths({"nickName": "An"}, mapping.wanted(ANA, held))
    assert mapping.differences(ANA, document, held) == ({}, {})
    moved = structs.replace(ANA, properties={**ANA.properties, "city": "Oban", "businessPhones": ["+44 132"]})
    assert mapping.differences(moved, document, held) == (
        {'addresses[type eq "work"].locality': "Leith", 'phoneNumbers[type eq "work"].value': "+44 131"},
        {'addresses[type eq "work"].locality': "Oban", 'phoneNumbers[type eq "work"].value': "+44 132"},
    )


def test_letter_case_of_a_user_name_is_compared() -> None:
    """Matching ignores letter case; what is shown should still be what Entra shows."""
    mapping = compile_mapping(Policy(mapping={"userName": "userPrincipalName"}))
    before, after = mapping.differences(ANA, {"userName": "ANA@corp.example"}, held)
    assert (before, after) == ({"userName": "ANA@corp.example"}, {"userName": "ana@corp.example"})


@pytest.mark.parametrize(
    ("clear", "after"),
    [
        pytest.param(False, {}, id="kept"),
        pytest.param(True, {"title": None, MANAGER: None}, id="cleared"),
    ],
)
def test_what_is_emptied_in_entra_is_cleared_only_by_policy(clear: bool, after: dict[str, JsonValue]) -> None:
    """Nulls: an attribute that becomes empty in Entra is *not sent*: the old value stays in the app."""
    mapping = compile_mapping(
        Policy(
            mapping={"userName": "userPrincipalName", "title": "jobTitle", MANAGER: "manager"},
            clear_emptied_attributes=clear,
        )
    )
    document: Document = {
        "userName": "bo@corp.example",
        "title": "Boss",
        ENTERPRISE: {"manager": {"value": "row-ana"}},
    }
    assert mapping.differences(person("bo"), document, held)[1] == after


def test_what_is_empty_on_both_sides_is_no_difference() -> None:
    """Clearing what is not there, or is an empty text, changes nothing and is not drift."""
    mapping = compile_mapping(Policy(clear_emptied_attributes=True))
    document: Document = {"userName": "bo@corp.example", "externalId": "bo", "displayName": "Bo", "title": ""}
    assert mapping.differences(person("bo"), document, held) == ({}, {})


def test_a_user_name_is_never_cleared() -> None:
    """The source value null: the object is skipped; a row without userName cannot be."""
    mapping = compile_mapping(Policy(mapping={"userName": "mail"}, clear_emptied_attributes=True))
    assert mapping.differences(person("bo"), {"userName": "bo@corp.example"}, held) == ({}, {})


@pytest.mark.parametrize("clear", [False, True])
def test_a_manager_whom_we_do_not_hold_is_not_compared(clear: bool) -> None:
    """Manager or member that comes into scope later is not linked until then: a reference needs a row."""
    mapping = compile_mapping(
        Policy(mapping={"userName": "userPrincipalName", MANAGER: "manager"}, clear_emptied_attributes=clear)
    )
    document: Document = {"userName": "ana@corp.example", ENTERPRISE: {"manager": {"value": "row-cy"}}}
    assert mapping.differences(ANA, document, nobody) == ({}, {})
    assert mapping.wanted(ANA, nobody) == {"userName": "ana@corp.example"}


def test_a_manager_held_as_bare_text_is_no_difference() -> None:
    """Entra's PATCH sends the manager as a plain text, and a server may keep it so."""
    mapping = compile_mapping(Policy(mapping={"userName": "userPrincipalName", MANAGER: "manager"}))
    document: Document = {"userName": "ana@corp.example", ENTERPRISE: {"manager": "row-bo"}}
    assert mapping.differences(ANA, document, held) == ({}, {})


def test_the_reader_is_told_everything_that_is_needed() -> None:
    """`accountEnabled` is not among Graph's default properties; mapping, matching, filters need more."""
    filters = ((ScopingClause("companyName", "EQUALS", "Fabrikam"),),)
    policy = Policy(mapping={"userName": "mail", "title": "mobile"}, scoping_filters=filters)
    assert required_graph_properties(policy) == {
        "createdDateTime",
        "id",
        "accountEnabled",
        "userPrincipalName",
        "mailNickname",
        "mail",
        "employeeId",
        "mobilePhone",
        "companyName",
    }
    assert not wants_manager(policy)
    assert wants_manager(Policy())
    assert "manager" not in required_graph_properties(Policy())


def test_the_default_names_only_graphs_own_properties() -> None:
    """`$select` refuses a name that Graph does not know."""
    assert "proxyAddresses" not in str(dict(DEFAULT_MAPPING))
    assert required_graph_properties(Policy()) >= {
        "businessPhones",
        "officeLocation",
        "faxNumber",
        "mobilePhone",
    }


def test_an_expression_for_user_name_cannot_be_looked_up() -> None:
    """Only a userName that is one property can be searched for in Graph."""
    mapping = compile_mapping(Policy(mapping={"userName": "ToLower([mail])"}))
    assert mapping.user_name_property is None
