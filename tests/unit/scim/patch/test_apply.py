"""PATCH on documents: RFC 7644 §3.5.2 and what Entra sends beside it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import SCIMException

from scim.limits import ScimLimits
from scim.patch.apply import apply, read_resource
from scim.patch.operations import read_patch
from scim.schema.definitions import ENTERPRISE_URN, group_shape, user_shape
from tests.builders.examples import examples

CUSTOM_URN = "urn:ietf:params:scim:schemas:extension:Fabrikam:2.0:User"
ADA = {
    "userName": "ada@example.com",
    "active": True,
    "name": {"givenName": "Ada", "familyName": "Marsh"},
    "emails": [{"type": "work", "value": "ada@example.com", "primary": True}],
    ENTERPRISE_URN: {"department": "Records", "manager": {"value": "m1"}},
}


def patched(*operations: dict[str, Any], document: dict[str, Any] | None = None) -> dict[str, Any]:
    asked = read_patch(user_shape(), {"Operations": list(operations)})
    return apply(user_shape(), ADA if document is None else document, asked.operations)


def refused(*operations: dict[str, Any], document: dict[str, Any] | None = None) -> SCIMException:
    with pytest.raises(SCIMException) as caught:
        patched(*operations, document=document)
    return caught.value


def test_the_document_given_is_not_touched() -> None:
    """RFC 7644 §3.5.2: if one operation fails, the resource is as it was before."""
    patched({"op": "replace", "path": "name.givenName", "value": "Bo"}, {"op": "remove", "path": "emails"})
    assert ADA["name"] == {"givenName": "Ada", "familyName": "Marsh"}
    assert ADA["emails"] == [{"type": "work", "value": "ada@example.com", "primary": True}]


@pytest.mark.parametrize("op", ["replace", "Replace", "REPLACE"])
def test_operations_are_read_whatever_their_case(op: str) -> None:
    """Entra SCIM page, General: "Microsoft Entra ID emits the values of op as Add, Replace, and Remove"."""
    assert patched({"op": op, "path": "title", "value": "Archivist"})["title"] == "Archivist"


def test_the_dialect_is_told_by_the_case_of_its_operations() -> None:
    entra = read_patch(user_shape(), {"Operations": [{"op": "Add", "path": "title", "value": "x"}]})
    flagged = read_patch(user_shape(), {"Operations": [{"op": "add", "path": "title", "value": "x"}]})
    assert (entra.dialect, flagged.dialect) == ("entra", "rfc")


@pytest.mark.parametrize(
    ("value", "active"), [("False", False), ("false", False), (False, False), ("True", True), (True, True)]
)
def test_active_is_read_from_strings_and_booleans(value: Any, active: bool) -> None:
    """Compliance page, "disable user": the default dialect sends the string "False"."""
    assert patched({"op": "Replace", "path": "active", "value": value})["active"] is active


@pytest.mark.parametrize("value", [None, "", "no", 0, [], {}])
def test_active_is_never_cleared_or_guessed(value: Any) -> None:
    """A user without `active` would be taken for an active one."""
    assert refused({"op": "Replace", "path": "active", "value": value}).status == 400


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": 'Emails[Type Eq "Work"].Value', "value": "new@x.example"},
        {"op": "replace", "path": 'emails[ type eq "work" ].value', "value": "new@x.example"},
        {"op": "replace", "path": 'emails[primary eq "True"].value', "value": "new@x.example"},
        {
            "op": "replace",
            "path": 'emails[type eq "work" and primary eq true].value',
            "value": "new@x.example",
        },
        {"op": "replace", "path": 'emails[type eq "home" or type eq "work"].value', "value": "new@x.example"},
        {"op": "replace", "path": "", "value": {'emails[type eq "work"].value': "new@x.example"}},
        {"op": "replace", "path": None, "value": {'emails[type eq "work"].value': "new@x.example"}},
        {
            "op": "replace",
            "path": "emails",
            "value": {"type": "work", "value": "new@x.example", "primary": True},
        },
    ],
)
def test_one_address_is_changed_in_the_shapes_of_every_provider(operation: dict[str, Any]) -> None:
    """Okta, OneLogin, JumpCloud, Ping, Google, Oracle (scimgateway#58) and both dialects of Entra."""
    assert patched(operation)["emails"] == [{"type": "work", "value": "new@x.example", "primary": True}]


@pytest.mark.parametrize("value", ["Archivist", ["Archivist"], [{"$ref": None, "value": "Archivist"}]])
@pytest.mark.parametrize("path", ["title", "name.middleName", 'phoneNumbers[type eq "work"].value'])
def test_one_value_may_come_in_a_list_of_one(path: str, value: Any) -> None:
    """The older form of Entra's SCIM page, for names of groups too: SCIM-SDK#47 met the list."""
    plain = {"op": "Replace", "path": path, "value": "Archivist"}
    assert patched({"op": "Replace", "path": path, "value": value}) == patched(plain)


@pytest.mark.parametrize(
    "value", [["a", "b"], [None], [""], [{"value": None}], [{"value": ["a"]}], [{"id": 1}]]
)
def test_a_list_without_one_value_is_refused_for_an_attribute_that_has_one(value: Any) -> None:
    """Not understood is not empty (issue 10, A)."""
    assert refused({"op": "Replace", "path": "title", "value": value}).scim_type == "invalidValue"


@pytest.mark.parametrize("number", [2**63, -(2**70), float("inf"), float("nan")])
@pytest.mark.parametrize("path", ["userName", "emails", f"{CUSTOM_URN}:level", "active", "x509Certificates"])
def test_a_number_beyond_64_bits_is_refused_wherever_it_stands(path: str, number: float) -> None:
    """No database keeps it. A request brings none (`read_json`); a program that calls the library may."""
    for value in (number, [number], [{"value": number}]):
        assert refused({"op": "add", "path": path, "value": value}).status == 400


def test_active_cannot_be_removed() -> None:
    assert refused({"op": "Remove", "path": "active"}).scim_type == "mutability"


def test_a_value_path_writes_the_value_it_selects() -> None:
    after = patched({"op": "Replace", "path": 'emails[type eq "work"].value', "value": "bo@example.com"})
    assert after["emails"] == [{"type": "work", "value": "bo@example.com", "primary": True}]


@pytest.mark.parametrize("op", ["Add", "Replace"])
def test_a_value_path_that_selects_nothing_creates_what_it_describes(op: str) -> None:
    """Entra adds `phoneNumbers[type eq "mobile"].value` to users without one (RFC 7644 would say noTarget)."""
    after = patched({"op": op, "path": 'phoneNumbers[type eq "mobile"].value', "value": "1"})
    assert after["phoneNumbers"] == [{"type": "mobile", "value": "1"}]


def test_a_filter_that_describes_no_value_has_no_target() -> None:
    """RFC 7644 §3.5.2.3: a filter that yields no match is answered with noTarget."""
    operation = {"op": "replace", "path": 'emails[value co "nobody"].display', "value": "X"}
    assert refused(operation).scim_type == "noTarget"


def test_roles_are_selected_by_a_string_that_means_a_boolean() -> None:
    """Mapping page, SingleAppRoleAssignment: the target is `roles[primary eq "True"].value`."""
    created = patched({"op": "Add", "path": 'roles[primary eq "True"].value', "value": "Admin"})
    assert created["roles"] == [{"primary": True, "value": "Admin"}]
    changed = patched(
        {"op": "Add", "path": 'roles[primary eq "True"].value', "value": "User"}, document=created
    )
    assert changed["roles"] == [{"primary": True, "value": "User"}]


def test_a_role_is_unpacked_from_json_in_a_string() -> None:
    """Mapping page, AppRoleAssignmentsComplex: PATCH sends the role as text."""
    packed = '{"id":"06b0","value":"25","displayName":"Role25"}'
    after = patched({"op": "Add", "path": "roles", "value": [{"value": packed}]})
    assert after["roles"] == [{"value": "25", "display": "Role25"}]


def test_text_that_only_looks_like_json_stays_text() -> None:
    after = patched({"op": "Add", "path": "roles", "value": [{"value": "{not json}"}]})
    assert after["roles"] == [{"value": "{not json}"}]


def test_a_path_less_replace_takes_dotted_names_and_urns_as_paths() -> None:
    """Compliance page, aadOptscim062020: several attributes come merged in one replace without a path."""
    after = patched(
        {
            "op": "replace",
            "value": {
                "name.familyName": "Brook",
                f"{ENTERPRISE_URN}:employeeNumber": "70114",
                "title": "Archivist",
            },
        }
    )
    assert after["name"] == {"givenName": "Ada", "familyName": "Brook"}
    assert after[ENTERPRISE_URN]["employeeNumber"] == "70114"
    assert after[ENTERPRISE_URN]["department"] == "Records"
    assert after["title"] == "Archivist"


def test_a_path_less_replace_merges_complex_attributes() -> None:
    """RFC 7644 §3.5.2.3: sub-attributes that are not named are left unchanged."""
    after = patched(
        {"op": "replace", "value": {"name": {"givenName": "Bo"}, ENTERPRISE_URN: {"division": "D"}}}
    )
    assert after["name"] == {"givenName": "Bo", "familyName": "Marsh"}
    assert after[ENTERPRISE_URN] == {"department": "Records", "manager": {"value": "m1"}, "division": "D"}


@pytest.mark.parametrize(
    "path",
    [
        f"{ENTERPRISE_URN}:department",
        f"{ENTERPRISE_URN}.department",
        f"{ENTERPRISE_URN.upper()}:DEPARTMENT",
        "department",
    ],
)
def test_enterprise_attributes_are_found_however_they_are_qualified(path: str) -> None:
    """Compliance page: before December 2018 a dot stood for the colon; older tutorials leave the URN out."""
    assert patched({"op": "Replace", "path": path, "value": "Law"})[ENTERPRISE_URN]["department"] == "Law"


@pytest.mark.parametrize("value", ["m2", {"value": "m2"}, [{"value": "m2"}], {"value": "m2", "$ref": None}])
@pytest.mark.parametrize("path", [f"{ENTERPRISE_URN}:manager", "manager"])
def test_a_manager_is_one_object_however_it_was_sent(value: Any, path: str) -> None:
    """Validator: a bare id; older Entra SCIM page: an array; RFC 7643 §4.3: an object."""
    assert patched({"op": "Add", "path": path, "value": value})[ENTERPRISE_URN]["manager"] == {"value": "m2"}


def test_another_manager_brings_no_reference_of_the_former_one() -> None:
    referred = {**ADA, ENTERPRISE_URN: {"manager": {"value": "m1", "$ref": "https://example.com/Users/m1"}}}
    after = patched({"op": "Replace", "path": f"{ENTERPRISE_URN}:manager", "value": "m2"}, document=referred)
    assert after[ENTERPRISE_URN] == {"manager": {"value": "m2"}}


@pytest.mark.parametrize("value", ["", None, []])
def test_an_empty_manager_clears_the_manager(value: Any) -> None:
    """Logic App validator, Update_Manager: the last step replaces the manager with the empty string."""
    after = patched({"op": "Replace", "path": f"{ENTERPRISE_URN}:manager", "value": value})
    assert after[ENTERPRISE_URN] == {"department": "Records"}


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_value_clears_an_attribute(value: Any) -> None:
    """Logic App validator, SCIM_Null_Update: an attribute set to "" or null reads back empty."""
    titled = {**ADA, "title": "Archivist"}
    assert "title" not in patched({"op": "Replace", "path": "title", "value": value}, document=titled)


def test_a_value_that_was_emptied_leaves_no_label_behind() -> None:
    after = patched({"op": "Replace", "path": 'emails[type eq "work"].value', "value": ""})
    assert "emails" not in after


def test_a_user_name_cannot_be_cleared() -> None:
    assert refused({"op": "Replace", "path": "userName", "value": ""}).scim_type == "invalidValue"


def test_remove_with_a_value_removes_only_what_it_lists() -> None:
    """Compliance page, "remove member": the value of a Remove names what to remove."""
    roles = {**ADA, "roles": [{"value": "a"}, {"value": "b"}]}
    after = patched({"op": "Remove", "path": "roles", "value": [{"value": "A"}]}, document=roles)
    assert after["roles"] == [{"value": "b"}]


def test_remove_by_filter_removes_the_attribute_with_its_last_value() -> None:
    """RFC 7644 §3.5.2.2: if no other values remain, the attribute is unassigned."""
    assert "emails" not in patched({"op": "remove", "path": 'emails[type eq "WORK"]'})


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert patched({"op": "remove", "path": "title"}, {"op": "remove", "path": 'ims[type eq "x"]'}) == ADA


def test_remove_without_a_path_has_no_target() -> None:
    """RFC 7644 §3.5.2.2: if "path" is unspecified, the operation fails with noTarget."""
    assert refused({"op": "remove"}).scim_type == "noTarget"


def test_adding_a_value_twice_adds_it_once() -> None:
    """RFC 7644 §3.5.2.1: if the value already exists, no changes should be made."""
    role = {"op": "add", "path": "roles", "value": [{"value": "Admin"}]}
    assert patched(role, role)["roles"] == [{"value": "Admin"}]


def test_a_new_primary_value_unmarks_the_former_one() -> None:
    """RFC 7644 §3.5.2: setting primary to true sets the others' to false."""
    home = {"type": "home", "value": "ada@home.example", "primary": True}
    added = patched({"op": "add", "path": "emails", "value": [home]})
    assert [each["primary"] for each in added["emails"]] == [False, True]
    back = patched(
        {"op": "replace", "path": 'emails[type eq "work"].primary', "value": "True"}, document=added
    )
    assert [each["primary"] for each in back["emails"]] == [True, False]


def test_two_primary_values_are_refused() -> None:
    """RFC 7643 §2.4: the primary attribute value true must appear no more than once."""
    twice = [{"value": "a@x.example", "primary": True}, {"value": "b@x.example", "primary": True}]
    assert refused({"op": "replace", "path": "emails", "value": twice}).scim_type == "invalidValue"


@pytest.mark.parametrize("path", ["id", "meta.version", "groups"])
def test_read_only_attributes_cannot_be_patched(path: str) -> None:
    """RFC 7644 §3.5.2: a change of a readOnly attribute is answered with mutability."""
    assert refused({"op": "replace", "path": path, "value": "x"}).scim_type == "mutability"


@pytest.mark.parametrize("path", ["emails[", "emails[type eq]", "1x", "a.b.c", 'emails[type eq "x"', " "])
def test_what_is_no_path_is_invalid(path: str) -> None:
    assert refused({"op": "replace", "path": path, "value": "x"}).scim_type == "invalidPath"


def test_a_filter_on_a_single_value_is_an_invalid_path() -> None:
    assert (
        refused({"op": "replace", "path": 'name[givenName eq "x"]', "value": "x"}).scim_type == "invalidPath"
    )


@pytest.mark.parametrize(
    "path", ["favouriteColour", "emails.colour", "urn:example:unknown:2.0:attr", 'x[y eq "z"].v']
)
def test_attributes_no_schema_declares_are_ignored_and_named(path: str) -> None:
    """RFC 7644 §3.3 lets a server ignore them; the log names them, so that the admin finds the wrong mapping."""
    asked = read_patch(user_shape(), {"Operations": [{"op": "Add", "path": path, "value": "x"}]})
    assert asked.operations == ()
    assert asked.ignored == (path,)


def test_a_custom_extension_of_entras_pattern_is_kept() -> None:
    """Mapping page: custom attributes are
    `urn:ietf:params:scim:schemas:extension:{Name}:2.0:User:{attribute}`."""
    after = patched({"op": "Add", "path": f"{CUSTOM_URN}:badgeColour", "value": "blue"})
    assert after[CUSTOM_URN] == {"badgeColour": "blue"}
    cleared = patched({"op": "Replace", "path": f"{CUSTOM_URN}:badgeColour", "value": ""}, document=after)
    assert CUSTOM_URN not in cleared


def test_a_whole_extension_can_be_removed() -> None:
    assert ENTERPRISE_URN not in patched({"op": "remove", "path": ENTERPRISE_URN})


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"Operations": {}},
        {"Operations": ["x"]},
        {"Operations": [{"op": "move", "path": "title", "value": 1}]},
        {"Operations": [{"path": "title", "value": 1}]},
        {"Operations": [{"op": "add", "path": "title"}]},
        {"Operations": [{"op": "add", "path": 5, "value": 1}]},
        {"Operations": [{"op": "add", "value": "x"}]},
        {"Operations": [{"op": "add", "path": "title", "value": {"a": 1}}]},
    ],
)
def test_what_is_no_patch_is_a_client_error(body: Any) -> None:
    with pytest.raises(SCIMException) as caught:
        apply(user_shape(), ADA, read_patch(user_shape(), body).operations)
    assert caught.value.status == 400


