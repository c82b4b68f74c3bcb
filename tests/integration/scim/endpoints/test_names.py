"""One notion of the same name at the endpoints, on both databases (RFC 7644 §5)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.builders.scim_client import ENTERPRISE, ScimClient

COMPOSED, DECOMPOSED = "José", "Jose\u0301"


async def found(scim: ScimClient, endpoint: str, expression: str) -> int:
    reply = await scim.get(f"/{endpoint}?filter={quote(expression)}")
    assert reply.status == 200, reply.body
    total: int = reply.body["totalResults"]
    return total


@pytest.mark.parametrize("name", [f"{DECOMPOSED}@x.example", f" {COMPOSED}@x.example ", "JOSÉ@X.example"])
async def test_another_spelling_of_a_user_name_is_taken(scim: ScimClient, name: str) -> None:
    await scim.create_user(f"{COMPOSED}@x.example")
    assert (await scim.post("/Users", {"userName": name})).status == 409


async def test_another_spelling_of_a_group_is_taken(scim: ScimClient) -> None:
    await scim.create_group(f"{COMPOSED} Straße")
    assert (await scim.post("/Groups", {"displayName": f"{DECOMPOSED} STRASSE "})).status == 409


async def test_filters_find_every_spelling(scim: ScimClient) -> None:
    await scim.create_user(
        f"{COMPOSED}@x.example", displayName=f"{COMPOSED} Straße", externalId=DECOMPOSED, title=DECOMPOSED
    )
    for spelling in (COMPOSED, DECOMPOSED, COMPOSED.upper()):
        for expression in (
            f'userName eq "{spelling}@x.example"',
            f'userName sw "{spelling}"',
            f'displayName co "{spelling} strasse"',
            f'title eq "{spelling}"',
            f'emails[type eq "work"].value eq "{spelling}@x.example"',
            f'emails[type eq "work"] eq "{spelling}@x.example"',
        ):
            assert await found(scim, "Users", expression) == 1, expression
    assert await found(scim, "Users", f'externalId eq "{COMPOSED} "') == 1
    assert await found(scim, "Users", f'externalId eq "{COMPOSED.upper()}"') == 0  # caseExact


@pytest.mark.parametrize(
    ("path", "value", "now", "before"),
    [
        ("userName", "ida.lee@x.example", 'userName eq "ida.lee@x.example"', 'userName eq "ida@x.example"'),
        ("displayName", "Ida Lee", 'displayName eq "ida lee"', 'displayName eq "ida"'),
        ("externalId", "ida.lee", 'externalId eq "ida.lee"', 'externalId eq "ida"'),
        (
            'emails[type eq "work"].value',
            "lee@x.example",
            'emails[type eq "work"].value eq "lee@x.example"',
            'emails[type eq "work"].value eq "ida@x.example"',
        ),
    ],
)
async def test_who_was_renamed_is_found_by_the_new_name_alone(
    scim: ScimClient, path: str, value: str, now: str, before: str
) -> None:
    """Updates that keep all names leave their keys alone; any of these is a name."""
    ida = await scim.create_user("ida@x.example", displayName="Ida", externalId="ida")
    assert await found(scim, "Users", before) == 1
    operation = {"op": "replace", "path": path, "value": value}
    assert (await scim.patch(f"/Users/{ida['id']}", operation)).status in (200, 204)
    assert (await found(scim, "Users", now), await found(scim, "Users", before)) == (1, 0)


async def test_a_long_name_is_found_by_what_it_holds(scim: ScimClient) -> None:
    """Its key ends in a digest."""
    await scim.create_user("ida@x.example", displayName="É" * 250 + "end")
    assert await found(scim, "Users", 'displayName ew "END"') == 1
    assert await found(scim, "Users", 'displayName sw "éé"') == 1


@pytest.mark.parametrize("name", ["admin\u200b", "\u202eadmin", "ad\u0007min"])
async def test_a_name_with_a_hidden_character_is_refused(scim: ScimClient, name: str) -> None:
    for endpoint, attribute in (("Users", "userName"), ("Groups", "displayName")):
        reply = await scim.post(f"/{endpoint}", {attribute: name})
        assert (reply.status, reply.body["scimType"]) == (400, "invalidValue")
        assert f"'{attribute}'" in reply.body["detail"]
        assert name not in reply.body["detail"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "nobody-1"},
        {"op": "replace", "value": {ENTERPRISE: {"manager": {"value": "nobody-1"}}}},
    ],
)
async def test_a_manager_who_is_no_user_is_told_in_the_log(scim: ScimClient, operation: Any) -> None:
    boss = await scim.create_user("boss@x.example")
    user = await scim.create_user("ada@x.example", **{ENTERPRISE: {"manager": {"value": boss["id"]}}})
    assert not any("manager" in (step.detail or "") for step in (await scim.log())[0].steps)
    assert (await scim.patch(f"/Users/{user['id']}", operation)).status == 200
    assert any("manager nobody-1 is no user" in (step.detail or "") for step in (await scim.log())[0].steps)


async def test_what_changes_nothing_leaves_the_version(scim: ScimClient) -> None:
    user = await scim.create_user("ada@x.example")
    group = await scim.create_group("Cartographers", user["id"])
    work = {"type": "work", "value": "ada@x.example", "primary": True}
    for resource, operations in (
        (f"/Users/{user['id']}", [{"op": "add", "path": "emails", "value": [work]}]),
        (f"/Users/{user['id']}", []),
        (f"/Groups/{group['id']}", []),
    ):
        before = (await scim.get(resource)).headers["ETag"]
        assert (await scim.patch(resource, *operations)).status in (200, 204)
        assert (await scim.get(resource)).headers["ETag"] == before
