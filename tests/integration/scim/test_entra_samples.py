"""Every exchange of Entra's provisioning service that is about a server, as Microsoft documents it or as it
was captured.

The marks S01 to S59 number the exchanges; bodies have Entra's shapes and made-up values. Where Microsoft's
pages, its validators or captures differ, each form has its own test.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.builders.scim_client import ENTERPRISE, ScimClient, entra_user

NOBODY = "5c1e9a52-88f1-4d0c-a7a5-2b7d90f1c0aa"
CUSTOM = "urn:ietf:params:scim:schemas:extension:Northwind:2.0:User"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


async def found(scim: ScimClient, endpoint: str, filter_: str, extra: str = "") -> list[Any]:
    reply = await scim.get(f"/{endpoint}?filter={quote_plus(filter_)}{extra}")
    assert reply.status == 200, reply.body
    assert reply.body["schemas"] == [LIST]
    assert reply.body["totalResults"] == len(reply.body["Resources"])
    return list(reply.body["Resources"])


async def user(scim: ScimClient, user_id: str) -> Any:
    reply = await scim.get(f"/Users/{user_id}")
    assert reply.status == 200
    return reply.body


async def patched(scim: ScimClient, user_id: str, *operations: dict[str, Any]) -> Any:
    """Patch a user, expect the resource as answer, and the same when it is read again."""
    reply = await scim.patch(f"/Users/{user_id}", *operations)
    assert reply.status == 200, reply.body
    assert reply.body == await user(scim, user_id)
    return reply.body


# --- Test Connection
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("endpoint", "attribute"), [("Users", "userName"), ("Groups", "displayName")])
async def test_s01_s02_the_connection_test_finds_nobody(
    scim: ScimClient, endpoint: str, attribute: str
) -> None:
    """Entra SCIM page: 200 with an empty list where nothing matches, never 404; both types are probed."""
    assert await found(scim, endpoint, f'{attribute} eq "{NOBODY}"', "&excludedAttributes=members") == []


async def test_s03_a_wrong_token_is_unauthorized(scim: ScimClient) -> None:
    scim.token = "wrong"
    reply = await scim.get(f'/Users?filter=userName eq "{NOBODY}"')
    assert reply.status == 401
    assert reply.body["schemas"] == [ERROR]
    assert reply.body["status"] == "401"
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("encode", [quote_plus, quote, lambda text: text.replace(" ", "+")])
async def test_s04_filters_are_decoded_however_they_are_encoded(scim: ScimClient, encode: Any) -> None:
    """Captures: spaces as plus, quotes raw or as %22."""
    created = await scim.create_user("ida@northwind.example", externalId="ida")
    reply = await scim.get("/Users?filter=" + encode('externalId eq "ida"'))
    assert [each["id"] for each in reply.body["Resources"]] == [created["id"]]


# --- Matching and reading users
# -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "filter_",
    [
        'userName eq "ida@northwind.example"',
        'userName eq "IDA@Northwind.Example"',
        'externalId eq "ida"',
        'emails[type eq "work"].value eq "ida@northwind.example"',
    ],
)
async def test_s08_s10_s11_a_user_is_matched_by_each_attribute(scim: ScimClient, filter_: str) -> None:
    created = await scim.create_user("ida@northwind.example", externalId="ida")
    await scim.create_user("other@northwind.example")
    assert await found(scim, "Users", filter_) == [created]


async def test_s09_nobody_is_matched(scim: ScimClient) -> None:
    await scim.create_user("ida@northwind.example")
    assert await found(scim, "Users", 'userName eq "new@northwind.example"') == []


async def test_s12_a_user_is_read_by_its_cached_id(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example")
    assert await user(scim, created["id"]) == created


async def test_s13_a_user_that_is_gone_is_not_found(scim: ScimClient) -> None:
    reply = await scim.get(f"/Users/{NOBODY}")
    assert reply.status == 404
    assert reply.body["schemas"] == [ERROR]
    assert reply.body["status"] == "404"


@pytest.mark.parametrize(
    "order", ["id eq {user} and manager eq {boss}", "manager eq {boss} and id eq {user}"]
)
@pytest.mark.parametrize("quotes", ["", '"'])
async def test_s14_the_manager_reference_check(scim: ScimClient, order: str, quotes: str) -> None:
    """Entra SCIM page of 2019-21: ids without quotes, operands in either order, nothing but the id in the
    answer."""
    boss = await scim.create_user("boss@northwind.example")
    report = await scim.create_user("ida@northwind.example", **{ENTERPRISE: {"manager": boss["id"]}})
    question = order.format(user=quotes + report["id"] + quotes, boss=quotes + boss["id"] + quotes)
    [answer] = await found(scim, "Users", question, "&attributes=id")
    assert answer == {"schemas": report["schemas"], "id": report["id"]}
    question = order.format(user=boss["id"], boss=report["id"])
    assert await found(scim, "Users", question, "&attributes=id") == []


# --- Creating users
# -------------------------------------------------------------------------------------------


async def test_s15_the_documented_minimum_is_created(scim: ScimClient) -> None:
    """`meta` and an empty `roles` are sent and must not be refused; the answer needs an `id`."""
    body = entra_user("ida@northwind.example")
    reply = await scim.post("/Users", body)
    assert reply.status == 201
    created = reply.body
    assert created["id"]
    assert reply.headers["Location"] == created["meta"]["location"]
    assert created["meta"]["resourceType"] == "User"
    for name in ("externalId", "userName", "active", "emails", "name"):
        assert created[name] == body[name]
    assert "roles" not in created


async def test_s16_the_full_default_mapping_is_created(scim: ScimClient) -> None:
    body = entra_user(
        "bo@northwind.example",
        addresses=[
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
        displayName="Bo Lind",
        phoneNumbers=[
            {"primary": True, "type": "work", "value": "+47 55 00 00 01"},
            {"primary": False, "type": "mobile", "value": "+47 900 00 001"},
            {"primary": False, "type": "fax", "value": "+47 55 00 00 02"},
        ],
        preferredLanguage="nb-NO",
        title="Curator",
        **{ENTERPRISE: {"employeeNumber": "4711", "department": "Maps", "manager": NOBODY}},
    )
    reply = await scim.post("/Users", body)
    assert reply.status == 201
    for name in ("addresses", "displayName", "phoneNumbers", "preferredLanguage", "title"):
        assert reply.body[name] == body[name]
    assert reply.body[ENTERPRISE]["employeeNumber"] == "4711"
    assert reply.body[ENTERPRISE]["manager"]["value"] == NOBODY
    assert ENTERPRISE in reply.body["schemas"]


async def test_s17_the_older_form_with_nulls_and_a_malformed_urn_is_created(scim: ScimClient) -> None:
    body = entra_user(
        "cy@northwind.example",
        addresses=None,
        phoneNumbers=None,
        preferredLanguage=None,
        title=None,
        department=None,
        manager=None,
    )
    body["schemas"][1] = ENTERPRISE.replace("2.0:User", "2.0User")
    reply = await scim.post("/Users", body)
    assert reply.status == 201
    assert not {"addresses", "phoneNumbers", "title", "department", "manager", ENTERPRISE} & reply.body.keys()


async def test_s18_a_custom_extension_need_not_be_listed_in_schemas(scim: ScimClient) -> None:
    """Mapping page: custom attributes come under a URN that the request's `schemas` does not name."""
    created = await scim.create_user("di@northwind.example", **{CUSTOM: {"badgeColour": "blue"}})
    assert created[CUSTOM] == {"badgeColour": "blue"}
    assert CUSTOM in created["schemas"]
    after = await patched(
        scim, created["id"], {"op": "Replace", "path": f"{CUSTOM}:badgeColour", "value": "red"}
    )
    assert after[CUSTOM] == {"badgeColour": "red"}