TITLE = {"op": "replace", "path": "title", "value": "Archivist"}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "title", "value": ["x", "y"]},
        {"op": "move", "path": "title", "value": "x"},
        {"op": "remove", "path": "userName"},
        {"op": "add", "path": "emails[", "value": "x"},
        {"op": "replace", "value": {"title": "x", "emails": 5}},
        {"op": "replace", "path": 'emails[value co "nobody"].display', "value": "X"},
    ],
)
def test_an_error_names_the_operation_it_is_about(operation: dict[str, Any]) -> None:
    """With the flag aadOptscim062020 one request has many operations; the log has to tell which was refused."""
    assert refused(TITLE, TITLE, operation).detail.startswith("Operations[2]: ")


def test_a_value_is_refused_before_any_document_is_read() -> None:
    """Values are parsed where the operation is read: a retried transaction never parses them again."""
    with pytest.raises(SCIMException, match=r"Operations\[0\]: 'title' must be a string"):
        read_patch(user_shape(), {"Operations": [{**TITLE, "value": {"x": 1}}]})


def test_operations_are_the_same_after_they_were_applied() -> None:
    """The store may apply them again, to a newer document, when a transaction is retried."""
    home = {"type": "home", "value": "ada@home.example", "primary": True}
    body = {
        "Operations": [
            {"op": "replace", "path": "emails", "value": [home]},
            {"op": "replace", "path": 'emails[type eq "home"].value', "value": "changed@home.example"},
            {
                "op": "add",
                "path": "emails",
                "value": [{"type": "work", "value": "w@x.example", "primary": True}],
            },
            {"op": "add", "path": "name", "value": {"givenName": "Bo"}},
        ]
    }
    operations = read_patch(user_shape(), body).operations
    assert apply(user_shape(), ADA, operations) == apply(user_shape(), ADA, operations)
    assert operations == read_patch(user_shape(), body).operations


