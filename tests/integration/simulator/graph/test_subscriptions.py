"""`/subscriptions` of the simulated Graph, and what is delivered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.builders.simulator.client import Answer, SimulatorClient, simulator_client


class Receiver:
    """A client's notification endpoint."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.arrived = asyncio.Condition()
        self.status = 202
        self.token_of: Callable[[str], str] = lambda token: token
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        token = request.query.get("validationToken")
        if token is not None:
            assert request.content_type == "text/plain"
            return web.Response(text=self.token_of(token), content_type="text/plain")
        async with self.arrived:
            self.received += (await request.json())["value"]
            self.arrived.notify_all()
        return web.Response(status=self.status)

    async def wait_for(self, number: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(20), self.arrived:
            await self.arrived.wait_for(lambda: len(self.received) >= number)
        return self.received


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", made.answer)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/hook"))
        yield made


@pytest.fixture
async def scene() -> AsyncIterator[SimulatorClient]:
    async with simulator_client(users=12, groups=2) as scene:
        yield scene


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def subscribe(scene: SimulatorClient, receiver: Receiver, **more: object) -> Answer:
    wanted = {
        "changeType": "updated,deleted",
        "notificationUrl": receiver.url,
        "lifecycleNotificationUrl": f"{receiver.url}/lifecycle",
        "resource": "/users",
        "expirationDateTime": in_days(2),
        "clientState": "opaque",
        **more,
    }
    return await scene.call("POST", "/subscriptions", wanted)


async def test_a_subscription_is_made_read_renewed_and_deleted(
    scene: SimulatorClient, receiver: Receiver
) -> None:
    """201 after both handshakes; PATCH renews, 29 days are the most."""
    made = await subscribe(scene, receiver)
    assert (made.status, made.body["applicationId"]) == (201, scene.simulator.directory.client_id)
    url = f"/subscriptions/{made.body['id']}"
    assert (await scene.get("/subscriptions")).ids == [made.body["id"]]
    assert (await scene.get(url)).body["clientState"] == "opaque"
    renewed = await scene.call("PATCH", url, {"expirationDateTime": in_days(28)})
    assert (renewed.status, renewed.body["expirationDateTime"][:10]) == (200, in_days(28)[:10])
    assert (await scene.call("PATCH", url, {"expirationDateTime": in_days(29.5)})).status == 400
    assert (await scene.call("PATCH", url, {"lifecycleNotificationUrl": "x"})).status == 400
    assert (await scene.call("DELETE", url)).status == 204
    assert (await scene.get(url)).status == 404


async def test_a_change_of_a_user_is_notified(scene: SimulatorClient, receiver: Receiver) -> None:
    """Creation and soft delete arrive as `updated`, `deleted` is the permanent one."""
    made = await subscribe(scene, receiver)
    directory = scene.simulator.directory
    user = directory.create_user({"userPrincipalName": "zed@x.example"}).id
    await receiver.wait_for(1)
    receiver.received.clear()
    directory.soft_delete_user(user)
    [told] = await receiver.wait_for(1)
    assert (told["changeType"], told["resource"]) == ("updated", f"Users/{user}")
    assert told["resourceData"]["id"] == user
    assert told["subscriptionId"] == made.body["id"]
    assert (told["clientState"], told["tenantId"]) == ("opaque", directory.entra_tenant_id)
    directory.purge_user(user)
    assert [each["changeType"] for each in await receiver.wait_for(2)] == ["updated", "deleted"]


async def test_members_of_one_group_are_watched_alone(scene: SimulatorClient, receiver: Receiver) -> None:
    """`/groups/{id}/members`: other changes of the group and other groups are not told."""
    directory = scene.simulator.directory
    group, other = list(directory.groups)[:2]
    user = directory.create_user({"userPrincipalName": "zed@x.example"}).id
    await subscribe(scene, receiver, resource=f"/groups/{group}/members")
    directory.change_group(group, {"description": "New"})
    directory.add_member(other, user)
    directory.add_member(group, user)
    [told] = await receiver.wait_for(1)
    assert told["resource"] == f"Groups/{group}"