async def test_s19_one_role_is_created(scim: ScimClient) -> None:
    role = {"primary": True, "type": "WindowsAzureActiveDirectoryRole", "value": "Editor"}
    created = await scim.create_user("ida@northwind.example", roles=[role])
    assert created["roles"] == [role]


@pytest.mark.parametrize("name", ["display", "displayName"])
async def test_s20_several_roles_are_created(scim: ScimClient, name: str) -> None:
    """AppRoleAssignmentsComplex names a role `displayName`, its assertive sister `display`."""
    roles = [
        {"primary": False, "type": "WindowsAzureActiveDirectoryRole", name: value, "value": value}
        for value in ("Editor", "Auditor")
    ]
    created = await scim.create_user("ida@northwind.example", roles=roles)
    assert [(each["value"], each["display"]) for each in created["roles"]] == [
        ("Editor", "Editor"),
        ("Auditor", "Auditor"),
    ]


async def test_s21_a_second_account_of_the_same_name_conflicts(scim: ScimClient) -> None:
    """Also in another spelling: userName is not case-exact (RFC 7643 §4.1.1)."""
    await scim.create_user("ida@northwind.example")
    reply = await scim.post("/Users", entra_user("Ida@Northwind.example", externalId="ida2"))
    assert reply.status == 409
    assert reply.body["scimType"] == "uniqueness"
    assert "userName" in reply.body["detail"]