def test_too_many_operations_are_refused() -> None:
    many = {"Operations": [{"op": "add", "path": "title", "value": "x"}] * 3}
    with pytest.raises(SCIMException, match="3 operations"):
        read_patch(user_shape(), many, ScimLimits(max_patch_operations=2))


def test_a_creation_keeps_what_the_schema_declares_in_its_spelling() -> None:
    """RFC 7643 §2.1: attribute names are case-insensitive; they are stored as the schema spells them."""
    document, ignored = read_resource(
        user_shape(),
        {
            "schemas": ["anything"],
            "USERNAME": "ada",
            "id": "mine",
            "meta": {"resourceType": "User"},
            "groups": [{"value": "g"}],
            "password": "secret",
            "emails": [{"Primary": True, "TYPE": "work", "value": "a@x.example", "colour": "red"}],
            "favouriteColour": "red",
            "roles": [],
            "title": None,
        },
    )
    assert document == {
        "userName": "ada",
        "emails": [{"primary": True, "type": "work", "value": "a@x.example"}],
    }
    assert ignored == ("favouriteColour",)


def test_the_malformed_enterprise_urn_is_repaired() -> None:
    """Captured creations carry `…:enterprise:2.0User`, without the last colon."""
    malformed = ENTERPRISE_URN.replace("2.0:User", "2.0User")
    document, _ = read_resource(
        user_shape(), {"userName": "ada", malformed: {"department": "Law", "manager": "m1"}}
    )
    assert document[ENTERPRISE_URN] == {"department": "Law", "manager": {"value": "m1"}}


