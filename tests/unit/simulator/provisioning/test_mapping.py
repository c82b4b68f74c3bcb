"""Entra's default attribute mapping: from Graph properties to the bodies that create users and groups."""

from typing import Any

import pytest

from simulator.provisioning.expression import BadExpression, evaluate
from simulator.provisioning.mapping import (
    DEFAULT_GROUP_MAPPING,
    DEFAULT_USER_MAPPING,
    edit,
    group_body,
    map_attributes,
    matching_paths,
    user_body,
    with_matching,
)
from simulator.provisioning.paths import get, put

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

FULL = {
    "id": "0c7f6a1e-57d2-4f4a-9f2b-3d1e5a7b9c02",
    "IsSoftDeleted": False,
    "accountEnabled": True,
    "userPrincipalName": "mia.torv@fabrikam-demo.example",
    "mailNickname": "miatorv",
    "displayName": "Mia Torv",
    "givenName": "Mia",
    "surname": "Torv",
    "mail": "mia.torv@fabrikam-demo.example",
    "jobTitle": "Surveyor",
    "preferredLanguage": "nb-NO",
    "officeLocation": "Quay 9",
    "streetAddress": "9 Quay Street",
    "city": "Bergen",
    "state": "Vestland",
    "postalCode": "5003",
    "country": "Norway",
    "businessPhones": ["+47 55 55 00 01"],
    "mobilePhone": "+47 900 00 001",
    "faxNumber": "+47 55 55 00 02",
    "employeeId": "80220",
    "department": "Harbour",
}


def created(source: dict[str, Any]) -> dict[str, Any]:
    return user_body(map_attributes(DEFAULT_USER_MAPPING, source))


def test_a_full_user_is_created_with_every_default_attribute() -> None:
    """S16: create with the full default mapping; element shapes as documented."""
    assert created(FULL) == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "meta": {"resourceType": "User"},
        "roles": [],
        "externalId": "miatorv",
        "userName": "mia.torv@fabrikam-demo.example",
        "active": True,
        "displayName": "Mia Torv",
        "title": "Surveyor",
        "preferredLanguage": "nb-NO",
        "name": {"formatted": "Mia Torv", "familyName": "Torv", "givenName": "Mia"},
        "emails": [{"primary": True, "type": "work", "value": "mia.torv@fabrikam-demo.example"}],
        "addresses": [
            {
                "primary": False,
                "type": "work",
                "formatted": "Quay 9",
                "streetAddress": "9 Quay Street",
                "locality": "Bergen",
                "region": "Vestland",
                "postalCode": "5003",
                "country": "Norway",
            }
        ],
        "phoneNumbers": [
            {"primary": True, "type": "work", "value": "+47 55 55 00 01"},
            {"primary": False, "type": "mobile", "value": "+47 900 00 001"},
            {"primary": False, "type": "fax", "value": "+47 55 55 00 02"},
        ],
        ENTERPRISE: {"employeeNumber": "80220", "department": "Harbour"},
    }


def test_a_sparse_user_is_created_with_the_documented_minimum() -> None:
    """S15: `active` is a boolean on create; `meta` and an empty `roles` array are present."""
    names = ("userPrincipalName", "mailNickname", "mail", "givenName", "surname", "IsSoftDeleted")
    assert created({name: FULL[name] for name in names}) == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": "miatorv",
        "userName": "mia.torv@fabrikam-demo.example",
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": "mia.torv@fabrikam-demo.example"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Mia Torv", "familyName": "Torv", "givenName": "Mia"},
        "roles": [],
    }


@pytest.mark.parametrize("empty", [None, "", []])
def test_an_empty_property_is_not_mapped_at_all(empty: Any) -> None:
    """MAP: an attribute that becomes empty in Entra is not sent."""
    values = map_attributes(DEFAULT_USER_MAPPING, {**FULL, "businessPhones": empty, "jobTitle": empty})
    assert 'phoneNumbers[type eq "work"].value' not in values
    assert "title" not in values


def test_a_custom_extension_is_filled_but_not_listed() -> None:
    """S18: the custom URN is absent from `schemas`."""
    custom = "urn:ietf:params:scim:schemas:extension:Fabrikam:2.0:User"
    mapping = edit(DEFAULT_USER_MAPPING, {f"{custom}:badge": "employeeId"})
    body = user_body(map_attributes(mapping, FULL))
    assert body[custom] == {"badge": "80220"}
    assert custom not in body["schemas"]