# --- Updating users, both dialects
# ----------------------------------------------------------------------------


async def test_s22_to_s25_several_attributes_change_one_by_one(scim: ScimClient) -> None:
    created = await scim.create_user(
        "ida@northwind.example", addresses=[{"type": "work", "formatted": "Quay 9"}]
    )
    after = await patched(
        scim,
        created["id"],
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "ida.berg@northwind.example"},
        {"op": "Replace", "path": "name.familyName", "value": "Berg"},
        {"op": "Replace", "path": "name.givenName", "value": "Ida-Marie"},
        {"op": "Replace", "path": "displayName", "value": "Ida Berg"},
        {"op": "Replace", "path": "userName", "value": "ida.berg@northwind.example"},
        {"op": "Replace", "path": "externalId", "value": "iberg"},
        {"op": "Replace", "path": 'addresses[type eq "work"].formatted', "value": "Quay 10"},
        {"op": "Replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "4712"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Law"},
    )
    assert after["emails"] == [{"primary": True, "type": "work", "value": "ida.berg@northwind.example"}]
    assert after["name"] == {"formatted": "Ada Marsh", "familyName": "Berg", "givenName": "Ida-Marie"}
    assert (after["displayName"], after["externalId"]) == ("Ida Berg", "iberg")
    assert after["addresses"] == [{"type": "work", "formatted": "Quay 10"}]
    assert after[ENTERPRISE] == {"employeeNumber": "4712", "department": "Law"}
    assert [
        each["id"] for each in await found(scim, "Users", 'userName eq "ida.berg@northwind.example"')
    ] == [created["id"]]


@pytest.mark.parametrize("op", ["Add", "add"])
async def test_s26_a_value_that_is_not_there_yet_is_made(scim: ScimClient, op: str) -> None:
    created = await scim.create_user("ida@northwind.example")
    after = await patched(
        scim,
        created["id"],
        {"op": op, "path": 'addresses[type eq "work"].streetAddress', "value": "9 Quay Street"},
        {"op": op, "path": 'phoneNumbers[type eq "mobile"].value', "value": "+47 900 00 009"},
    )
    assert after["addresses"] == [{"type": "work", "streetAddress": "9 Quay Street"}]
    assert after["phoneNumbers"] == [{"type": "mobile", "value": "+47 900 00 009"}]


@pytest.mark.parametrize("op", ["Add", "add"])
async def test_s27_s40_a_simple_attribute_is_added(scim: ScimClient, op: str) -> None:
    created = await scim.create_user("ida@northwind.example")
    after = await patched(scim, created["id"], {"op": op, "path": "nickName", "value": "Id"})
    assert after["nickName"] == "Id"


@pytest.mark.parametrize(
    ("op", "off", "on"), [("Replace", "False", "True"), ("Replace", False, True), ("replace", False, True)]
)
async def test_s28_s29_s30_s39_disable_and_enable(scim: ScimClient, op: str, off: Any, on: Any) -> None:
    created = await scim.create_user("ida@northwind.example")
    after = await patched(scim, created["id"], {"op": op, "path": "active", "value": off})
    assert after["active"] is False
    assert await found(scim, "Users", 'userName eq "ida@northwind.example"') == [after]
    assert (await patched(scim, created["id"], {"op": op, "path": "active", "value": on}))["active"] is True


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        pytest.param(f"{ENTERPRISE}:manager", "{}", id="S31 bare id"),
        pytest.param("manager", "array", id="S32 array without URN"),
        pytest.param(f"{ENTERPRISE}:manager", "object", id="object"),
    ],
)
async def test_s31_s32_s33_the_manager_is_set_and_cleared(scim: ScimClient, path: str, shape: str) -> None:
    """The answer must show an object: else Entra sends the manager again and again."""
    boss = await scim.create_user("boss@northwind.example")
    created = await scim.create_user("ida@northwind.example")
    element = {"$ref": None, "value": boss["id"]}
    value = {"{}": boss["id"], "array": [element], "object": element}[shape]
    after = await patched(scim, created["id"], {"op": "Add", "path": path, "value": value})
    assert after[ENTERPRISE]["manager"] == {"value": boss["id"], "$ref": boss["meta"]["location"]}
    cleared = await patched(scim, created["id"], {"op": "Replace", "path": path, "value": ""})
    assert ENTERPRISE not in cleared