@pytest.mark.parametrize("body", [None, [], "x", {}, {"userName": ""}, {"userName": ["x"]}])
def test_a_creation_without_a_user_name_is_refused(body: Any) -> None:
    with pytest.raises(SCIMException) as caught:
        read_resource(user_shape(), body)
    assert caught.value.status == 400


def test_a_refused_value_is_not_repeated_in_the_error() -> None:
    """Design §7, I9: no personal data in errors."""
    error = refused({"op": "add", "path": "title", "value": ["Ada's secret", "another"]})
    assert "secret" not in error.detail


PERSON = {
    **ADA,
    "addresses": [{"type": "work", "locality": "Ulm"}],
    "roles": [{"value": "Reader"}, {"value": "Editor"}],
}
UNREADABLE = [
    ("name", "Ada Marsh"),
    ("name", ["Ada", "Marsh"]),
    ("name", {"first": "Ada"}),
    ("addresses", "Main Street 1"),
    ("addresses", [{"city": "Ulm"}]),
    ("emails", [{"email": "ada@example.com"}]),
    ("emails", [{"type": "work", "email": "ada@example.com"}]),
    ("emails", {"emails": [{"value": None}]}),
    ("emails", [None]),
    ("emails", [{}]),
    ("emails", [{"value": "ada@example.com"}, {}]),
    ("roles", [[]]),
    ("manager", [None]),
    ("manager", {"id": "m2"}),
    ("manager", [{}]),
    ("manager", [{"value": "m2"}, {"value": "m3"}]),
]


