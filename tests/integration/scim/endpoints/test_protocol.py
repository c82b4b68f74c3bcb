"""RFC 7644 beyond what Entra uses: PUT, ETags, searching, sorting, paging both ways, Bulk, discovery."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

import pytest
from sqlalchemy import update

from store import tables
from store.tenancy import connections
from tests.builders.scim_client import ENTERPRISE, ScimClient, entra_user
from tests.builders.scim_connections import PUBLIC_URL

USERS = [f"u{number:02}@northwind.example" for number in range(7)]


async def people(scim: ScimClient) -> list[str]:
    return [(await scim.create_user(each, title=f"T{each[2]}"))["id"] for each in USERS]


async def ids(scim: ScimClient, query: str) -> list[str]:
    reply = await scim.get(f"/Users?{query}")
    assert reply.status == 200, reply.body
    return [each["id"] for each in reply.body["Resources"]]


# --- Replacing
# ------------------------------------------------------------------------------------------------


async def test_put_replaces_and_clears_what_it_leaves_out(scim: ScimClient) -> None:
    """RFC 7644 §3.5.1: attributes omitted from the request may be taken as unassigned."""
    created = await scim.create_user("ida@northwind.example", title="Curator", nickName="Id")
    reply = await scim.put(f"/Users/{created['id']}", {"userName": "ida@northwind.example", "title": "Head"})
    assert reply.status == 200
    assert reply.body["title"] == "Head"
    assert not {"nickName", "emails", "name", "externalId"} & reply.body.keys()
    assert reply.body["meta"]["created"] == created["meta"]["created"]
    assert (await scim.get(f"/Users/{created['id']}")).body == reply.body


async def test_put_without_active_does_not_re_enable(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example", active=False)
    reply = await scim.put(f"/Users/{created['id']}", {"userName": "ida@northwind.example"})
    assert reply.body["active"] is False


async def test_put_of_a_group_replaces_its_members(scim: ScimClient) -> None:
    first, second, *_ = await people(scim)
    created = await scim.create_group("Cartographers", first)
    path = f"/Groups/{created['id']}"
    reply = await scim.put(path, {"displayName": "Map makers", "members": [{"value": second}]})
    assert (reply.status, reply.body["displayName"]) == (200, "Map makers")
    assert await scim.member_ids(created["id"]) == {second}
    assert (await scim.put(path, {"displayName": "Map makers", "members": []})).body["members"] == []


@pytest.mark.parametrize("body", [{}, {"userName": ""}, {"displayName": "x"}, [], "x"])
async def test_put_without_a_user_name_is_refused(scim: ScimClient, body: Any) -> None:
    created = await scim.create_user("ida@northwind.example")
    assert (await scim.put(f"/Users/{created['id']}", body)).status == 400
    assert (await scim.get(f"/Users/{created['id']}")).body == created


# --- Preconditions
# --------------------------------------------------------------------------------------------


async def test_etags_are_honoured_where_a_client_sends_them(scim: ScimClient) -> None:
    """RFC 7644 §3.14."""
    created = await scim.create_user("ida@northwind.example")
    path, version = f"/Users/{created['id']}", created["meta"]["version"]
    read = await scim.get(path)
    assert read.headers["ETag"] == version
    assert (await scim.get(path, headers={"If-None-Match": version})).status == 304
    title = {"op": "add", "path": "title", "value": "Curator"}
    changed = await scim.patch(path, title, headers={"If-Match": version})
    assert changed.status == 200
    assert changed.body["meta"]["version"] != version
    assert (await scim.patch(path, title, headers={"If-Match": version})).status == 412
    assert (await scim.put(path, entra_user("x@y.example"), headers={"If-Match": version})).status == 412
    assert (await scim.delete(path, headers={"If-Match": version})).status == 412
    assert (await scim.get(path, headers={"If-None-Match": version})).status == 200
    assert (await scim.delete(path, headers={"If-Match": "*"})).status == 204


async def test_of_two_writers_with_one_version_one_wins(scim: ScimClient) -> None:
    created = await scim.create_group("Cartographers")
    headers = {"If-Match": created["meta"]["version"]}
    path = f"/Groups/{created['id']}"
    replies = await asyncio.gather(
        *(
            scim.patch(path, {"op": "replace", "path": "displayName", "value": f"N{number}"}, headers=headers)
            for number in range(5)
        )
    )
    assert sorted(each.status for each in replies) == [204, 412, 412, 412, 412]


async def test_a_write_that_changes_nothing_keeps_the_version(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example", title="Curator")
    reply = await scim.patch(
        f"/Users/{created['id']}", {"op": "Replace", "path": "title", "value": "Curator"}
    )
    assert reply.body["meta"] == created["meta"]


# --- Searching
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ('userName sw "u0"', range(7)),
        ('userName co "05@"', [5]),
        ('userName ew "NORTHWIND.example"', range(7)),
        ('title gt "T4" and title le "T6"', [5, 6]),
        ('not (title eq "T1" or title eq "t2")', [0, 3, 4, 5, 6]),
        ("nickName pr", []),
        ("not (nickName pr)", range(7)),
        ('emails[type eq "work" and value sw "u03"]', [3]),
        ('emails[type eq "home"]', []),
        ("emails[primary eq true]", range(7)),
        ('emails co "06"', [6]),
        ('name.familyName eq "MARSH"', range(7)),
        ("name pr", range(7)),
        ('title ne "T0"', [1, 2, 3, 4, 5, 6]),
        ('nickName ne "x"', range(7)),
        ('externalId eq "U01"', []),
        ('externalId eq "u01"', [1]),
        ("active eq true", range(7)),
        ("active ne true", []),
        ('meta.created gt "2020-01-01T00:00:00Z"', range(7)),
        ('meta.created lt "2020-01-01T00:00:00Z"', []),
        ('meta.resourceType eq "User"', range(7)),
        (f'{ENTERPRISE}:department eq "law"', []),
        ("userName sw u0 and (title eq T1 or title eq T2)", [1, 2]),
        ("title eq null", []),
        ('title co "%"', []),
        ('userName co "_"', []),
    ],
)
async def test_filters_select(scim: ScimClient, filter_: str, expected: Any) -> None:
    """RFC 7644 §3.4.2.2, evaluated by the database."""
    made = await people(scim)
    assert await ids(scim, "filter=" + quote_plus(filter_)) == [made[number] for number in expected]


async def test_filters_fold_beyond_ascii(scim: ScimClient) -> None:
    """RFC 7643 §2.2, caseExact false: a name is found in either case."""
    await scim.create_user("ida@northwind.example", displayName="Ólöf Ærø", title="Þula")
    for filter_ in ('displayName eq "ólöf ærø"', 'displayName co "ÆR"', 'title eq "þULA"'):
        assert len(await ids(scim, "filter=" + quote_plus(filter_))) == 1, filter_


async def test_a_filter_that_is_none_is_refused(scim: ScimClient) -> None:
    reply = await scim.get("/Users?filter=" + quote_plus('colour eq "red"'))
    assert (reply.status, reply.body["scimType"]) == (400, "invalidFilter")
    assert "colour" in reply.body["detail"]


async def test_sorting_puts_missing_values_last(scim: ScimClient) -> None:
    """RFC 7644 §3.4.2.3: resources without the attribute are last when ascending, first when descending."""
    b, none, a = [
        (await scim.create_user(f"{name}@x.example", **attributes))["id"]
        for name, attributes in (("p", {"nickName": "b"}), ("q", {}), ("r", {"nickName": "A"}))
    ]
    assert await ids(scim, "sortBy=nickName") == [a, b, none]
    assert await ids(scim, "sortBy=nickName&sortOrder=descending") == [none, b, a]
    assert await ids(scim, "sortBy=userName&sortOrder=descending") == [a, none, b]
    assert await ids(scim, "sortBy=emails.value") == [b, none, a]
    assert await ids(scim, "sortBy=meta.created&sortOrder=descending&count=2") == [a, none]


@pytest.mark.parametrize(
    ("query", "total", "start", "expected"),
    [
        ("count=0", 7, 1, []),
        ("count=-1", 7, 1, []),
        ("startIndex=0&count=2", 7, 1, [0, 1]),
        ("startIndex=6&count=5", 7, 6, [5, 6]),
        ("startIndex=100", 7, 100, []),
        ("startIndex=3&count=2&sortBy=userName&sortOrder=descending", 7, 3, [4, 3]),
        ("startIndex=2&count=1&filter=title+ne+null", 7, 2, [1]),
    ],
)
async def test_pages_by_index(
    scim: ScimClient, query: str, total: int, start: int, expected: list[int]
) -> None:
    """RFC 7644 §3.4.2.4: totalResults is exact, startIndex is echoed."""
    made = await people(scim)
    body = (await scim.get(f"/Users?{query}")).body
    assert (body["totalResults"], body["startIndex"]) == (total, start)
    assert [each["id"] for each in body["Resources"]] == [made[number] for number in expected]
    assert body["itemsPerPage"] == len(expected)


@pytest.mark.parametrize(
    "query", ["count=x", "startIndex=1.5", "startIndex=99999999999999999999", "count=1e3", "cursor=forged"]
)
async def test_unreadable_pages_are_refused(scim: ScimClient, query: str) -> None:
    assert (await scim.get(f"/Users?{query}")).status == 400


@pytest.mark.parametrize(
    "order", ["", "&sortBy=title&sortOrder=descending", "&sortBy=nickName", "&sortBy=meta.created"]
)
async def test_cursors_walk_forth_and_back_while_rows_come_and_go(scim: ScimClient, order: str) -> None:
    """RFC 9865 §2: every resource that exists throughout is seen exactly once."""
    made = await people(scim)
    everything = await ids(scim, f"count=100{order}")
    assert sorted(everything) == sorted(made)
    first = (await scim.get(f"/Users?cursor&count=3{order}")).body
    assert "startIndex" not in first
    assert "previousCursor" not in first
    assert [each["id"] for each in first["Resources"]] == everything[:3]
    await scim.delete(f"/Users/{everything[1]}")
    second = (await scim.get(f"/Users?count=3{order}&cursor={first['nextCursor']}")).body
    assert [each["id"] for each in second["Resources"]] == everything[3:6]
    third = (await scim.get(f"/Users?count=3{order}&cursor={second['nextCursor']}")).body
    assert [each["id"] for each in third["Resources"]] == everything[6:]
    assert "nextCursor" not in third
    back = (await scim.get(f"/Users?count=3{order}&cursor={second['previousCursor']}")).body
    assert [each["id"] for each in back["Resources"]] == [everything[0], everything[2]]
    other_query = (await scim.get(f"/Users?count=3&filter=title+pr&cursor={first['nextCursor']}")).body
    assert other_query["scimType"] == "invalidCursor"
    other_count = (await scim.get(f"/Users?count=4{order}&cursor={first['nextCursor']}")).body
    assert other_count["scimType"] == "invalidCount"


@pytest.mark.parametrize(
    "query",
    [
        'filter=title+eq+"T6"',
        'filter=emails[type+eq+"work"].value+eq+"u06@northwind.example"',
        'filter=userName+eq+"u06@northwind.example"',
        "sortBy=title&count=1",
        "startIndex=7&count=1",
        "startIndex=7&count=1&sortBy=userName",
    ],
)
async def test_rows_that_are_not_returned_are_not_loaded(scim: ScimClient, query: str) -> None:
    """Issue 4: "Filtering, sorting and paging never load rows they do not return": the others could not be shown."""
    made = await people(scim)
    columns = tables.users.c
    spoil = update(tables.users).where(columns.id.in_(made[:6])).values(document="no document")
    await scim.database.write(lambda conn: conn.execute(spoil))
    assert await ids(scim, query) == [made[6]]
    assert (await scim.get("/Users")).status == 500, "it would be noticed"


async def test_a_resource_says_where_it_is(scim: ScimClient) -> None:
    """RFC 7644 §3.3 Location of what was created, §3.1 meta.location, RFC 9110 §8.7 Content-Location."""
    for endpoint, body in (
        ("/Users", entra_user("ida@northwind.example")),
        ("/Groups", {"displayName": "All"}),
    ):
        created = await scim.post(endpoint, body)
        location = created.body["meta"]["location"]
        assert location == f"{PUBLIC_URL}/api/scim/v2{endpoint}/{created.body['id']}"
        assert (created.headers["Location"], created.headers["Content-Location"]) == (location, location)
        assert (await scim.get(f"{endpoint}/{created.body['id']}")).headers["Content-Location"] == location


async def test_a_search_may_come_as_a_body(scim: ScimClient) -> None:
    """RFC 7644 §3.4.3."""
    made = await people(scim)
    search = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": 'title gt "T4"',
        "attributes": ["userName"],
        "sortBy": "userName",
        "sortOrder": "descending",
        "startIndex": 1,
        "count": 1,
    }
    body = (await scim.post("/Users/.search", search)).body
    assert (body["totalResults"], body["itemsPerPage"]) == (2, 1)
    [only] = body["Resources"]
    assert only == {"schemas": only["schemas"], "id": made[6], "userName": USERS[6]}


async def test_a_search_at_the_root_covers_users_and_groups(scim: ScimClient) -> None:
    """RFC 7644 §3.4.2.1: one list over all types; a type that lacks the attribute does not match."""
    made = await people(scim)
    created = await scim.create_group("Cartographers", made[0], externalId="u01")
    everything = (await scim.get("/?count=100")).body
    assert [each["id"] for each in everything["Resources"]] == [*made, created["id"]]
    assert everything["Resources"][-1]["members"][0]["value"] == made[0]
    both = (
        await scim.post("/.search", {"filter": 'externalId eq "u01"', "excludedAttributes": ["members"]})
    ).body
    assert [each["id"] for each in both["Resources"]] == [made[1], created["id"]]
    people_only = (await scim.post("/.search", {"filter": 'userName eq "u01@northwind.example"'})).body
    assert [each["id"] for each in people_only["Resources"]] == [made[1]]
    across = (await scim.get("/?startIndex=7&count=2&excludedAttributes=members")).body
    assert [each["id"] for each in across["Resources"]] == [made[6], created["id"]]
    assert across["totalResults"] == 8


async def test_attributes_narrow_the_answer(scim: ScimClient) -> None:
    """RFC 7644 §3.9."""
    created = await scim.create_user("ida@northwind.example", title="Curator")
    path = f"/Users/{created['id']}"
    only = (await scim.get(f"{path}?attributes=title,emails.value")).body
    assert only == {
        "schemas": created["schemas"],
        "id": created["id"],
        "title": "Curator",
        "emails": [{"value": "ida@northwind.example"}],
    }
    assert "title" not in (await scim.get(f"{path}?excludedAttributes=title")).body


async def test_a_users_groups_are_shown_when_asked_for(scim: ScimClient) -> None:
    created = await scim.create_user("ida@northwind.example")
    group = await scim.create_group("Cartographers", created["id"])
    path = f"/Users/{created['id']}"
    assert "groups" not in (await scim.get(path)).body
    [shown] = (await scim.get(f"{path}?attributes=groups")).body["groups"]
    assert (shown["value"], shown["$ref"]) == (group["id"], group["meta"]["location"])
    [listed] = (await scim.get("/Users?attributes=groups")).body["Resources"]
    assert listed["groups"] == [shown]
    assert len(await ids(scim, "filter=" + quote_plus(f'groups eq "{group["id"]}"'))) == 1


# --- Bulk
# -----------------------------------------------------------------------------------------------------


async def bulk(scim: ScimClient, *operations: dict[str, Any], **options: Any) -> Any:
    schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]
    reply = await scim.post("/Bulk", {"schemas": schemas, "Operations": list(operations), **options})
    assert reply.status == 200, reply.body
    return reply.body["Operations"]


async def test_bulk_resolves_references_between_its_operations(scim: ScimClient) -> None:
    """RFC 7644 §3.7.2: a bulkId stands for the id of what the same request creates."""
    results = await bulk(
        scim,
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": "g",
            "data": {"displayName": "Cartographers", "members": [{"value": "bulkId:u"}]},
        },
        {"method": "POST", "path": "/Users", "bulkId": "u", "data": entra_user("ida@northwind.example")},
        {
            "method": "PATCH",
            "path": "/Users/bulkId:u",
            "data": {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]},
        },
    )
    assert [each["status"] for each in results] == ["201", "201", "200"]
    assert results[0]["bulkId"] == "g"
    user_id = results[1]["location"].rpartition("/")[2]
    assert await scim.member_ids(results[0]["location"].rpartition("/")[2]) == {user_id}
    assert (await scim.get(f"/Users/{user_id}")).body["active"] is False


async def test_bulk_goes_on_after_a_failure_until_told_to_stop(scim: ScimClient) -> None:
    """RFC 7644 §3.7.3: failOnErrors caps the errors accepted."""
    taken = {"method": "POST", "path": "/Users", "bulkId": "x", "data": entra_user("ida@northwind.example")}
    other = {"method": "POST", "path": "/Users", "bulkId": "z", "data": entra_user("bo@northwind.example")}
    await scim.create_user("ida@northwind.example")
    results = await bulk(scim, taken, {"method": "DELETE", "path": "/Users/nobody"}, other)
    assert [each["status"] for each in results] == ["409", "404", "201"]
    assert results[0]["response"]["scimType"] == "uniqueness"
    results = await bulk(scim, taken, {**other, "data": entra_user("cy@northwind.example")}, failOnErrors=1)
    assert [each["status"] for each in results] == ["409"]


@pytest.mark.parametrize(
    "operation",
    [
        {},
        {"method": "GET", "path": "/Users"},
        {"method": "POST", "path": "/Users", "data": {}},
        {"method": "POST", "path": "/Bulk", "bulkId": "b", "data": {}},
        {"method": "POST", "path": "/Users/.search", "bulkId": "b", "data": {}},
        {"method": "PATCH", "path": "/Nothing/1", "data": {}},
        {"method": "POST", "path": "/Users", "bulkId": "b"},
        {"method": "PATCH", "path": "/Users/bulkId:nobody", "data": {"Operations": []}},
    ],
)
async def test_a_bad_operation_fails_alone(scim: ScimClient, operation: dict[str, Any]) -> None:
    good = {"method": "POST", "path": "/Users", "bulkId": "g", "data": entra_user("ida@northwind.example")}
    bad, fine = await bulk(scim, operation, good)
    assert int(bad["status"]) >= 400
    assert bad["response"]["detail"]
    assert fine["status"] == "201"


@pytest.mark.parametrize(
    "body", [{}, {"Operations": {}}, {"Operations": [1]}, {"Operations": [], "failOnErrors": 0}]
)
async def test_what_is_no_bulk_is_refused(scim: ScimClient, body: Any) -> None:
    assert (await scim.post("/Bulk", body)).status == 400


# --- Discovery
# ------------------------------------------------------------------------------------------------


async def test_discovery_says_what_is_there(scim: ScimClient) -> None:
    """RFC 7644 §4."""
    config = (await scim.get("/ServiceProviderConfig")).body
    for feature in ("patch", "bulk", "filter", "sort", "etag"):
        assert config[feature]["supported"] is True
    assert config["changePassword"]["supported"] is False
    assert config["pagination"]["cursor"] is True
    types = (await scim.get("/ResourceTypes")).body["Resources"]
    assert [(each["id"], each["endpoint"]) for each in types] == [("User", "/Users"), ("Group", "/Groups")]
    for each in types:
        location = each["meta"]["location"].removeprefix("https://leaver.example/api/scim/v2")
        assert (await scim.get(location)).body == each
        assert (await scim.get(f"/Schemas/{each['schema']}")).status == 200
    assert (await scim.get("/Schemas/urn:example:nothing")).status == 404


@pytest.mark.parametrize("endpoint", ["ServiceProviderConfig", "ResourceTypes", "Schemas"])
async def test_discovery_takes_no_filter(scim: ScimClient, endpoint: str) -> None:
    """RFC 7644 §4: a filter on a discovery endpoint should be answered 403."""
    assert (await scim.get(f"/{endpoint}?filter=id+pr")).status == 403


async def test_people_with_several_work_addresses_are_found_by_each(scim: ScimClient) -> None:
    """The index on the work address must never hide anybody: Entra is to hear of two matches."""
    work = [{"type": "work", "value": "ida@x.example"}, {"type": "Work", "value": "ida@y.example"}]
    both = await scim.create_user("ida", emails=work)
    one = await scim.create_user("bo", emails=[{"type": "work", "value": "ida@y.example"}])
    await scim.create_user("cy", emails=[{"type": "home", "value": "ida@y.example"}])
    for address, expected in (("IDA@x.example", [both["id"]]), ("ida@y.example", [both["id"], one["id"]])):
        filter_ = f'emails[type eq "work"].value eq "{address}"'
        assert await ids(scim, "filter=" + quote_plus(filter_)) == expected
    assert (
        len(await ids(scim, "filter=" + quote_plus('emails[type eq "home"].value eq "ida@y.example"'))) == 1
    )


DECLARED = "urn:northwind:params:badges:1.0:User"


async def test_the_mapping_of_a_connection_declares_custom_extensions(scim: ScimClient) -> None:
    """Any URN, not only Entra's pattern; discovered by Entra's mapping page like a schema of the RFC."""
    policy = replace(
        scim.connection.policy, mapping={"userName": "userPrincipalName", f"{DECLARED}:colour": "city"}
    )
    await scim.database.write(
        lambda writing: connections.set_policy(writing, scim.connection.tenant_id, scim.connection.id, policy)
    )
    created = await scim.create_user("ida@northwind.example", **{DECLARED: {"colour": "blue"}})
    assert created[DECLARED] == {"colour": "blue"}
    assert len(await ids(scim, "filter=" + quote_plus(f'{DECLARED}:colour eq "BLUE"'))) == 1
    schema = (await scim.get(f"/Schemas/{DECLARED}")).body
    assert [each["name"] for each in schema["attributes"]] == ["colour"]
    extensions = (await scim.get("/ResourceTypes/User")).body["schemaExtensions"]
    assert {"schema": DECLARED, "required": False} in extensions


@pytest.mark.parametrize("start", [0, -5])
async def test_a_start_before_the_first_is_the_first(scim: ScimClient, start: int) -> None:
    """RFC 7644 §3.4.2.4: "A value less than 1 SHALL be interpreted as 1."."""
    await people(scim)
    assert (await scim.get(f"/Users?startIndex={start}&count=2")).body["startIndex"] == 1


async def test_everything_contains_nothing(scim: ScimClient) -> None:
    """`co` with an empty operand is true of every value, as `sw` and `ew` are; not of a missing one."""
    made = await people(scim)
    for operator in ("co", "sw", "ew"):
        reply = await scim.get(f"/Users?filter=userName+{operator}+%22%22&count=100")
        assert reply.body["totalResults"] == len(made)
        assert (await scim.get(f"/Users?filter=locale+{operator}+%22%22")).body["totalResults"] == 0


@pytest.mark.parametrize(
    ("method", "path", "options", "words"),
    [
        pytest.param(
            "GET", "/Users?filter=userName+eq", {}, ["cannot be read", "matching attribute"], id="filter"
        ),
        pytest.param(
            "PATCH", "/Users/{id}", {"path": "emails["}, ["'emails['", "Entra's mapping"], id="path"
        ),
        pytest.param("DELETE", "/Users", {}, ["takes GET, POST only", "tenant URL"], id="method"),
        pytest.param("PATCH", "/Users/{id}", {"If-Match": 'W/"99"'}, ["read it again"], id="version"),
        pytest.param(
            "POST", "/Users", {"Content-Type": "text/xml"}, ["application/scim+json", "proxy"], id="media"
        ),
    ],
)
async def test_a_refusal_tells_the_admin_what_to_do(
    scim: ScimClient, method: str, path: str, options: dict[str, str], words: list[str]
) -> None:
    """issue 4: a `detail` "that tells an admin reading Entra's provisioning log what to do"."""
    user = await scim.create_user("ida@northwind.example")
    headers = {name: value for name, value in options.items() if name != "path"}
    operation = {"op": "replace", "path": options.get("path", "title"), "value": "x"}
    body = None if method in ("GET", "DELETE") else {"Operations": [operation]}
    reply = await scim.send(method, path.format(id=user["id"]), body, headers=headers)
    assert reply.status >= 400
    assert [word for word in words if word not in reply.body["detail"]] == []


async def test_a_refusal_names_what_is_in_the_way(scim: ScimClient) -> None:
    """409, 404 and a member that is not there: the three an admin meets most."""
    group = await scim.create_group("Cartographers")
    taken = (await scim.post("/Groups", {"displayName": "CARTOGRAPHERS"})).body["detail"]
    assert "Another group" in taken
    await scim.create_user("ida@northwind.example")
    taken = (await scim.post("/Users", {"userName": "Ida@northwind.example"})).body["detail"]
    assert "userName" in taken
    assert "on demand" in (await scim.delete("/Users/nobody")).body["detail"]
    strangers = [{"value": f"stranger-{number}"} for number in range(5)]
    reply = await scim.patch(f"/Groups/{group['id']}", {"op": "Add", "path": "members", "value": strangers})
    assert (reply.status, "stranger-" in reply.body["detail"]) == (400, True)
    assert "and 2 more" in reply.body["detail"]
