"""Sessions, receipts and history by the admin API, as the vendor's app uses them."""

from __future__ import annotations

from store.database import Database
from store.directory import sessions
from store.records import DisableUser, UserId
from tests.builders.api_client import ApiDesk
from tests.builders.store_rows import perform


async def test_the_app_keeps_a_result_and_acknowledges_the_end_of_access(
    desk: ApiDesk, database: Database
) -> None:
    """Issue 11: history is written and read, a receipt is acknowledged once."""
    user = f"/connections/{desk.connection.id}/users/{desk.user}"
    body = {"title": "Reading", "score": 97, "document": {"answers": [1]}, "idempotency_key": "k"}
    first = await desk.contoso.send("POST", f"{user}/results", body)
    again = await desk.contoso.send("POST", f"{user}/results", body)
    assert (first.status, again.json["id"]) == (201, first.json["id"])
    other = await desk.contoso.send("POST", f"{user}/results", {**body, "score": 1})
    assert (other.status, other.problem) == (422, "invalid-value")
    await database.write(lambda conn: sessions.start(conn, desk.connection.tenant_id, UserId(desk.user)))

    await perform(database, desk.connection, DisableUser(UserId(desk.user)))

    receipts = f"/connections/{desk.connection.id}/receipts"
    [receipt] = (await desk.contoso.get(receipts)).json["items"]
    assert [each["kind"] for each in receipt["ended"]] == ["session"]
    done = await desk.contoso.send("PUT", f"{receipts}/{receipt['id']}/acknowledgement")
    assert done.json["acknowledged_by"].startswith("api:")
    assert (await desk.contoso.get(receipts)).json["items"] == []
    kept = await desk.contoso.get(f"{user}/history")
    assert [each["title"] for each in kept.json["accounts"][0]["results"]] == ["Reading"]
    erased = await desk.contoso.send("POST", f"{user}/history/erasures", {"reason": "Art. 17"})
    assert (erased.status, erased.json["erasures"][0]["results"]) == (201, 1)


async def test_an_app_that_keeps_its_own_keys_registers_ends_and_acknowledges_them(
    desk: ApiDesk, database: Database
) -> None:
    """Issue 11: "they appear in the receipt and must be acknowledged"; by the feed's cursor here."""
    keys = f"/connections/{desk.connection.id}/users/{desk.user}/app-keys"
    made = [
        (await desk.contoso.post(keys, {"kind": kind, "reference": reference})).json
        for kind, reference in (("app_session", "s-1"), ("app_key", "k-1"))
    ]
    signed_out = await desk.contoso.send(
        "DELETE", f"/connections/{desk.connection.id}/app-keys/{made[0]['id']}"
    )
    assert (signed_out.json["state"], signed_out.json["end_reason"]) == ("ended", "ended by the app")
    assert [each["state"] for each in (await desk.contoso.get(keys)).json["items"]] == ["live", "ended"]

    await perform(database, desk.connection, DisableUser(UserId(desk.user)))

    refused = await desk.contoso.post(keys, {"kind": "app_key", "reference": "k-2"})
    assert (refused.status, refused.problem) == (409, "conflict")
    feed = (await desk.contoso.get("/events", types="session.revoked")).json
    assert [each["reference"] for each in feed["items"][0]["data"]["ended"]] == ["k-1"]
    receipts = f"/connections/{desk.connection.id}/receipts"
    assert len((await desk.contoso.get(receipts)).json["items"]) == 1
    for acknowledged in (1, 0):
        done = await desk.contoso.post("/events/acknowledgement", {"through": feed["next"]})
        assert done.json == {"acknowledged": acknowledged}
    assert (await desk.contoso.get(receipts)).json["items"] == []
    ahead = feed["next"].rpartition(".")[0] + ".999999"
    assert (
        await desk.contoso.post("/events/acknowledgement", {"through": ahead})
    ).problem == "invalid-cursor"