@pytest.mark.parametrize("op", ["add", "replace"])
@pytest.mark.parametrize(("path", "value"), UNREADABLE)
def test_a_value_that_is_not_understood_is_refused(op: str, path: str, value: Any) -> None:
    """Of a value that is not empty something has to be understood; it never deletes what was there."""
    for operation in ({"op": op, "path": path, "value": value}, {"op": op, "value": {path: value}}):
        error = refused(TITLE, operation, document=PERSON)
        assert error.scim_type == "invalidValue"
        assert error.detail.startswith("Operations[1]: ")
        assert f"'{path}'" in error.detail


@pytest.mark.parametrize(("path", "value"), UNREADABLE)
def test_a_resource_with_a_value_that_is_not_understood_is_refused(path: str, value: Any) -> None:
    """A PUT would delete the attribute otherwise; a POST would lose it without a word."""
    with pytest.raises(SCIMException, match=f"'{path}'"):
        read_resource(user_shape(), {"userName": "ada", path: value})


@pytest.mark.parametrize(
    "value", ["", [{"value": ""}], [{"type": "work", "value": None}], [{"type": "work"}]]
)
def test_a_list_is_not_replaced_by_empty_elements(value: Any) -> None:
    """Only null and [] empty a list: the rest may be a client that lost the values."""
    assert refused({"op": "replace", "path": "emails", "value": value}).scim_type == "invalidValue"


