"""What a push means for a person's access: it ends with the answer, history stays, and who returns is the same person."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest

from store.directory import assessment_results, sessions, users
from store.errors import AccessRefused
from store.records import CycleKind, UserId
from store.sync import cycles
from store.tenancy import connections
from tests.builders.scim_client import PATCH_OP, ScimClient, entra_user

NAME = "ida@northwind.example"
OBJECT_ID, ANOTHER_ID = "2f1e0d3c-6b5a-4c7d-8e9f-0a1b2c3d4e5f", "9b8a7c6d-5e4f-4210-8c8b-7a6d5e4f3a21"


async def signed_in(scim: ScimClient, user_id: str) -> str:
    """Sign a user in; gives the secret of the session."""
    tenant_id = scim.connection.tenant_id
    _, secret = await scim.database.write(lambda conn: sessions.start(conn, tenant_id, UserId(user_id)))
    return secret


async def has_access(scim: ScimClient, user_id: str, secret: str) -> tuple[bool, bool]:
    """Whether the session lives, and whether a new one can be had."""
    async with scim.database.reading() as reading:
        lives = await sessions.find_live(reading, secret) is not None
    try:
        await signed_in(scim, user_id)
    except AccessRefused:
        return lives, False
    return lives, True


async def titles(scim: ScimClient, user_id: str) -> list[str]:
    """What the vendor's app knows of a person."""
    async with scim.database.reading() as reading:
        found = await assessment_results.list_for_user(reading, scim.connection.tenant_id, UserId(user_id))
    return [each.title for each in found]


WAYS_OUT = [
    pytest.param(
        "PATCH", {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}, id="Entra"
    ),
    pytest.param("PATCH", {"Operations": [{"op": "replace", "value": {"active": False}}]}, id="RFC 7644"),
    pytest.param("PUT", entra_user(NAME, active=False), id="PUT"),
    pytest.param("DELETE", None, id="DELETE"),
]


@pytest.mark.parametrize("by", ["itself", "Bulk"])
@pytest.mark.parametrize(("method", "body"), WAYS_OUT)
async def test_who_is_taken_out_has_no_access_when_the_answer_comes(
    scim: ScimClient, method: str, body: Any, by: str
) -> None:
    """Invariant I3: "no live session and cannot start one: from the same commit on", whatever Entra sends."""
    person, colleague = [(await scim.create_user(name))["id"] for name in (NAME, "ben@northwind.example")]
    secret, other_secret = await signed_in(scim, person), await signed_in(scim, colleague)
    assert await has_access(scim, person, secret) == (True, True)
    if body is not None and method == "PATCH":
        body = {"schemas": [PATCH_OP], **body}
    if by == "Bulk":
        operation = {"method": method, "path": f"/Users/{person}", **({} if body is None else {"data": body})}
        assert (await scim.post("/Bulk", {"Operations": [operation]})).status == 200
    else:
        assert (await scim.send(method, f"/Users/{person}", body)).status in (200, 204)
    assert await has_access(scim, person, secret) == (False, False)
    assert await has_access(scim, colleague, other_secret) == (True, True), "nobody else is touched"


@pytest.mark.parametrize("way_back", ["re-activated", "created again", "created under another name"])
async def test_who_returns_is_the_same_person_with_their_history(scim: ScimClient, way_back: str) -> None:
    """Invariant I8, and design.md §4: the same row, the same history; a session that died stays dead."""
    person = (await scim.create_user(NAME, externalId=OBJECT_ID))["id"]
    tenant_id, path = scim.connection.tenant_id, f"/Users/{person}"
    await scim.database.write(
        lambda conn: assessment_results.add(conn, tenant_id, UserId(person), "Reading", 97)
    )
    secret = await signed_in(scim, person)
    if way_back == "re-activated":
        for active in (False, True):
            assert (
                await scim.patch(path, {"op": "replace", "path": "active", "value": active})
            ).status == 200
    else:
        assert (await scim.delete(path)).status == 204
        assert (await scim.get(path)).status == 404
        name = NAME if way_back == "created again" else "ida.berg@northwind.example"
        assert (await scim.create_user(name, externalId=OBJECT_ID))["id"] == person
    assert await has_access(scim, person, secret) == (False, True)
    assert await titles(scim, person) == ["Reading"]
    assert len([entry for entry in await scim.log() if entry.subject_id == person]) == 3


async def test_somebody_else_of_that_name_does_not_inherit(scim: ScimClient) -> None:
    """A userName that is free again is given to another person one day: two object ids are two people."""
    person = (await scim.create_user(NAME, externalId=OBJECT_ID))["id"]
    tenant_id = scim.connection.tenant_id
    await scim.database.write(
        lambda conn: assessment_results.add(conn, tenant_id, UserId(person), "Reading", 97)
    )
    await scim.delete(f"/Users/{person}")
    another = (await scim.create_user(NAME, externalId=ANOTHER_ID))["id"]
    assert another != person
    assert (await titles(scim, person), await titles(scim, another)) == (["Reading"], [])


@pytest.mark.parametrize(
    ("asked", "is_noted"),
    [
        (f'userName eq "{NAME}"', True),
        ('externalId eq "ida"', True),
        ('userName eq "nobody@northwind.example"', False),
        (f'displayName eq "{NAME}"', False),
        ('userName sw "ida"', False),
    ],
)
async def test_a_match_query_that_finds_exactly_one_account_is_noted(
    scim: ScimClient, asked: str, is_noted: bool
) -> None:
    """identity.md, W3: Entra finds, sends nothing, and anchors: the query is all that one sees of it."""
    scope = scim.connection.tenant_id, scim.connection.id
    await scim.database.write(lambda conn: connections.set_credential(conn, *scope, "sealed"))
    ida = await scim.create_user(NAME, externalId="ida")

    assert (await scim.get(f"/Users?filter={quote(asked)}")).status == 200

    async with scim.database.reading() as reading:
        found = await users.get(reading, scope[0], UserId(ida["id"]))
    assert (found.push_found_at is not None) is is_noted
    assert found.version == 1


async def test_a_match_is_noted_again_once_a_cycle_has_begun_since(scim: ScimClient) -> None:
    """identity.md, W2 and W3: what counts is whether the push found the account since a reading began."""
    scope = scim.connection.tenant_id, scim.connection.id
    ida = UserId((await scim.create_user(NAME, externalId="ida"))["id"])

    async def found_at() -> datetime:
        assert (await scim.get("/Users?filter=" + quote(f'userName eq "{NAME}"'))).status == 200
        async with scim.database.reading() as reading:
            at = (await users.get(reading, scope[0], ida)).push_found_at
        assert at is not None
        return at

    first = await found_at()
    assert await found_at() == first, "no cycle began in between: one note says it"
    begun = await scim.database.write(lambda conn: cycles.start(conn, *scope, CycleKind.FULL))
    assert await found_at() > begun.started_at