@pytest.mark.parametrize("nothing", ["", None])
async def test_s34_the_null_update(scim: ScimClient, nothing: Any) -> None:
    created = await scim.create_user("ida@northwind.example", title="Curator")
    assert "title" not in await patched(
        scim, created["id"], {"op": "Replace", "path": "title", "value": nothing}
    )


async def test_s35_s36_roles_in_both_forms(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example")
    packed = '{"id":"11111111-1111-4111-8111-111111111111","value":"7","displayName":"Role seven"}'
    after = await patched(scim, created["id"], {"op": "Add", "path": "roles", "value": [{"value": packed}]})
    assert after["roles"] == [{"value": "7", "display": "Role seven"}]
    roles = [{"primary": False, "type": "WindowsAzureActiveDirectoryRole", "display": "A", "value": "A"}]
    after = await patched(scim, created["id"], {"op": "replace", "path": "roles", "value": roles})
    assert after["roles"] == roles


async def test_s37_a_role_is_selected_by_the_string_true(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example")
    after = await patched(
        scim,
        created["id"],
        {"op": "Replace", "path": "active", "value": "True"},
        {"op": "Add", "path": 'roles[primary eq "True"].value', "value": "Admin"},
        {"op": "Add", "path": 'roles[primary eq "True"].display', "value": "Administrator"},
    )
    assert after["roles"] == [{"primary": True, "value": "Admin", "display": "Administrator"}]


async def test_s38_a_user_is_deleted_once(scim: ScimClient) -> None:
    """Design §4: hidden from SCIM afterwards, the userName free again, the person the same when it comes
    back."""
    created = await scim.create_user("ida@northwind.example")
    assert (await scim.delete(f"/Users/{created['id']}")).status == 204
    assert (await scim.get(f"/Users/{created['id']}")).status == 404
    assert (await scim.delete(f"/Users/{created['id']}")).status == 404
    assert await found(scim, "Users", 'userName eq "ida@northwind.example"') == []
    again = await scim.create_user("ida@northwind.example")
    assert again["id"] == created["id"]


async def test_s41_the_flagged_dialect_merges_attributes(scim: ScimClient) -> None:
    """Compliance page, aadOptscim062020: dotted names and full URNs as keys of one replace without a path."""
    created = await scim.create_user("ida@northwind.example")
    after = await patched(
        scim,
        created["id"],
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "ida.berg@northwind.example"},
        {
            "op": "replace",
            "value": {
                "displayName": "Ida Berg",
                "name.givenName": "Ida",
                "name.familyName": "Berg",
                f"{ENTERPRISE}:employeeNumber": "4712",
            },
        },
    )
    assert after["displayName"] == "Ida Berg"
    assert after["name"] == {"formatted": "Ada Marsh", "givenName": "Ida", "familyName": "Berg"}
    assert after[ENTERPRISE] == {"employeeNumber": "4712"}
    assert "name.givenName" not in after


# --- Groups
# ---------------------------------------------------------------------------------------------------


async def group(scim: ScimClient, name: str = "Cartographers", **attributes: Any) -> Any:
    body = {
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:Group",
            "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group",
        ],
        "externalId": "0f6b0f86-7b1a-4f86-a2c4-3d5e6f708192",
        "displayName": name,
        "meta": {"resourceType": "Group"},
        **attributes,
    }
    reply = await scim.post("/Groups", body)
    assert reply.status == 201, reply.body
    return reply.body