@pytest.mark.parametrize("operation", [{"path": "name", "value": ""}, {"value": {"name": ""}}])
def test_an_object_is_not_cleared_by_the_empty_string(operation: dict[str, Any]) -> None:
    """Entra clears the manager so, and plain values; an object that became "" may be a client's fault."""
    assert refused({"op": "replace", **operation}).scim_type == "invalidValue"
    referred = {**ADA, ENTERPRISE_URN: {"manager": {"value": "m1"}}}
    cleared = patched({"op": "replace", "path": "manager", "value": ""}, document=referred)
    assert ENTERPRISE_URN not in cleared


@pytest.mark.parametrize("value", [None, []])
def test_null_and_the_empty_list_empty_a_list(value: Any) -> None:
    assert "emails" not in patched({"op": "replace", "path": "emails", "value": value})


def test_an_empty_element_in_a_creation_is_no_value() -> None:
    """Entra sends the empty string for users without an e-mail address."""
    emails = [{"type": "work", "value": ""}, {"type": "home", "value": "ada@home.example"}]
    document, _ = read_resource(user_shape(), {"userName": "ada", "emails": emails})
    assert document["emails"] == [{"type": "home", "value": "ada@home.example"}]
    alone, _ = read_resource(user_shape(), {"userName": "ada", "emails": emails[:1]})
    assert alone == {"userName": "ada"}


