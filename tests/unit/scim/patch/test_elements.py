"""Lists of complex values, and of plain ones in an undeclared extension, one element at a time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from scim2_models import SCIMException

from scim.patch.apply import apply, read_resource
from scim.patch.operations import read_patch
from scim.schema.definitions import ENTERPRISE_URN, shapes, user_shape

CUSTOM = "urn:ietf:params:scim:schemas:extension:contoso:2.0:User"
ADA: dict[str, Any] = {"userName": "ada", "active": True}
WORK = {"type": "work", "value": "ada@example.com"}
HOME = {"type": "home", "value": "ada@home.example"}


def patched(document: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    asked = read_patch(user_shape(), {"Operations": list(operations)})
    return apply(user_shape(), {**ADA, **document}, asked.operations)


@pytest.mark.parametrize(
    "again",
    [
        [{**WORK, "primary": True}],
        {**WORK, "primary": True},
        [{"type": "WORK", "value": "Ada@Example.com", "primary": True}],
        [WORK, {**WORK, "primary": True}],
    ],
)
def test_an_address_that_is_added_again_as_primary_is_marked(again: Any) -> None:
    before = {"emails": [WORK, {**HOME, "primary": True}]}
    after = patched(before, {"op": "add", "path": "emails", "value": again})
    assert after["emails"] == [{**WORK, "primary": True}, {**HOME, "primary": False}]


def test_an_address_of_another_type_is_another_element() -> None:
    after = patched({"emails": [WORK]}, {"op": "add", "path": "emails", "value": {**WORK, "type": "other"}})
    assert len(after["emails"]) == 2


def test_a_role_is_the_same_by_its_value() -> None:
    """Entra's POST gives `type`, its PATCH the role as JSON in a string (azure-docs issue 50772)."""
    posted = {
        "primary": False,
        "type": "WindowsAzureActiveDirectoryRole",
        "display": "Admin",
        "value": "Admin",
    }
    packed = '{"id": "1", "value": "Admin", "displayName": "Admin"}'
    for op in ("Add", "add"):
        after = patched({"roles": [posted]}, {"op": op, "path": "roles", "value": [{"value": packed}]})
        assert after["roles"] == [posted]


def test_an_element_that_comes_twice_is_kept_once() -> None:
    """RFC 7643 §2.4: the same combination of `type` and `value` should not be there twice."""
    twice = [WORK, {**WORK, "display": "Ada"}]
    assert patched({}, {"op": "replace", "path": "emails", "value": twice})["emails"] == [twice[1]]
    document, _ = read_resource(user_shape(), {"userName": "ada", "emails": twice})
    assert document["emails"] == [twice[1]]
    renamed = patched(
        {"emails": [WORK, {**WORK, "type": "home"}]},
        {"op": "replace", "path": 'emails[type eq "home"].type', "value": "work"},
    )
    assert renamed["emails"] == [WORK]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": 'emails[type eq "work"].value'},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": None},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": ""},
        {"op": "remove", "path": "emails", "value": [WORK]},
        {"op": "Remove", "path": "emails", "value": [{**WORK, "primary": True, "display": "Ada M."}]},
        {"op": "Remove", "path": "emails", "value": [{"value": "ADA@example.com"}]},
    ],
)
def test_an_element_left_without_a_value_is_gone(operation: dict[str, Any]) -> None:
    before = {"emails": [{**WORK, "primary": True, "display": "Ada"}, HOME]}
    assert patched(before, operation)["emails"] == [HOME]


def test_no_value_is_left_where_the_values_of_all_are_removed() -> None:
    assert "emails" not in patched({"emails": [WORK, HOME]}, {"op": "remove", "path": "emails.value"})


@pytest.mark.parametrize(
    ("op", "value", "left"),
    [
        ("add", ["D3"], ["D1", "D2", "D3"]),
        ("add", "D3", ["D1", "D2", "D3"]),
        ("add", ["d1"], ["D1", "D2"]),
        ("remove", ["D1"], ["D2"]),
        ("remove", "D1", ["D2"]),
        ("remove", [], ["D1", "D2"]),
        ("remove", ["D9"], ["D1", "D2"]),
        ("remove", ["D1", "d2"], None),
        ("remove", None, None),
        ("replace", ["D9"], ["D9"]),
    ],
)
def test_a_list_of_an_undeclared_extension_changes_by_element(op: str, value: Any, left: Any) -> None:
    """wso2/product-is issue 11678."""
    before = {CUSTOM: {"devices": ["D1", "D2"]}}
    after = patched(before, {"op": op, "path": f"{CUSTOM}:devices", "value": value})
    assert after.get(CUSTOM, {}).get("devices") == left


