"""Searching all resource types at once: GET / and POST /.search (RFC 7644 §3.4.2.1, §3.4.3; cursors RFC 9865)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from store.tenancy import api_tokens
from tests.builders.scim_client import ScimClient

Key = Callable[[Any], Any]
TEAMS = {"b-team", "c-team", "a-team", "D-team", "E-team", "f-team"}


async def furnish(scim: ScimClient) -> list[Any]:
    """Create users and groups whose names interleave; some have no displayName, some share one."""
    names = ["delta", "Alpha", None, "charlie", "alpha", None]
    made = []
    for number, name in enumerate(names):
        made.append(await scim.create_user(f"u{number}@northwind.example", displayName=name))
        made.append(await scim.create_group(f"{'bcaDEf'[number]}-team", externalId=f"g{number}"))
    return made


def kind(resource: Any) -> int:
    return 0 if resource["meta"]["resourceType"] == "User" else 1


async def everything(scim: ScimClient, **request: Any) -> list[Any]:
    """Walk the pages of POST /.search by cursor, and back again from the last."""
    pages = [(await scim.post("/.search", {**request, "cursor": ""})).body]
    while "nextCursor" in pages[-1]:
        reply = await scim.post("/.search", {**request, "cursor": pages[-1]["nextCursor"]})
        assert reply.status == 200, reply.body
        pages.append(reply.body)
    for former, page in zip(reversed(pages[:-1]), reversed(pages), strict=False):
        back = await scim.post("/.search", {**request, "cursor": page["previousCursor"]})
        assert [each["id"] for each in back.body["Resources"]] == [each["id"] for each in former["Resources"]]
    assert len({page["totalResults"] for page in pages}) == 1
    found = [each for page in pages for each in page["Resources"]]
    assert len(found) == pages[0]["totalResults"]
    return found


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("sort_by", "key"),
    [
        ("displayName", lambda each: (each.get("displayName") or "").lower() or None),
        ("id", lambda each: each["id"]),
        ("externalId", lambda each: each.get("externalId")),
        ("userName", lambda each: each.get("userName")),
        ("meta.created", lambda each: each["meta"]["created"]),
        ("meta.lastModified", lambda each: each["meta"]["lastModified"]),
        ("active", lambda each: each.get("active")),
        ("emails.value", lambda each: each["emails"][0]["value"] if "emails" in each else None),
        ("nothing", lambda _: None),
    ],
)
async def test_both_types_are_sorted_as_one_list(
    scim: ScimClient, sort_by: str, key: Key, descending: bool
) -> None:
    """RFC 7644 §3.4.2.3: what lacks the attribute comes last ascending, first descending."""
    made = await furnish(scim)
    order = "descending" if descending else "ascending"
    found = await everything(scim, sortBy=sort_by, sortOrder=order, count=5)

    by_creation = sorted(made, key=kind)
    having = [each for each in by_creation if key(each) is not None]
    lacking = [each for each in by_creation if key(each) is None]
    having.sort(key=key, reverse=descending)
    if descending:  # a sort in reverse keeps equals in order, and so does the database
        expected = lacking + having
    else:
        expected = having + lacking
    assert [each["id"] for each in found] == [each["id"] for each in expected]


@pytest.mark.parametrize("count", [1, 3, 4, 100])
async def test_a_page_is_found_by_its_index_too(scim: ScimClient, count: int) -> None:
    """RFC 7644 §3.4.2.4: `totalResults` is exact, `startIndex` is echoed, pages neither overlap nor miss any."""
    made = await furnish(scim)
    for order in ("", "&sortBy=displayName", "&sortBy=meta.created&sortOrder=descending"):
        ids: list[str] = []
        for start in range(1, 13, count):
            page = (await scim.get(f"/?startIndex={start}&count={count}{order}")).body
            assert (page["totalResults"], page["startIndex"]) == (12, start)
            assert page["itemsPerPage"] == len(page["Resources"]) == min(count, 13 - start)
            ids += [each["id"] for each in page["Resources"]]
        assert sorted(ids) == sorted(each["id"] for each in made)
    assert (await scim.get("/?count=0")).body["totalResults"] == 12
    beyond = (await scim.get("/?startIndex=13&count=5")).body
    assert (beyond["totalResults"], beyond["Resources"]) == (12, [])


async def test_users_come_before_groups_where_nothing_else_orders_them(scim: ScimClient) -> None:
    """So that pages stay stable while rows are added."""
    made = await furnish(scim)
    found = await everything(scim, count=5)
    assert [each["id"] for each in found] == [each["id"] for each in sorted(made, key=kind)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('displayName sw "a"', {"Alpha", "alpha", "a-team"}),
        ('displayName sw "a" and userName pr', {"Alpha", "alpha"}),
        ('externalId eq "g1" or externalId eq "u1"', {"c-team", "Alpha"}),
        (
            'meta.resourceType eq "Group" and displayName co "e"',
            TEAMS,
        ),
        ('userName eq "u3@northwind.example"', {"charlie"}),
        ("not (userName pr)", TEAMS),
        ('members pr or emails[value sw "u0"]', {"delta"}),
    ],
)
async def test_a_filter_means_something_for_each_type(
    scim: ScimClient, expression: str, expected: set[str]
) -> None:
    """RFC 7644 §3.4.2.1: an attribute that a type lacks has no value there."""
    await furnish(scim)
    found = await everything(scim, filter=expression, sortBy="displayName", count=2)
    assert {each["displayName"] for each in found} == expected
    by_get = (await scim.get(f"/?filter={quote(expression)}")).body
    assert by_get["totalResults"] == len(expected)


async def test_a_cursor_belongs_to_its_search(scim: ScimClient) -> None:
    """RFC 9865 §2: a cursor used with another query is refused."""
    await furnish(scim)
    first = (await scim.post("/.search", {"count": 2, "cursor": "", "sortBy": "displayName"})).body
    cursor = first["nextCursor"]
    for changed in ({"sortBy": "id"}, {"filter": "userName pr"}, {"sortOrder": "descending"}):
        request = {"count": 2, "cursor": cursor, "sortBy": "displayName", **changed}
        reply = await scim.post("/.search", request)
        assert (reply.status, reply.body["scimType"]) == (400, "invalidCursor")
    elsewhere = await scim.get(f"/Users?count=2&sortBy=displayName&cursor={cursor}")
    assert (elsewhere.status, elsewhere.body["scimType"]) == (400, "invalidCursor")


async def test_a_walk_by_cursor_neither_repeats_nor_skips_while_rows_come_and_go(scim: ScimClient) -> None:
    """RFC 9865 §1: that is what cursors are for."""
    made = await furnish(scim)
    seen = []
    cursor = ""
    for turn in range(20):
        page = (await scim.post("/.search", {"count": 2, "cursor": cursor, "sortBy": "displayName"})).body
        seen += [each["id"] for each in page["Resources"]]
        if "nextCursor" not in page:
            break
        cursor = page["nextCursor"]
        await scim.create_group(f"000 {turn}")  # before the place where we are
        if turn == 1:
            await scim.delete(
                f"/Users/{seen[0]}" if kind(page["Resources"][0]) == 0 else f"/Groups/{seen[0]}"
            )
    assert sorted(seen) == sorted(each["id"] for each in made)


async def test_what_a_token_may_not_read_is_not_in_the_list(scim: ScimClient) -> None:
    """RFC 7644 §3.4.2: results may be limited by what the client may see."""
    await furnish(scim)
    connection = scim.connection
    for section, total in (("admin:user", 6), ("admin:group", 6), ("admin:report", None)):
        _, secret = await scim.database.write(
            lambda writing, section=section: api_tokens.create(  # type: ignore[misc]
                writing, connection.tenant_id, connection.id, "part", [f"{section}:read"]
            )
        )
        part = ScimClient(scim.http, secret, scim.database, connection)
        reply = await part.post("/.search", {"sortBy": "displayName", "excludedAttributes": ["members"]})
        assert (reply.status, reply.body.get("totalResults")) == ((200, total) if total else (403, None))


async def test_a_token_for_users_alone_passes_test_connection(scim: ScimClient) -> None:
    """Setup guide: a key with the section Admin:user; Entra probes both endpoints all the same."""
    connection = scim.connection
    _, secret = await scim.database.write(
        lambda writing: api_tokens.create(
            writing, connection.tenant_id, connection.id, "users", ["admin:user:*"]
        )
    )
    await scim.create_group("Cartographers")
    users = ScimClient(scim.http, secret, scim.database, connection)
    for path in ("/Users?filter=userName+eq+%22x%22", "/Groups?filter=displayName+eq+%22Cartographers%22"):
        reply = await users.get(path)
        assert (reply.status, reply.body["totalResults"]) == (200, 0)
    for reply in (await users.get("/Groups"), await users.post("/Groups", {"displayName": "Cartographers"})):
        assert (reply.status, "admin:group:" in reply.body["detail"]) == (403, True)


async def test_a_filter_that_no_index_answers_has_few_comparisons(scim: ScimClient) -> None:
    """Each is made with every row; where an index answers, there may be many more."""

    async def status(attribute: str, operator: str, number: int) -> tuple[int, str]:
        filter_ = " or ".join(f'{attribute} {operator} "x{each}"' for each in range(number))
        reply = await scim.get(f"/Users?filter={quote(filter_)}")
        return reply.status, str(reply.body)

    assert (await status("title", "co", 5))[0] == 200
    assert (await status("userName", "eq", 50))[0] == 200
    refused = await status("title", "co", 6)
    assert refused[0] == 400
    assert "invalidFilter" in refused[1]
    assert "LEAVER_SCIM_MAX_SCAN_TERMS" in refused[1]


@pytest.mark.parametrize("start", [1, 3, 6, 7, 100])
async def test_a_page_of_a_filter_says_how_many_match_wherever_it_begins(
    scim: ScimClient, start: int
) -> None:
    """The rows are judged once, for the page and for the number."""
    await furnish(scim)
    filter_ = quote('userName co "U" and not (title co "x")')
    for order in ("", "&sortBy=userName&sortOrder=descending"):
        page = (await scim.get(f"/Users?filter={filter_}&startIndex={start}&count=2{order}")).body
        names = [each["userName"][:2] for each in page["Resources"]]
        everyone = [f"u{number}" for number in range(6)]
        ordered = everyone[::-1] if order else everyone
        assert (page["totalResults"], names) == (6, ordered[start - 1 : start + 1])


async def test_comparisons_with_one_list_are_each_fulfilled_by_some_value(scim: ScimClient) -> None:
    """The list is read once for all of them, and the answer is that of one after the other."""
    for name, addresses in (
        ("both", ["ä@one.example", "b@two.example"]),
        ("one", ["ä@one.example"]),
        ("none", []),
    ):
        emails = [{"type": f"t{number}", "value": each} for number, each in enumerate(addresses)]
        await scim.create_user(name, emails=emails)
    one, two, upper = (
        'emails.value co "one"',
        'emails[value co "two" and type eq "t1"]',
        'emails.value sw "Ä@"',
    )
    expected = {
        f"{one} and {two}": {"both"},
        f"{one} or {two}": {"both", "one"},
        f"{upper} and {one} and userName pr": {"both", "one"},
        f"{two} or {upper} or {one}": {"both", "one"},
        f"not ({one} and {two})": {"one", "none"},
        f"not ({one} or {two})": {"none"},
        f'{one} and emails.value ne "b@two.example"': {"one"},
        f'{two} or emails.value ne "ä@one.example"': {"both", "none"},
    }
    found = {
        each: {
            user["userName"] for user in (await scim.get(f"/Users?filter={quote(each)}")).body["Resources"]
        }
        for each in expected
    }
    assert found == expected
