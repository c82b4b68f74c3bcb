"""A mapping is checked against what the push wrote, or read from Entra (identity.md, mapping)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.admin import audit
from console.admin.connections import mapping, mapping_check
from console.admin.connections.mapping import MappingChanges
from console.cli.views import mappings as views
from simulator.provisioning.mapping import AttributeMapping
from store import lifecycle
from store.records import Cause, CreateUser, Origin
from store.records.connections import MappingOrigin
from tests.builders.admin_desk import AdminDesk
from worker.graph.errors import ConsentMissing
from worker.reconcile.mapping.fit import Fit

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


async def _push(desk: AdminDesk, user_name: str, external_id: str, people: int = 12) -> None:
    """Writes accounts as a push under another mapping than the connection's would."""
    found = [u for u in desk.simulator.directory.users.values() if u.text(user_name) and u.text(external_id)]
    documents = [
        {
            "userName": user.text(user_name),
            "externalId": user.text(external_id),
            "displayName": user.text("displayName"),
            "active": True,
        }
        for user in found[:people]
    ]
    assert len(documents) == people
    connection = desk.connection
    commands = [CreateUser(document) for document in documents]
    cause = Cause(Origin.SCIM, "request-1", "entra")
    await lifecycle.perform(desk.services.db, connection.tenant_id, connection.id, commands, cause)


def _give_job(desk: AdminDesk, rows: dict[str, str]) -> None:
    """Gives the application's provisioning job this mapping of users."""
    job = desk.simulator.simulation.provisioning.job
    mapped = tuple(AttributeMapping(path, source) for path, source in rows.items())
    job.settings = replace(job.settings, user_mapping=mapped)


async def test_a_foreign_mapping_is_told_with_the_one_command_that_takes_the_fitting_one(
    desk: AdminDesk,
) -> None:
    """identity.md: "the verdict says which Graph property would fit …, and one command takes it"."""
    await _push(desk, "userPrincipalName", "employeeId")
    found = await mapping_check.check(desk.services, desk.operator, desk.connection.id)
    names = found.fit.of("externalId")
    assert names is not None
    assert (names.verdict, names.suggestion and names.suggestion.source) == (Fit.DOES_NOT_FIT, "employeeId")
    command = f"leaver connection mapping set {desk.connection.id} --set externalId=employeeId"
    [said] = views._commands(desk.connection.id, found.fit.attributes)
    assert (said, views.exit_code(found)) == (command, 3)
    changes = MappingChanges({"externalId": "employeeId"})
    await mapping.change(desk.services, desk.operator, desk.connection.id, changes)
    taken = await mapping_check.check(desk.services, desk.operator, desk.connection.id)
    assert (taken.fit.names_fit, views.exit_code(taken)) == (True, 0)


async def test_a_person_says_that_a_mapping_fits_where_too_few_accounts_show_it(desk: AdminDesk) -> None:
    """identity.md: "with fewer than 3 it is *unknown* (a person can say "it fits")"; in the audit log."""
    await _push(desk, "userPrincipalName", "mailNickname", people=2)
    unknown = await mapping_check.check(desk.services, desk.operator, desk.connection.id)
    assert (unknown.fit.names_fit, unknown.connection.policy.mapping_confirmed) == (False, False)
    assert views.exit_code(unknown) == 3
    accepted = await mapping_check.check(desk.services, desk.operator, desk.connection.id, accept=True)
    assert accepted.connection.policy.mapping_confirmed
    assert views.exit_code(accepted) == 0
    [entry, *_] = (await audit.entries(desk.services, desk.operator, desk.connection.id)).entries
    assert (entry.actor, entry.action) == ("cli:ada", "connection.mapping_confirmed")
    assert entry.detail == {"userName": "2 of 2", "externalId": "2 of 2"}


async def test_the_mapping_is_read_from_the_provisioning_job(desk: AdminDesk) -> None:
    """identity.md: "`imported` (from Graph's synchronization schema, where consent allows)"."""
    _give_job(desk, {"userName": "mail", "externalId": "objectId"})
    read = await mapping.import_from_entra(desk.services, desk.operator, desk.connection.id)
    assert read.details.current.origin is MappingOrigin.IMPORTED
    assert read.details.connection.policy.mapping == {"userName": "mail", "externalId": "objectId"}
    assert read.left_out == {}
    [entry, *_] = (await audit.entries(desk.services, desk.operator, desk.connection.id)).entries
    assert (entry.action, entry.detail["origin"]) == ("connection.mapping_changed", "imported")


async def test_without_consent_the_permission_is_named_and_nothing_changes(desk: AdminDesk) -> None:
    """issue 9: "else one line saying which permission"."""
    _give_job(desk, {"userName": "mail"})
    desk.simulator.simulation.registration.roles -= {
        "Synchronization.ReadWrite.All",
        "Application.ReadWrite.OwnedBy",
    }
    with pytest.raises(ConsentMissing, match=r"Synchronization\.Read\.All"):
        await mapping.import_from_entra(desk.services, desk.operator, desk.connection.id)
    shown = await mapping.show(desk.services, desk.operator, desk.connection.id)
    assert (shown.current.version, shown.versions) == (0, [])