def test_elements_of_an_undeclared_list_are_selected_by_value() -> None:
    path = f'{CUSTOM}:devices[value eq "d1"]'
    assert patched({CUSTOM: {"devices": ["D1", "D2"]}}, {"op": "remove", "path": path})[CUSTOM] == {
        "devices": ["D2"]
    }
    kept = patched({CUSTOM: {"devices": "text"}}, {"op": "remove", "path": path})
    assert kept[CUSTOM] == {"devices": "text"}


def test_one_undeclared_value_is_replaced_by_one_and_joined_by_a_list() -> None:
    path = f"{CUSTOM}:level"
    assert patched({CUSTOM: {"level": "1"}}, {"op": "add", "path": path, "value": "2"})[CUSTOM] == {
        "level": "2"
    }
    both = patched({CUSTOM: {"level": "1"}}, {"op": "add", "path": path, "value": ["2"]})
    assert both[CUSTOM] == {"level": ["1", "2"]}
    assert CUSTOM not in patched({CUSTOM: {"level": "1"}}, {"op": "remove", "path": path, "value": "x"})


@pytest.mark.parametrize("path", [f"{CUSTOM}:ISVIP", f"{CUSTOM.upper()}:isVip", f"{CUSTOM.lower()}:isvip"])
def test_names_of_an_undeclared_extension_do_not_depend_on_case(path: str) -> None:
    """RFC 7643 §2.1."""
    before = {CUSTOM: {"isVip": "True"}}
    assert patched(before, {"op": "replace", "path": path, "value": "False"})[CUSTOM] == {"isVip": "False"}
    assert CUSTOM not in patched(before, {"op": "remove", "path": path})


def test_a_declared_name_is_kept_as_it_was_declared() -> None:
    shape = shapes(frozenset({(CUSTOM, "isVip")}))["users"]
    document, _ = read_resource(shape, {"userName": "ada", CUSTOM: {"ISVIP": "True"}})
    assert document[CUSTOM] == {"isVip": "True"}


def test_a_number_is_read_as_the_string_that_was_meant() -> None:
    after = patched({}, {"op": "add", "value": {f"{ENTERPRISE_URN}:employeeNumber": 4711, "title": 1.5}})
    assert (after[ENTERPRISE_URN], after["title"]) == ({"employeeNumber": "4711"}, "1.5")
    with pytest.raises(SCIMException):
        patched({}, {"op": "add", "path": "title", "value": True})


def test_what_is_read_only_is_passed_over_in_an_object_and_refused_by_its_path() -> None:
    read_back = {"groups": [{"value": "g1"}], "meta": {"version": "1"}, "id": "x", "title": "Archivist"}
    assert patched({}, {"op": "replace", "value": read_back}) == {**ADA, "title": "Archivist"}
    with pytest.raises(SCIMException) as caught:
        patched({}, {"op": "replace", "path": "groups", "value": [{"value": "g1"}]})
    assert caught.value.scim_type == "mutability"


def test_a_patch_without_operations_changes_nothing() -> None:
    """Microsoft's SCIM Validator sends it (scimmyjs issues 59 and 90)."""
    assert patched({"title": "Archivist"}) == {**ADA, "title": "Archivist"}


@pytest.mark.parametrize("op", ["add", "remove", "replace"])
def test_the_work_grows_with_the_lists_and_not_with_their_product(op: str) -> None:
    """Before, 4,000 added to 4,000 took 29 s."""
    held = [{"type": "other", "value": f"a{n}@example.com"} for n in range(3_000)]
    named = [{**each, "display": "x"} for each in held]
    before = time.process_time()
    after = patched({"emails": held}, {"op": op, "path": "emails", "value": named})
    assert time.process_time() - before < 1.0
    assert len(after.get("emails", ())) == (0 if op == "remove" else 3_000)


def test_too_many_filters_in_one_patch_are_refused_by_the_name_of_the_setting() -> None:
    operations = [{"op": "remove", "path": f'emails[value co "{n}"]'} for n in range(51)]
    with pytest.raises(SCIMException, match="LEAVER_SCIM_MAX_PATCH_SELECTORS"):
        patched({}, *operations)
    patched({}, *({"op": "remove", "path": f'emails[value eq "{n}"]'} for n in range(60)))