@pytest.mark.parametrize(
    "filter_",
    [
        'displayName eq "Cartographers"',
        'displayName eq "cartographers"',
        'externalId eq "0f6b0f86-7b1a-4f86-a2c4-3d5e6f708192"',
    ],
)
async def test_s42_s43_a_group_is_matched_without_its_members(scim: ScimClient, filter_: str) -> None:
    """Entra asks with excludedAttributes=members; members in the answer would break matching."""
    member = await scim.create_user("ida@northwind.example")
    created = await group(scim, members=[{"value": member["id"]}])
    [matched] = await found(scim, "Groups", filter_, "&excludedAttributes=members")
    assert matched["id"] == created["id"]
    assert "members" not in matched


async def test_s44_s45_a_group_is_created_empty_and_read(scim: ScimClient) -> None:
    """The ADSCIM schema URI means nothing and must be tolerated."""
    created = await group(scim)
    assert created["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:Group"]
    assert created["members"] == []
    reply = await scim.get(f"/Groups/{created['id']}?excludedAttributes=members")
    assert reply.body == {name: value for name, value in created.items() if name != "members"}


async def test_a_second_group_of_the_same_name_conflicts(scim: ScimClient) -> None:
    """Entra SCIM page: group displayName must be unique."""
    await group(scim)
    reply = await scim.post("/Groups", {"displayName": "CARTOGRAPHERS"})
    assert (reply.status, reply.body["scimType"]) == (409, "uniqueness")


@pytest.mark.parametrize("op", ["Replace", "replace"])
async def test_s46_a_group_is_renamed(scim: ScimClient, op: str) -> None:
    created = await group(scim)
    reply = await scim.patch(
        f"/Groups/{created['id']}", {"op": op, "path": "displayName", "value": "Map makers"}
    )
    assert (reply.status, reply.body) == (204, None)
    assert (await scim.get(f"/Groups/{created['id']}")).body["displayName"] == "Map makers"


async def test_s47_s48_s52_members_are_added(scim: ScimClient) -> None:
    """One or several, with `$ref: null` or without, capitalised or not; twice is a success."""
    created = await group(scim)
    ids = [(await scim.create_user(f"u{number}@northwind.example"))["id"] for number in range(3)]
    path = f"/Groups/{created['id']}"
    for _ in range(2):
        one = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": ids[0]}]}
        assert (await scim.patch(path, one)).status == 204
    both = {"op": "add", "path": "members", "value": [{"value": ids[1]}, {"value": ids[2]}]}
    assert (await scim.patch(path, both)).status == 204
    assert await scim.member_ids(created["id"]) == set(ids)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "Remove", "path": "members", "value": [{"value": "{}"}]}, id="S49"),
        pytest.param({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "{}"}]}, id="S50"),
        pytest.param({"op": "remove", "path": 'members[value eq "{}"]'}, id="S51"),
        pytest.param({"op": "Remove", "path": "members", "value": "{}"}, id="bare id"),
    ],
)
async def test_s49_s50_s51_only_the_named_member_is_removed(
    scim: ScimClient, operation: dict[str, Any]
) -> None:
    """Compliance page: a server that follows the RFC to the letter would empty the group."""
    gone, stays = [(await scim.create_user(f"u{number}@northwind.example"))["id"] for number in range(2)]
    created = await group(scim, members=[{"value": gone}, {"value": stays}])
    written = _fill(operation, gone)
    for _ in range(2):  # removing who is no member is a success
        assert (await scim.patch(f"/Groups/{created['id']}", written)).status == 204
    assert await scim.member_ids(created["id"]) == {stays}


def _fill(template: Any, value: str) -> Any:
    if isinstance(template, dict):
        return {name: _fill(item, value) for name, item in template.items()}
    if isinstance(template, list):
        return [_fill(item, value) for item in template]
    return template.replace("{}", value) if isinstance(template, str) else template


async def test_s53_the_member_reference_check(scim: ScimClient) -> None:
    member = await scim.create_user("ida@northwind.example")
    created = await group(scim, members=[{"value": member["id"]}])
    extra = "&excludedAttributes=members&attributes=id"
    question = f"id eq {created['id']} and members eq {member['id']}"
    assert [each["id"] for each in await found(scim, "Groups", question, extra)] == [created["id"]]
    assert await found(scim, "Groups", f"id eq {created['id']} and members eq {NOBODY}", extra) == []