@pytest.mark.parametrize("value", [{"email": "x"}, {}, [], [{}], "", 5, None])
def test_a_selected_element_is_changed_as_said_or_the_value_is_refused(value: Any) -> None:
    operation = {"op": "replace", "path": 'emails[type eq "work"]', "value": value}
    if value in ("", None):
        assert "emails" not in patched(operation)
    else:
        assert refused(operation).scim_type == "invalidValue"


def test_a_selected_element_loses_the_sub_attribute_that_is_given_empty() -> None:
    shown = {**ADA, "emails": [{"type": "work", "value": "ada@example.com", "display": "Ada"}]}
    operation = {"op": "replace", "path": 'emails[type eq "work"]', "value": {"display": ""}}
    assert patched(operation, document=shown)["emails"] == [{"type": "work", "value": "ada@example.com"}]


def test_a_manager_without_an_id_takes_the_reference_along() -> None:
    referred = {**ADA, ENTERPRISE_URN: {"manager": {"value": "m1", "$ref": "https://example.com/Users/m1"}}}
    after = patched({"op": "replace", "path": "manager", "value": {"value": ""}}, document=referred)
    assert ENTERPRISE_URN not in after


@pytest.mark.parametrize("value", ["", [None], [{}], [{"id": "Reader"}], [{"value": ""}], [""], 5])
def test_a_remove_that_lists_nothing_understood_is_refused(value: Any) -> None:
    operation = {"op": "Remove", "path": "roles", "value": value}
    assert refused(operation, document=PERSON).scim_type == "invalidValue"


def test_a_remove_with_an_empty_list_removes_nothing() -> None:
    assert patched({"op": "Remove", "path": "roles", "value": []}, document=PERSON) == PERSON


@pytest.mark.parametrize(
    "operation", [{"op": "remove", "path": "roles"}, {"op": "remove", "path": "roles", "value": None}]
)
def test_a_remove_without_a_value_removes_all(operation: dict[str, Any]) -> None:
    assert "roles" not in patched(operation, document=PERSON)


def test_a_remove_lists_elements_by_their_labels_too() -> None:
    typed = {**ADA, "roles": [{"value": "a", "type": "x"}, {"value": "b", "type": "y"}]}
    operation = {"op": "Remove", "path": "roles", "value": [{"type": "X", "unknown": 1}]}
    assert patched(operation, document=typed)["roles"] == [{"value": "b", "type": "y"}]