@pytest.mark.parametrize(("soft_deleted", "active"), [(False, "True"), (True, "False")])
def test_active_is_the_opposite_of_is_soft_deleted(soft_deleted: bool, active: str) -> None:
    """§8: the Switch expression yields the strings True and False."""
    assert map_attributes(DEFAULT_USER_MAPPING, {**FULL, "IsSoftDeleted": soft_deleted})["active"] == active


def test_a_guest_loses_the_ext_mark_and_the_tenants_domain() -> None:
    """§8: B2B guests: `#EXT#` and tenant domain stripped; originalUserPrincipalName gives the raw one."""
    guest = {**FULL, "userPrincipalName": "ann_contoso.example#EXT#@fabrikam-demo.example"}
    mapping = edit(DEFAULT_USER_MAPPING, {"nickName": "originalUserPrincipalName"})
    values = map_attributes(mapping, guest)
    assert values["userName"] == "ann_contoso.example"
    assert values["nickName"] == "ann_contoso.example#EXT#@fabrikam-demo.example"


def test_a_group_is_created_empty_with_the_object_id_as_external_id() -> None:
    """S44: no members in the request, and the old Microsoft schema is still listed."""
    group = {"id": "9e0d3c52-7b1a-4f86-a2c4-3d5e6f708192", "displayName": "Dock Crew", "description": "x"}
    assert group_body(map_attributes(DEFAULT_GROUP_MAPPING, group)) == {
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:Group",
            "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group",
        ],
        "externalId": "9e0d3c52-7b1a-4f86-a2c4-3d5e6f708192",
        "displayName": "Dock Crew",
        "meta": {"resourceType": "Group"},
    }


def test_an_edited_mapping_keeps_the_matching_order() -> None:
    """Most vendors tell admins to map objectId to externalId; userName still matches first."""
    mapping = edit(DEFAULT_USER_MAPPING, {"externalId": "objectId", "userName": "mail", "title": None})
    values = map_attributes(mapping, FULL)
    assert values["externalId"] == FULL["id"]
    assert "title" not in values
    assert matching_paths(mapping) == ["userName"]
    assert matching_paths(with_matching(mapping, ["externalId", "userName"])) == ["externalId", "userName"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        pytest.param("[a]", "one", id="attribute"),
        pytest.param("a", "one", id="bare attribute"),
        pytest.param('"b"', "b", id="constant"),
        pytest.param('Join("-", [a], [none], [b])', "one-TWO", id="join skips the empty"),
        pytest.param('Switch([b], "?", "ONE", "1", "TWO", "2")', "2", id="switch"),
        pytest.param('Switch([a], , "x", "1")', None, id="switch without default"),
        pytest.param('ToLower(Append([b], "!"))', "two!", id="nested"),
        pytest.param('ToUpper("straße")', "STRAßE", id="letter by letter, as .NET"),
        pytest.param("Coalesce([none], [b])", "TWO", id="coalesce"),
    ],
)
def test_expressions_give_what_entra_would(expression: str, value: str | None) -> None:
    """Reference for writing expressions: functions over source attributes."""
    assert evaluate(expression, {"a": "one", "b": "TWO"}.get) == value


@pytest.mark.parametrize(
    "expression", ["", "Join(", "Nope([a])", "[a] [b]", "Join([a]]", "(,)", "Switch([a])"]
)
def test_a_broken_expression_is_refused_and_shown(expression: str) -> None:
    """A message says what is wrong with which expression."""
    with pytest.raises(BadExpression, match=r"expression|unknown function|does not take"):
        evaluate(expression, lambda _: None)


def test_a_broken_expression_never_gets_into_a_mapping() -> None:
    """What an admin types is checked when it is typed, not in the middle of a cycle."""
    with pytest.raises(BadExpression):
        edit(DEFAULT_USER_MAPPING, {"title": "Join("})


def test_extension_attributes_of_a_synced_person_can_be_mapped() -> None:
    """Graph keeps extensionAttribute1 to 15 inside onPremisesExtensionAttributes."""
    mapping = edit(DEFAULT_USER_MAPPING, {"nickName": "extensionAttribute3"})
    source = {**FULL, "onPremisesExtensionAttributes": {"extensionAttribute3": "Mi"}}
    assert map_attributes(mapping, source)["nickName"] == "Mi"
    assert "nickName" not in map_attributes(mapping, FULL)


def test_a_path_reads_back_what_it_wrote() -> None:
    """Reading the target before a PATCH looks where the create wrote."""
    resource: dict[str, Any] = {}
    for path in (
        "title",
        "name.givenName",
        'emails[type eq "work"].value',
        f"{ENTERPRISE}:department",
    ):
        assert get(resource, path) is None
        put(resource, path, "x")
        assert get(resource, path) == "x"
