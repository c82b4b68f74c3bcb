"""The checklist ticks itself from what was seen, and says how."""

from __future__ import annotations

import pytest

from console.admin import api_tokens, run_now
from console.admin.api_tokens import NewToken
from console.admin.connections import states
from console.admin.setup import checklist
from console.admin.setup.checklist import SetupChecklist, SetupStep
from store.logs import audit_log
from store.records import CreateGroup, GraphId, Group, LinkGroup, LinkUser, Mode, Origin
from store.tenancy import api_tokens as stored_tokens
from tests.builders.admin_desk import AdminDesk
from tests.builders.store_rows import create_user, perform
from worker.cycle.run import CycleRequest

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


def done(found: SetupChecklist) -> set[SetupStep]:
    return {each.step for each in found.steps if each.is_done}


async def shown(desk: AdminDesk) -> SetupChecklist:
    return await checklist.show(desk.services, desk.operator, desk.connection.id)


async def test_push_steps_are_ticked_by_traffic_with_time_and_proof(desk: AdminDesk) -> None:
    """issue 12: "Test Connection seen -> first user -> first group"."""
    db, connection = desk.services.db, desk.connection
    assert done(await shown(desk)) <= {SetupStep.CREDENTIAL_STORED, SetupStep.ENFORCE}
    made = await api_tokens.create(desk.services, desk.operator, connection.id, NewToken("entra"))
    assert SetupStep.TOKEN_MADE in done(await shown(desk))

    def touch(conn):  # type: ignore[no-untyped-def]
        return stored_tokens.touch(conn, connection.tenant_id, made.token.id, "20.190.1.2")

    await db.write(touch)
    await create_user(db, connection, "ann")
    await perform(db, connection, CreateGroup({"displayName": "Readers"}))
    steps = {each.step: each for each in (await shown(desk)).steps}
    assert steps[SetupStep.TEST_CONNECTION].proof == "a request with entra from 20.190.1.2"
    assert steps[SetupStep.FIRST_USER].at is not None
    assert steps[SetupStep.FIRST_GROUP].is_done
    assert not steps[SetupStep.FIRST_DISABLE].is_done

    await api_tokens.revoke(desk.services, desk.operator, made.token.id)
    later = {each.step: each for each in (await shown(desk)).steps}
    assert not later[SetupStep.TOKEN_MADE].is_done
    assert later[SetupStep.TEST_CONNECTION].at == steps[SetupStep.TEST_CONNECTION].at


async def test_what_the_pull_has_taken_over_was_pushed_all_the_same(desk: AdminDesk) -> None:
    """Issue 12: the list "ticks itself from real traffic", in whatever order push and pull come."""
    db, connection = desk.services.db, desk.connection
    ann = await create_user(db, connection, "ann")
    [made] = await perform(db, connection, CreateGroup({"displayName": "Readers"}))
    assert isinstance(made.record, Group)
    links = (LinkUser(ann.id, GraphId("ann-object")), LinkGroup(made.record.id, GraphId("readers-object")))
    await perform(db, connection, *links, origin=Origin.GRAPH)
    assert {SetupStep.FIRST_USER, SetupStep.FIRST_GROUP} <= done(await shown(desk))


async def test_a_refused_token_is_told_with_its_reason_until_one_works(desk: AdminDesk) -> None:
    """Guide: "Provisioning logs show a 403 error"; the remedy stands under the step."""
    connection = desk.connection
    why = "The API token 'entra' was revoked."
    await desk.services.db.write(
        lambda conn: audit_log.record(
            conn,
            connection.tenant_id,
            connection.id,
            audit_log.NOBODY,
            "token.refused",
            "t",
            "entra",
            {"why": why, "address": "20.190.1.2"},
        )
    )
    refused = (await shown(desk)).refused
    assert refused is not None
    assert (refused.why, refused.address) == (why, "20.190.1.2")
    made = await api_tokens.create(desk.services, desk.operator, connection.id, NewToken("new"))
    await desk.services.db.write(
        lambda conn: stored_tokens.touch(conn, connection.tenant_id, made.token.id, None)
    )
    assert (await shown(desk)).refused is None


async def test_pull_steps_are_ticked_by_a_test_and_by_a_reading(desk: AdminDesk) -> None:
    """issue 12: "Graph token -> permissions -> application found -> ... -> first reading -> enforce"."""
    tested = await checklist.examine(desk.services, desk.operator, desk.connection.id)
    graph = {SetupStep.GRAPH_TOKEN, SetupStep.PERMISSIONS, SetupStep.APPLICATION}
    assert graph <= done(tested.checklist)
    assert SetupStep.FIRST_READING not in done(tested.checklist)

    await run_now.sync(desk.services, desk.operator, desk.connection.id, CycleRequest())
    assert SetupStep.FIRST_READING in done(await shown(desk))
    await states.set_mode(desk.services, desk.operator, desk.connection.id, Mode.REPORT)
    assert SetupStep.ENFORCE not in done(await shown(desk))