NAMES = st.sampled_from(["value", "VALUE", "type", "primary", "givenName", "locality", "id", "email", "x"])
SCALARS = st.one_of(st.none(), st.sampled_from(["", "x", "work"]), st.booleans(), st.integers(0, 9))
OBJECTS = st.dictionaries(NAMES, st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=3)
VALUES = st.one_of(SCALARS, OBJECTS, st.lists(st.one_of(SCALARS, OBJECTS), max_size=3))


@settings(max_examples=examples(400), deadline=None)
@given(
    st.sampled_from(["addresses", "emails", "roles"]), st.sampled_from(["add", "replace", "remove"]), VALUES
)
def test_a_list_is_emptied_by_an_explicit_nothing_only(path: str, op: str, value: Any) -> None:
    """Whatever comes: a list that was there is still there, unless null or [] was sent for it."""
    try:
        after = patched({"op": op, "path": path, "value": value}, document=PERSON)
    except SCIMException:
        return
    emptied = value is None if op == "remove" else op == "replace" and value in (None, [])
    only_one_listed = op == "remove" and value not in (None, [])
    assert (path not in after) == emptied or only_one_listed
    assert {**after, path: 0} == {**PERSON, path: 0}


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(["name", "manager"]), st.sampled_from(["add", "replace"]), VALUES)
def test_an_object_is_cleared_by_an_explicit_nothing_only(path: str, op: str, value: Any) -> None:
    try:
        after = patched({"op": op, "path": path, "value": value}, document=PERSON)
    except SCIMException:
        return
    part = value[0] if isinstance(value, list) and value else value
    parts = list(part.values()) if isinstance(part, dict) else []
    says_empty = part in (None, "", []) or None in parts or "" in parts
    assert says_empty or path in {**after, **after[ENTERPRISE_URN]}


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(["add", "replace", "remove"]), VALUES)
def test_members_are_parsed_whole_or_refused(op: str, value: Any) -> None:
    """Every element sent is a member with an id afterwards; one that is not refuses all of them."""
    body = {"Operations": [{"op": op, "path": "members", "value": value}]}
    try:
        [operation] = read_patch(group_shape(), body).operations
    except SCIMException:
        return
    sent = value if isinstance(value, list) else [] if value is None else [value]
    assert len(operation.value or ()) == len(sent)
    assert all(each["value"] for each in operation.value or ())


def test_additions_one_after_another_come_to_what_each_alone_would() -> None:
    """Joined for speed: a list is gone through once, not once for each of them."""
    added = [
        {
            "op": "add",
            "path": "emails",
            "value": [{"type": f"t{each % 7}", "value": f"{each % 11}@x.example"}],
        }
        for each in range(40)
    ]
    marked = {
        "op": "add",
        "path": "emails",
        "value": [{"type": "t1", "value": "1@x.example", "primary": True}],
    }
    steps = [
        *added,
        marked,
        *added,
        {**marked, "value": [{"type": "t2", "value": "2@x.example", "primary": True}]},
    ]
    one_by_one: dict[str, Any] = PERSON
    for step in steps:
        one_by_one = patched(step, document=one_by_one)
    assert patched(*steps, document=PERSON) == one_by_one


def test_operations_that_go_through_a_list_too_often_are_refused() -> None:
    """Issue 10, D: the answer names the setting."""
    crowded = {**ADA, "emails": [{"value": f"{each}@x.example", "type": f"t{each}"} for each in range(100)]}
    steps = [
        {"op": op, "path": "emails", "value": [{"value": "new@x.example", "type": "new"}]}
        for op in ("add", "remove") * 10
    ]
    operations = read_patch(user_shape(), {"Operations": steps}).operations
    apply(user_shape(), crowded, operations, 10_000)
    with pytest.raises(SCIMException, match="LEAVER_SCIM_MAX_PATCH_COMPARISONS"):
        apply(user_shape(), crowded, operations, 3_000)