async def test_s54_a_group_is_a_member_of_a_group(scim: ScimClient) -> None:
    parent, child = await group(scim), await group(scim, "Interns", externalId="interns")
    add = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": child["id"]}]}
    assert (await scim.patch(f"/Groups/{parent['id']}", add)).status == 204
    [member] = (await scim.get(f"/Groups/{parent['id']}")).body["members"]
    assert (member["value"], member["type"], member["$ref"]) == (
        child["id"],
        "Group",
        child["meta"]["location"],
    )


async def test_s55_an_unknown_member_is_refused_but_not_as_an_unknown_group(scim: ScimClient) -> None:
    """404 would make Entra drop its link to the group (InvalidAnchor)."""
    created = await group(scim)
    add = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": NOBODY}]}
    reply = await scim.patch(f"/Groups/{created['id']}", add)
    assert (reply.status, reply.body["schemas"]) == (400, [ERROR])
    assert "member" in reply.body["detail"]
    assert (await scim.patch(f"/Groups/{NOBODY}", add)).status == 404


async def test_s56_deleting_a_group_leaves_its_members(scim: ScimClient) -> None:
    member = await scim.create_user("ida@northwind.example")
    created = await group(scim, members=[{"value": member["id"]}])
    assert (await scim.delete(f"/Groups/{created['id']}")).status == 204
    assert (await scim.get(f"/Groups/{created['id']}")).status == 404
    assert await user(scim, member["id"]) == member
    assert (await group(scim))["members"] == []


async def test_deleting_a_user_takes_it_out_of_its_groups(scim: ScimClient) -> None:
    gone, stays = [(await scim.create_user(f"u{number}@northwind.example"))["id"] for number in range(2)]
    created = await group(scim, members=[{"value": gone}, {"value": stays}])
    await scim.delete(f"/Users/{gone}")
    assert await scim.member_ids(created["id"]) == {stays}


async def test_a_patch_that_adds_and_removes_the_same_member_ends_as_it_says(scim: ScimClient) -> None:
    """Microsoft's sample "Update Group" renames, adds a member and removes it in one request."""
    member = await scim.create_user("ida@northwind.example")
    created = await group(scim)
    element = [{"$ref": None, "value": member["id"]}]
    reply = await scim.patch(
        f"/Groups/{created['id']}",
        {"op": "Replace", "path": "displayName", "value": "Map makers"},
        {"op": "Add", "path": "members", "value": element},
        {"op": "Remove", "path": "members", "value": element},
    )
    assert reply.status == 204
    assert (await scim.get(f"/Groups/{created['id']}")).body["displayName"] == "Map makers"
    assert await scim.member_ids(created["id"]) == set()


# --- Discovery, paging
# ----------------------------------------------------------------------------------------


async def test_s57_schemas_are_listed_in_camel_case_without_nulls(scim: ScimClient) -> None:
    reply = await scim.get("/Schemas")
    assert reply.status == 200
    by_id = {each["id"]: each for each in reply.body["Resources"]}
    assert "urn:ietf:params:scim:schemas:core:2.0:Group" in by_id
    user_schema = by_id["urn:ietf:params:scim:schemas:core:2.0:User"]
    user_name = next(each for each in user_schema["attributes"] if each["name"] == "userName")
    assert (user_name["mutability"], user_name["uniqueness"], user_name["required"]) == (
        "readWrite",
        "server",
        True,
    )
    assert not _nulls(reply.body)
    assert (await scim.get(f"/Schemas/{user_schema['id']}")).body == user_schema


def _nulls(value: Any) -> bool:
    if isinstance(value, dict):
        return any(item is None or _nulls(item) for item in value.values())
    return isinstance(value, list) and any(_nulls(item) for item in value)


async def test_s59_paging_is_exact_and_echoes_its_start(scim: ScimClient) -> None:
    """Logic App validator, User_Pagination: eleven users, pages of five, startIndex as asked."""
    ids = [(await scim.create_user(f"u{number:02}@northwind.example"))["id"] for number in range(11)]
    seen: list[str] = []
    for start in (1, 6, 11):
        body = (await scim.get(f"/Users?startIndex={start}&count=5")).body
        assert (body["totalResults"], body["startIndex"]) == (11, start)
        assert body["itemsPerPage"] == len(body["Resources"])
        seen += [each["id"] for each in body["Resources"]]
    assert seen == ids
