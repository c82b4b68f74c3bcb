"""docs/events.md shows every type of event as it is really written."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from store.database import Database
from store.keys import utc_now
from store.logs import events
from store.logs.event_types import EVENT_TYPES
from store.records import (
    AddMembers,
    ChangeGroup,
    ChangeHolder,
    ChangeUser,
    Connection,
    CycleKind,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    Event,
    GraphId,
    PlanStatus,
    RemoveMembers,
)
from store.records.connections import MappingOrigin
from store.sync import cycles, held_plans
from store.tenancy import api_tokens, connection_health, credential_expiry, mappings
from tests.builders.store_rows import create_group, create_user, perform, setting
from worker.delivery.encoding import envelope

PAGE = (Path(__file__).parents[4] / "docs" / "events.md").read_text()
WRITTEN_ELSEWHERE = {"session.revoked", "drift.found", "credential.ending", "push.braked"}
"""Written by a sign-in, a cycle, or a brake: their tests look at the event."""

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


def _examples() -> dict[str, dict[str, Any]]:
    found = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    return {each["type"]: each for each in found}


async def _people(database: Database, contoso: Connection) -> None:
    ann = await create_user(database, contoso, "ann")
    readers = await create_group(database, contoso, "Readers")
    for command in (
        ChangeUser(ann.id, setting(title="Editor")),
        ChangeGroup(readers.id, setting(displayName="Lectors")),
        AddMembers(readers.id, (ann.id,)),
        RemoveMembers(readers.id, (ann.id,)),
        DisableUser(ann.id),
        ChangeUser(ann.id, setting(active=True)),
        ChangeHolder(ann.id, GraphId("7d1d8a3e-0000-4000-8000-000000000001")),
        DeleteUser(ann.id),
        DeleteGroup(readers.id),
    ):
        await perform(database, contoso, command)


async def _operations(database: Database, contoso: Connection) -> None:
    me, mine, now = contoso.tenant_id, contoso.id, utc_now()

    async def work(conn: Any) -> None:
        cycle = await cycles.start(conn, me, mine, CycleKind.FULL)
        body = {"keys": ["disable:ann::disabled"]}
        soon = now + timedelta(hours=1)
        plan = await held_plans.hold(conn, me, mine, cycle.id, "ab" * 32, "18 of 120 users", body, soon)
        await held_plans.decide(conn, me, plan.id, PlanStatus.REJECTED, checksum="ab" * 32, by="Ada")
        await held_plans.hold(conn, me, mine, cycle.id, "cd" * 32, "18 of 120 users", body, soon)
        await held_plans.expire(conn, me, mine, now + timedelta(hours=2))
        await connection_health.note_failure(conn, me, mine, "consent is missing", now, quarantine=True)
        await connection_health.note_failure(conn, me, mine, "consent is missing", now, quarantine=True)
        await connection_health.note_success(conn, me, mine, now, now)
        await mappings.add(conn, me, mine, {"userName": "mail"}, MappingOrigin.SET, "cli:ada")
        await api_tokens.create(conn, me, mine, "entra", (), expires_at=now + timedelta(days=6))
        assert await credential_expiry.tell_of_tokens(conn, now) == 1
        assert await credential_expiry.tell_of_tokens(conn, now) == 0, "a step is told once"
        assert await credential_expiry.tell_of_tokens(conn, now + timedelta(days=5.5)) == 1

    await database.write(work)


async def _written(database: Database, contoso: Connection) -> dict[str, Event]:
    await _people(database, contoso)
    await _operations(database, contoso)
    async with database.reading() as conn:
        found = await events.since(conn, contoso.tenant_id, limit=1000)
    kinds = [event.type for event in found]
    assert kinds.count("connection.unhealthy") == 1, "a connection becomes unhealthy once"
    assert kinds.count("token.ending") == 2
    return {event.type: event for event in found}


@on_sqlite
async def test_every_type_is_written_and_documented_as_it_is(database: Database, contoso: Connection) -> None:
    """Issue 11: "Types, one page of docs each with an example"; the fields are compared."""
    written, examples = await _written(database, contoso), _examples()
    assert examples.keys() == EVENT_TYPES.keys()
    assert written.keys() == EVENT_TYPES.keys() - WRITTEN_ELSEWHERE
    for event_type, event in written.items():
        document: dict[str, Any] = envelope(event)
        example = examples[event_type]
        assert document.keys() == example.keys()
        assert document["data"].keys() == example["data"].keys(), event_type
        assert document["subject"]["type"] == example["subject"]["type"]


def test_every_type_has_its_sentence_in_the_docs() -> None:
    for event_type, known in EVENT_TYPES.items():
        assert f"### `{event_type}`\n\n{known.sentence}" in PAGE, event_type
