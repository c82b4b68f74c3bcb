"""The one-file client against Leaver over HTTP, and its webhook check against the library that signs."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from store.directory import sessions
from store.records import DisableUser
from store.tenancy import api_tokens
from tests.builders.sign_in_scene import SignInScene
from tests.builders.store_rows import create_user, perform
from worker.delivery import encoding

FILE = Path(__file__).parents[4] / "examples/python/leaver_client.py"
PERMISSIONS = ("admin:session", "admin:history", "admin:event:read", "admin:user:read")

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


@pytest.fixture(scope="module")
def client() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("leaver_client", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["leaver_client"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["leaver_client"]


@pytest.fixture
async def leaver(client: ModuleType, scene: SignInScene) -> AsyncIterator[Any]:
    place = scene.connection.tenant_id, scene.connection.id
    _, token = await scene.database.write(lambda conn: api_tokens.create(conn, *place, "app", PERMISSIONS))
    with client.Leaver(scene.url, token, scene.connection.id) as made:
        yield made


@on_sqlite
async def test_a_session_its_history_and_its_end_by_the_client(
    leaver: Any, scene: SignInScene, tmp_path: Path
) -> None:
    """Issue 11: "a one-file Python client …, tested"; the iterator goes on after a restart."""
    ann = await create_user(scene.database, scene.connection, "ann")
    ben = await create_user(scene.database, scene.connection, "ben")
    _, secret = await scene.database.write(lambda conn: sessions.start(conn, ann.tenant_id, ann.id))

    person = await asyncio.to_thread(leaver.session, secret)
    assert (person.id, person.holder, person.user_name) == (ann.id, 1, ann.user_name)
    assert secret not in repr(person)
    history = leaver.history(person)
    first = await asyncio.to_thread(history.add, "Reading", 97, key="a1")
    assert await asyncio.to_thread(lambda: history.add("Reading", 97, key="a1")) == first
    assert [each["score"] for each in await asyncio.to_thread(history.list)] == [97]

    await perform(scene.database, scene.connection, DisableUser(ann.id))
    assert await asyncio.to_thread(leaver.session, secret) is None
    place = tmp_path / "place.txt"

    def read(number: int) -> list[dict[str, Any]]:
        return list(islice(leaver.events(place, types="user.deprovisioned,session.revoked"), number))

    events = await asyncio.to_thread(read, 2)
    revoked = next(each for each in events if each["type"] == "session.revoked")
    assert revoked["subject"]["id"] == ann.id
    await asyncio.to_thread(leaver.acknowledge, revoked)
    assert {each["id"] for each in await asyncio.to_thread(read, 2)} == {each["id"] for each in events}, (
        "cut off within a page: it comes again"
    )
    reading = asyncio.create_task(asyncio.to_thread(read, 3))
    await asyncio.sleep(0.3)
    await perform(scene.database, scene.connection, DisableUser(ben.id))
    assert (await reading)[2]["subject"]["id"] == ben.id, "the next page, after the place that was kept"
    assert place.read_text().startswith("ev1.")


@on_sqlite
async def test_a_reader_of_the_feed_that_is_killed_at_any_moment_misses_nothing(
    leaver: Any, scene: SignInScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 11: before the first event, within a page, and while the place is written; ids come again, none is lost."""
    for number in range(5):
        await create_user(scene.database, scene.connection, f"p{number}")
    whole = leaver.call
    monkeypatch.setattr(leaver, "call", lambda method, path: whole(method, f"{path}&limit=2"))
    place = tmp_path / "place.txt"
    seen: list[str] = []

    def read(number: int) -> None:
        for event in islice(leaver.events(place, types="user"), number):
            seen.append(event["id"])

    def die(*_: object) -> None:
        raise Killed

    for number in (0, 1, 3, 2):
        await asyncio.to_thread(read, number)
    with monkeypatch.context() as killing:
        killing.setattr(Path, "replace", die)
        with pytest.raises(Killed):
            await asyncio.to_thread(read, 9)
    await asyncio.to_thread(read, 3)
    assert len(set(seen)) == 5, seen
    assert sorted(dict.fromkeys(seen), key=int) == list(dict.fromkeys(seen)), "first times are in order"


class Killed(BaseException):
    """The reader's process ends here."""


@on_sqlite
async def test_a_refusal_says_what_to_do(client: ModuleType, leaver: Any) -> None:
    with pytest.raises(client.LeaverError, match="permission") as refused:
        await asyncio.to_thread(leaver.call, "GET", "/api/admin/v1/tenants")
    assert refused.value.status == 403
    with pytest.raises(client.LeaverError, match="older than a minute"):
        await asyncio.to_thread(leaver.redeem, "no-code", "https://app.example.com")


def test_a_webhook_that_leaver_did_not_sign_is_refused(client: ModuleType) -> None:
    """Standard Webhooks: signature over id, time and body; two while a secret is rotated; five minutes."""
    secret, earlier = encoding.new_secret(), encoding.new_secret()
    leaver = client.Leaver("https://leaver.example", "token", webhook_secret=secret)
    now, body = datetime.now(UTC), '{"id": "1"}'
    good = encoding.headers([earlier, secret], "1", now, body)
    assert leaver.verify_webhook({name.title(): value for name, value in good.items()}, body.encode()) == {
        "id": "1"
    }
    late = encoding.headers([secret], "1", datetime.fromtimestamp(time.time() - 301, UTC), body)
    wrong = [
        ({}, body),
        (good, body + " "),
        ({**good, "webhook-id": "2"}, body),
        (late, body),
        ({**good, "webhook-timestamp": "²"}, body),
        (encoding.headers([earlier], "1", now, body), body),
        ({**good, "webhook-signature": "v1,é"}, body),
    ]
    for headers, text in wrong:
        with pytest.raises(client.WebhookRefused):
            leaver.verify_webhook(headers, text.encode())
    with pytest.raises(client.WebhookRefused):
        client.Leaver("https://leaver.example", "token").verify_webhook(good, body.encode())
