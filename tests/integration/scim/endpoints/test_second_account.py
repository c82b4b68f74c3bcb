"""One live account for a person (identity.md, W1): what the push is told, and what the pull is asked to look at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from store.directory import sessions, users
from store.records import UserId
from store.records.drift import ConflictKind
from store.sync import push_conflicts
from store.tenancy import connections
from tests.builders.scim_client import ScimClient, entra_user

OBJECT_ID = "2f1e0d3c-6b5a-4c7d-8e9f-0a1b2c3d4e5f"


@pytest.fixture(autouse=True)
async def with_graph(scim: ScimClient) -> None:
    """The connection has a pull, whose next cycle is an hour away."""
    scope = scim.connection.tenant_id, scim.connection.id
    later = datetime.now(UTC) + timedelta(hours=1)
    await scim.database.write(lambda conn: connections.set_credential(conn, *scope, "sealed"))
    await scim.database.write(lambda conn: connections.schedule(conn, *scope, later))


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
async def test_a_second_account_is_refused_by_name_with_what_heals_it_and_wakes_the_pull(
    scim: ScimClient, method: str
) -> None:
    first = await scim.create_user("ida@northwind.example", externalId=OBJECT_ID)
    second = await scim.create_user("ben@northwind.example", externalId="ben")

    if method == "POST":
        reply = await scim.post("/Users", entra_user("ida.new@northwind.example", externalId=OBJECT_ID))
    elif method == "PUT":
        body = entra_user("ben@northwind.example", externalId=OBJECT_ID)
        reply = await scim.put(f"/Users/{second['id']}", body)
    else:
        change = {"op": "Replace", "path": "externalId", "value": OBJECT_ID}
        reply = await scim.patch(f"/Users/{second['id']}", change)

    assert (reply.status, reply.body["scimType"]) == (409, "uniqueness")
    assert first["id"] in reply.body["detail"]
    assert "ida@northwind.example" in reply.body["detail"]
    assert "full reset" in reply.body["detail"]
    scope = scim.connection.tenant_id, scim.connection.id
    async with scim.database.reading() as conn:
        [conflict] = await push_conflicts.load(conn, *scope)
        due = (await connections.get(conn, *scope)).next_due_at
    is_new = method == "POST"
    assert conflict.kind is (ConflictKind.SECOND_ACCOUNT if is_new else ConflictKind.ANCHOR_BROKEN)
    assert (conflict.account_id, conflict.other_id) == ("" if is_new else second["id"], first["id"])
    assert conflict.object_id == OBJECT_ID
    assert due is not None
    assert due <= datetime.now(UTC), "due at once"


async def test_a_name_that_the_push_gives_to_another_account_seals_the_one_of_which_no_holder_is_known(
    scim: ScimClient,
) -> None:
    """W6: names swapped before the first reading; linked by names, each would open the other's account."""
    ida = await scim.create_user("ida@northwind.example", externalId="ida")
    ben = await scim.create_user("ben@northwind.example", externalId="ben")
    proved = await scim.create_user("eva@northwind.example", externalId=OBJECT_ID)
    tenant_id = scim.connection.tenant_id
    _, secret = await scim.database.write(lambda conn: sessions.start(conn, tenant_id, UserId(ida["id"])))

    gone = await scim.create_user("gil@northwind.example", externalId="gil", active=False)
    for name in ("ida@northwind.example", "eva@northwind.example", "gil@northwind.example"):
        change = {"op": "Replace", "path": "userName", "value": name}
        assert (await scim.patch(f"/Users/{ben['id']}", change)).status == 409

    async with scim.database.reading() as conn:
        sealed = [
            (await users.get(conn, tenant_id, UserId(each["id"]))).sealed_at is not None
            for each in (ida, ben, proved, gone)
        ]
        assert await sessions.find_live(conn, secret) is None
    assert sealed == [True, False, False, True], "without access too: the history is handed over with it"


async def test_a_disable_that_claims_anothers_object_id_is_applied_as_sent(scim: ScimClient) -> None:
    await scim.create_user("ida@northwind.example", externalId=OBJECT_ID)
    second = await scim.create_user("ben@northwind.example", externalId="ben")

    reply = await scim.patch(
        f"/Users/{second['id']}",
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "externalId", "value": OBJECT_ID},
    )

    assert reply.status == 200
    assert (reply.body["active"], reply.body["externalId"]) == (False, OBJECT_ID)


async def test_a_name_that_is_taken_names_who_has_it(scim: ScimClient) -> None:
    first = await scim.create_user("ida@northwind.example")

    reply = await scim.post("/Users", entra_user("IDA@northwind.example", externalId="other"))

    assert reply.status == 409
    assert f"ida@northwind.example (id {first['id']})" in reply.body["detail"]