async def test_an_endpoint_that_fails_its_validation_is_refused(
    scene: SimulatorClient, receiver: Receiver
) -> None:
    """The answer has to be 200, text/plain, and the decoded token."""
    receiver.token_of = lambda token: token.replace(" ", "+")
    refused = await subscribe(scene, receiver)
    assert (refused.status, refused.error) == (400, "ValidationError")
    assert (await scene.get("/subscriptions")).value == []


async def test_a_delivery_that_fails_is_tried_again_for_four_hours(
    scene: SimulatorClient, receiver: Receiver
) -> None:
    """Not 2xx: again, later and later; then dropped."""
    await subscribe(scene, receiver)
    receiver.status = 503
    directory = scene.simulator.directory
    directory.change_user(next(iter(directory.users)), {"jobTitle": "Rigger"})
    await receiver.wait_for(1)
    await scene.admin("POST", "/clock", {"advance_s": 60})
    await receiver.wait_for(2)
    receiver.status = 202
    await scene.admin("POST", "/clock", {"advance_s": 60})
    await receiver.wait_for(3)
    await scene.admin("POST", "/clock", {"advance_s": 600})
    directory.change_user(next(iter(directory.users)), {"jobTitle": "Smith"})
    await receiver.wait_for(4)
    assert len(receiver.received) == 4


async def test_reauthorization_is_asked_for_before_the_end(
    scene: SimulatorClient, receiver: Receiver
) -> None:
    """`reauthorizationRequired`, then the end without a word: no `subscriptionRemoved` for users."""
    made = await subscribe(scene, receiver, expirationDateTime=in_days(1))
    url = f"/subscriptions/{made.body['id']}"
    await scene.admin("POST", "/clock", {"advance_s": 23.5 * 3600})
    [told] = await receiver.wait_for(1)
    assert told["lifecycleEvent"] == "reauthorizationRequired"
    assert (await scene.call("POST", f"{url}/reauthorize")).status == 204
    await scene.admin("POST", "/clock", {"advance_s": 3600})
    assert (await scene.get(url)).status == 404
    assert len(receiver.received) == 1


async def test_an_admin_asks_for_reauthorization_at_once(scene: SimulatorClient, receiver: Receiver) -> None:
    """`POST /admin/subscriptions/{id}/reauthorization`."""
    made = await subscribe(scene, receiver)
    await scene.admin("POST", f"/subscriptions/{made.body['id']}/reauthorization")
    [told] = await receiver.wait_for(1)
    assert (told["subscriptionId"], told["clientState"]) == (made.body["id"], "opaque")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"resource": "/servicePrincipals"}, 400),
        ({"resource": "/users/00000000-0000-4000-8000-000000000000"}, 404),
        ({"changeType": "vanished"}, 400),
        ({"expirationDateTime": "soon"}, 400),
        ({"expirationDateTime": "2020-01-01T00:00:00Z"}, 400),
        ({"notificationUrl": "https://hooks.example.net/n"}, 400),
        ({"clientState": "x" * 129}, 400),
    ],
)
async def test_what_cannot_be_subscribed_is_refused(
    scene: SimulatorClient, receiver: Receiver, more: dict[str, str], status: int
) -> None:
    """One answer that says why; nothing is kept."""
    assert (await subscribe(scene, receiver, **more)).status == status
    assert (await scene.get("/subscriptions")).value == []


async def test_watching_takes_the_permission_of_reading(scene: SimulatorClient, receiver: Receiver) -> None:
    """`/groups` takes Group.Read.All."""
    await scene.admin("PUT", "/consent", {"roles": ["User.Read.All"]})
    assert (await subscribe(scene, receiver, resource="/groups")).status == 403
    assert (await subscribe(scene, receiver)).status == 201


async def test_an_application_has_at_most_100_subscriptions(
    scene: SimulatorClient, receiver: Receiver
) -> None:
    """100 per app and tenant; over it 403."""
    for _ in range(100):
        assert (await subscribe(scene, receiver, lifecycleNotificationUrl=None)).status == 201
    assert (await subscribe(scene, receiver)).status == 403
