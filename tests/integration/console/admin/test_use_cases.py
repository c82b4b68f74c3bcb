"""Every use case stays within the actor's tenant; every change is in the audit log."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from unittest.mock import ANY

import pytest
from pydantic import SecretStr
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

import console.admin
from config.settings import Settings
from console.admin import (
    api_tokens,
    audit,
    backups,
    deletion,
    held_plans,
    key_rotation,
    run_now,
    runs,
    tenants,
)
from console.admin.actor import Actor, ActorKind
from console.admin.api_tokens import NewToken
from console.admin.checks import doctor
from console.admin.connections import (
    mapping,
    mapping_check,
    mapping_effect,
    mapping_preview,
    openid_provider,
    overview,
    settings,
    states,
)
from console.admin.connections.openid_provider import NewProvider
from console.admin.connections.policy import PolicyChanges
from console.admin.connections.scope_effect import scope_effect
from console.admin.connections.settings import ConnectionChanges, NewConnection
from console.admin.errors import (
    AllTenantsRequired,
    PermissionMissing,
    SignInTooOld,
    UnknownReference,
    UseCaseError,
)
from console.admin.events import feed, notifications, poll, signing_keys, streams, webhooks
from console.admin.events.poll import PollRequest
from console.admin.events.streams import StreamRequest
from console.admin.history import person_history, results
from console.admin.history.results import NewResult
from console.admin.operators import people as operator_people
from console.admin.operators import tokens as operator_tokens
from console.admin.people import entra_values, grounds, same_person
from console.admin.people import groups as people_groups
from console.admin.people import search as people_search
from console.admin.people import users as people_users
from console.admin.people.same_person import PersonPair
from console.admin.permissions import PERMISSIONS
from console.admin.reports import connection_report, provisioning_log, status
from console.admin.reports import cycles as cycle_reports
from console.admin.run_now import ProvisionRequest
from console.admin.services import Services
from console.admin.sessions import (
    account_sessions,
    app_keys,
    app_sign_in,
    console_access,
    own_sessions,
    provider_sign_in,
    sign_in,
)
from console.admin.sessions.errors import LinkRefused
from console.admin.sessions.provider_sign_in import ProvenSubject
from console.admin.sessions.sign_in import ProvenPerson
from console.admin.setup import checklist
from console.admin.setup import links as setup_links
from store import tables
from store.access.records import LinkKind, Role
from store.database import Database
from store.directory import receipts, sessions
from store.directory.sign_ins import PendingSignIn
from store.errors import StoreError, VersionMoved
from store.integration.app_keys import NewAppKey
from store.logs import audit_log
from store.records import (
    AppKeyKind,
    AuditEntry,
    Connection,
    CycleKind,
    CycleStatus,
    DisableUser,
    HeldPlan,
    JsonValue,
    Mode,
    Scope,
    SessionId,
    SessionTerms,
    TenantId,
)
from store.records.connections import PeopleFate
from store.sync import cycles
from store.sync import held_plans as stored_plans
from store.sync.drift_reports import FindingQuery
from store.tenancy import api_tokens as stored_tokens
from tests.builders.secret_keys import secret_key
from tests.builders.store_rows import create_group, create_user, perform
from worker.cycle.run import CycleRequest
from worker.errors import WorkerError

EXTENSION = "urn:ietf:params:scim:schemas:extension:contoso:2.0:User:badge"
CHECKSUM = "ab" * 32
HOOK = "https://app.invalid/hook"
RETURN_URL = "https://app.invalid/signed-in"
OPERATOR = Actor(ActorKind.CLI, "ada")

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
"""What is tested here does not depend on the database."""


PROVIDER = NewProvider("https://id.example", "leaver", "the-secret-value")


@dataclass(frozen=True)
class Tenancy:
    """Contoso with all that a use case can name, and the actor of another tenant."""

    services: Services
    connection: Connection
    token: str
    plan: HeldPlan
    cycle: str
    user: str
    other_user: str
    session: str
    secret: str
    receipt: str
    webhook: str
    link: str
    setup_secret: str
    status_secret: str
    cookie: str
    app_key: str
    stream: str
    stranger: Actor


@pytest.fixture
async def tenancy(database: Database, database_url: str) -> Tenancy:
    """Contoso has a connection, a token, a cycle and a held plan; Fabrikam has nothing."""
    configured = Settings(database_url=database_url, secret_key=(SecretStr(secret_key("a desk")),))
    services = Services(configured, database)
    owner = await tenants.create(services, OPERATOR, "Contoso")
    other = await tenants.create(services, OPERATOR, "Fabrikam")
    connection = await settings.create(services, OPERATOR, "contoso", NewConnection("entra-of-contoso"))
    await settings.change(services, OPERATOR, connection.id, ConnectionChanges(return_urls=[RETURN_URL]))
    made = await api_tokens.create(services, OPERATOR, connection.id, NewToken("token-of-contoso"))
    plan, cycle = await database.write(lambda conn: _hold(conn, connection))
    ada = await create_user(database, connection, "ada")
    ben = await create_user(database, connection, "ben")
    await create_group(database, connection, "Readers", ada.id)
    terms = SessionTerms(issuer="issuer", issuer_session_id="sid")
    session, secret = await database.write(lambda conn: sessions.start(conn, owner.id, ada.id, terms=terms))
    stranger = Actor(ActorKind.API, "fabrikam-admin", other.id)
    hook, _ = await webhooks.create(services, OPERATOR, HOOK, tenant="contoso")
    assert owner.id != other.id
    wanted = NewAppKey(AppKeyKind.API_KEY, "key-of-ben")
    key = await app_keys.register(services, OPERATOR, connection.id, ben.id, wanted)
    own = Actor(ActorKind.API, "contoso-app", owner.id)
    await openid_provider.set_provider(services, own, connection.id, PROVIDER)
    await openid_provider.link(services, own, connection.id, ada.id, "ada-there")
    stream = await streams.create(services, own, StreamRequest(), "https://own.example")
    cy = await create_user(database, connection, "cy")
    await database.write(lambda conn: sessions.start(conn, owner.id, cy.id))
    await perform(database, connection, DisableUser(cy.id))
    async with database.reading() as conn:
        [receipt] = await receipts.list_for_user(conn, owner.id, cy.id)
    ids = ada.id, ben.id, session.id
    opened = await setup_links.create_setup_link(services, OPERATOR, connection.id)
    waiting = await setup_links.create_setup_link(services, OPERATOR, connection.id)
    shown = await setup_links.create_status_link(services, OPERATOR, connection.id)
    _, cookie = await console_access.redeem(services, OPERATOR, opened.secret, LinkKind.SETUP, SessionTerms())
    secrets = waiting.link.id, waiting.secret, shown.secret, cookie
    return Tenancy(
        *(services, connection, made.token.id, plan, cycle, *ids, secret, receipt.id, hook.id, *secrets),
        *(key.id, stream.terms.id, stranger),
    )


async def _hold(conn: AsyncConnection, connection: Connection) -> tuple[HeldPlan, str]:
    tenant_id = connection.tenant_id
    cycle = await cycles.start(conn, tenant_id, connection.id, CycleKind.FULL)
    result = cycles.CycleResult(CycleStatus.HELD, complete=True)
    await cycles.finish(conn, tenant_id, cycle.id, result)
    expires_at = datetime.now(UTC) + timedelta(days=7)
    body: dict[str, JsonValue] = {"changes": []}
    plan = await stored_plans.hold(
        conn, tenant_id, connection.id, cycle.id, CHECKSUM, "18 of 120 users", body, expires_at
    )
    return plan, cycle.id


Call = Callable[[Tenancy, Actor], Awaitable[object]]


async def _revoke_replaced(tenancy: Tenancy, actor: Actor) -> object:
    """The token was rotated, and Entra used the new one."""
    made = await api_tokens.rotate(tenancy.services, actor, tenancy.token, 7)
    await tenancy.services.db.write(
        lambda conn: stored_tokens.touch(conn, made.token.tenant_id, made.token.id, None)
    )
    return await api_tokens.revoke_replaced(tenancy.services, actor, tenancy.connection.id)


CALLS: dict[str, Call] = {
    "api_tokens.allow_addresses": lambda c, a: api_tokens.allow_addresses(
        c.services, a, c.token, ["10.0.0.0/8"]
    ),
    "api_tokens.create": lambda c, a: api_tokens.create(c.services, a, c.connection.id, NewToken("k")),
    "api_tokens.list_for": lambda c, a: api_tokens.list_for(c.services, a, c.connection.name),
    "api_tokens.resume": lambda c, a: api_tokens.resume(c.services, a, c.token),
    "api_tokens.revoke_replaced": lambda c, a: _revoke_replaced(c, a),
    "api_tokens.revoke": lambda c, a: api_tokens.revoke(c.services, a, "token-of-contoso"),
    "api_tokens.rotate": lambda c, a: api_tokens.rotate(c.services, a, c.token, 7),
    "api_tokens.show": lambda c, a: api_tokens.show(c.services, a, c.token),
    "api_tokens.suspend": lambda c, a: api_tokens.suspend(c.services, a, c.token),
    "audit.entries": lambda c, a: audit.entries(c.services, a, c.connection.id),
    "connections.settings.change": lambda c, a: settings.change(
        c.services, a, c.connection.id, ConnectionChanges(interval_minutes=5)
    ),
    "connections.settings.create": lambda c, a: settings.create(c.services, a, "contoso", NewConnection("x")),
    "connections.settings.rename": lambda c, a: settings.rename(c.services, a, c.connection.id, "new"),
    "connections.states.release_brakes": lambda c, a: states.release_brakes(
        c.services, a, c.connection.id, for_minutes=30
    ),
    "connections.states.show_brakes": lambda c, a: states.show_brakes(c.services, a, c.connection.id),
    "connections.scope_effect.scope_effect": lambda c, a: scope_effect(
        c.services, a, c.connection.id, ConnectionChanges(policy=PolicyChanges(scope=Scope.ALL))
    ),
    "connections.settings.declare": lambda c, a: settings.declare(
        c.services, a, c.connection.id, [EXTENSION]
    ),
    "connections.mapping.change": lambda c, a: mapping.change(
        c.services, a, c.connection.id, mapping.MappingChanges({"userName": "mail"})
    ),
    "connections.mapping.import_from_entra": lambda c, a: mapping.import_from_entra(
        c.services, a, c.connection.id
    ),
    "connections.mapping.show": lambda c, a: mapping.show(c.services, a, c.connection.id),
    "connections.mapping_preview.preview": lambda c, a: mapping_preview.preview(
        c.services, a, c.connection.id, c.user, {"userName": "mail"}
    ),
    "connections.mapping_check.check": lambda c, a: mapping_check.check(c.services, a, c.connection.id),
    "connections.overview.find": lambda c, a: overview.find(c.services, a, c.connection.id),
    "connections.overview.list_all": lambda c, a: overview.list_all(c.services, a),
    "connections.overview.names": lambda c, a: overview.names(c.services, a),
    "connections.states.pause": lambda c, a: states.pause(c.services, a, c.connection.id, "why"),
    "connections.states.resume": lambda c, a: states.resume(c.services, a, c.connection.id),
    "connections.states.set_mode": lambda c, a: states.set_mode(c.services, a, c.connection.id, Mode.ENFORCE),
    "connections.overview.show": lambda c, a: overview.show(
        c.services, a, f"{c.connection.tenant_id}/{c.connection.name}"
    ),
    "checks.doctor.examine": lambda c, a: doctor.examine(c.services.settings, a),
    "checks.doctor.examine_connections": lambda c, a: doctor.examine_connections(c.services, a),
    "checks.doctor.test_connection": lambda c, a: doctor.test_connection(c.services, a, c.connection.id),
    "deletion.connection_effect": lambda c, a: deletion.connection_effect(c.services, a, c.connection.id),
    "deletion.delete_connection": lambda c, a: deletion.delete_connection(
        c.services, a, c.connection.id, PeopleFate.RELEASE
    ),
    "deletion.delete_tenant": lambda c, a: deletion.delete_tenant(c.services, a, "contoso", PeopleFate.KEEP),
    "deletion.tenant_effect": lambda c, a: deletion.tenant_effect(c.services, a, "contoso"),
    "history.person_history.erase": lambda c, a: person_history.erase(
        c.services, a, c.connection.id, c.user, "Art. 17"
    ),
    "history.person_history.export": lambda c, a: person_history.export(
        c.services, a, c.connection.id, c.user
    ),
    "history.results.add": lambda c, a: results.add(
        c.services, a, c.connection.id, c.user, NewResult("Reading", 97)
    ),
    "history.results.list_for_user": lambda c, a: results.list_for_user(
        c.services, a, c.connection.id, c.user
    ),
    "held_plans.approve": lambda c, a: held_plans.approve(c.services, a, c.plan.checksum),
    "held_plans.request_approval": lambda c, a: held_plans.request_approval(c.services, a, c.plan.id),
    "held_plans.list_all": lambda c, a: held_plans.list_all(c.services, a, all_states=True),
    "held_plans.reject": lambda c, a: held_plans.reject(c.services, a, c.plan.id),
    "held_plans.show": lambda c, a: held_plans.show(c.services, a, c.plan.checksum[:12]),
    "backups.back_up": lambda c, a: backups.back_up(c.services.settings, a, Path("/nowhere")),
    "backups.examine_backup": lambda c, a: backups.examine_backup(c.services.settings, a, Path("/nowhere")),
    "backups.restore": lambda c, a: backups.restore(c.services.settings, a, Path("/nowhere")),
    "backups.note_restore": lambda c, a: backups.note_restore(c.services, a),
    "key_rotation.key_use": lambda c, a: key_rotation.key_use(c.services, a),
    "key_rotation.reseal": lambda c, a: key_rotation.reseal(c.services, a),
    "people.groups.list_page": lambda c, a: people_groups.list_page(c.services, a, c.connection.id),
    "connections.mapping_effect.mapping_effect": lambda c, a: mapping_effect.mapping_effect(
        c.services, a, c.connection.id, {"userName": "mail"}
    ),
    "people.search.search": lambda c, a: people_search.search(c.services, a, c.connection.id, "ada"),
    "people.entra_values.compare": lambda c, a: entra_values.compare(c.services, a, c.connection.id, c.user),
    "events.notifications.told": lambda c, a: notifications.told(c.services, a, c.connection.id),
    "people.groups.look": lambda c, a: people_groups.look(c.services, a, c.connection.id, "Readers"),
    "people.groups.show": lambda c, a: people_groups.show(c.services, a, c.connection.id, "Readers"),
    "people.groups.browse": lambda c, a: people_groups.browse(c.services, a, c.connection.id, name=None),
    "reports.connection_report.report": lambda c, a: connection_report.report(c.services, a, c.connection.id),
    "reports.connection_report.running": lambda c, a: connection_report.running(
        c.services, a, c.connection.id
    ),
    "reports.provisioning_log.entry": lambda c, a: provisioning_log.entry(c.services, a, c.connection.id, 1),
    "people.users.browse": lambda c, a: people_users.browse(c.services, a, c.connection.id),
    "people.users.list_page": lambda c, a: people_users.list_page(c.services, a, c.connection.id),
    "people.users.mark": lambda c, a: people_users.mark(
        c.services, a, c.connection.id, c.user, is_protected=True
    ),
    "people.same_person.decide": lambda c, a: same_person.decide(
        c.services, a, c.connection.id, [PersonPair(c.user, c.other_user)]
    ),
    "people.users.show": lambda c, a: people_users.show(c.services, a, c.connection.id, c.user),
    "reports.cycles.get": lambda c, a: cycle_reports.get(c.services, a, c.connection.id, c.cycle),
    "reports.cycles.list_page": lambda c, a: cycle_reports.list_page(c.services, a, c.connection.id),
    "people.grounds.show": lambda c, a: grounds.show(c.services, a, c.connection.id, c.user),
    "reports.cycles.drift_page": lambda c, a: cycle_reports.drift_page(
        c.services, a, c.connection.id, c.cycle, FindingQuery()
    ),
    "reports.cycles.drift_report": lambda c, a: cycle_reports.drift_report(
        c.services, a, c.connection.id, c.cycle
    ),
    "reports.cycles.ongoing_of": lambda c, a: cycle_reports.ongoing_of(
        c.services, a, c.connection.id, {c.user}
    ),
    "reports.status.status": lambda c, a: status.status(c.services, a),
    "reports.status.urgent": lambda c, a: status.urgent(c.services, a),
    "reports.provisioning_log.log": lambda c, a: provisioning_log.log(c.services, a, c.connection.id),
    "run_now.provision": lambda c, a: run_now.provision(
        c.services, a, c.connection.id, ProvisionRequest(["ada@contoso.example"])
    ),
    "run_now.sync": lambda c, a: run_now.sync(c.services, a, c.connection.id, CycleRequest()),
    "sessions.account_sessions.end": lambda c, a: account_sessions.end(
        c.services, a, c.connection.id, c.session
    ),
    "sessions.account_sessions.end_all": lambda c, a: account_sessions.end_all(
        c.services, a, c.connection.id, c.user
    ),
    "sessions.account_sessions.acknowledge": lambda c, a: account_sessions.acknowledge(
        c.services, a, c.connection.id, c.receipt
    ),
    "sessions.app_keys.register": lambda c, a: app_keys.register(
        c.services, a, c.connection.id, c.user, NewAppKey(AppKeyKind.API_KEY, "another")
    ),
    "sessions.app_keys.end": lambda c, a: app_keys.end(c.services, a, c.connection.id, c.app_key),
    "sessions.account_sessions.open_receipts": lambda c, a: account_sessions.open_receipts(
        c.services, a, c.connection.id
    ),
    "sessions.account_sessions.list_for_user": lambda c, a: account_sessions.list_for_user(
        c.services, a, c.connection.id, c.user
    ),
    "sessions.app_sign_in.check_return": lambda c, a: app_sign_in.check_return(
        c.services, a, c.connection.id, RETURN_URL
    ),
    "sessions.app_sign_in.issue_code": lambda c, a: app_sign_in.issue_code(
        c.services, a, c.connection.id, SessionId(c.session), RETURN_URL
    ),
    "sessions.app_sign_in.redeem": lambda c, a: _issue_and_redeem(c, a),
    "sessions.sign_in.begin": lambda c, a: sign_in.begin(
        c.services, a, c.connection.id, "state", "browser", PendingSignIn("sealed")
    ),
    "sessions.own_sessions.end": lambda c, a: own_sessions.end(c.services, a, c.secret),
    "sessions.own_sessions.show": lambda c, a: own_sessions.show(c.services, a, c.secret),
    "sessions.sign_in.client": lambda c, a: sign_in.client(c.services, a, c.connection.id),
    "sessions.sign_in.end_for_provider": lambda c, a: sign_in.end_for_provider(
        c.services, a, c.connection.id, "issuer", session_id="sid"
    ),
    "sessions.sign_in.complete": lambda c, a: sign_in.complete(
        c.services, a, c.connection.id, ProvenPerson("directory", "ada"), SessionTerms()
    ),
    "sessions.provider_sign_in.provider": lambda c, a: _provider(c, a),
    "sessions.provider_sign_in.complete_by_subject": lambda c, a: _sign_in_by_subject(c, a),
    "connections.openid_provider.set_provider": lambda c, a: openid_provider.set_provider(
        c.services, a, c.connection.id, PROVIDER
    ),
    "connections.openid_provider.remove_provider": lambda c, a: openid_provider.remove_provider(
        c.services, a, c.connection.id
    ),
    "connections.openid_provider.show": lambda c, a: openid_provider.show(c.services, a, c.connection.id),
    "connections.openid_provider.link": lambda c, a: openid_provider.link(
        c.services, a, c.connection.id, c.user, "sub"
    ),
    "sessions.sign_in.take": lambda c, a: _begin_and_take(c, a),
    "operators.tokens.create": lambda c, a: operator_tokens.create(c.services, a, "vendor"),
    "operators.tokens.list_all": lambda c, a: operator_tokens.list_all(c.services, a),
    "operators.tokens.revoke": lambda c, a: operator_tokens.revoke(c.services, a, "vendor"),
    "operators.people.invite": lambda c, a: operator_people.invite(c.services, a, "ada"),
    "operators.people.list_all": lambda c, a: operator_people.list_all(c.services, a),
    "operators.people.remove": lambda c, a: operator_people.remove(c.services, a, "ada"),
    "sessions.console_access.look_at": lambda c, a: console_access.look_at(
        c.services, a, c.setup_secret, LinkKind.SETUP
    ),
    "sessions.console_access.redeem": lambda c, a: console_access.redeem(
        c.services, a, c.setup_secret, LinkKind.SETUP, SessionTerms()
    ),
    "sessions.console_access.identify": lambda c, a: console_access.identify(c.services, a, c.cookie),
    "sessions.console_access.sign_out": lambda c, a: console_access.sign_out(c.services, a, c.cookie),
    "setup.checklist.show": lambda c, a: checklist.show(c.services, a, c.connection.id),
    "setup.checklist.examine": lambda c, a: checklist.examine(c.services, a, c.connection.id),
    "setup.links.create_setup_link": lambda c, a: setup_links.create_setup_link(
        c.services, a, c.connection.id
    ),
    "setup.links.create_status_link": lambda c, a: setup_links.create_status_link(
        c.services, a, c.connection.id
    ),
    "setup.links.list_for": lambda c, a: setup_links.list_for(c.services, a, c.connection.id, LinkKind.SETUP),
    "setup.links.open_status": lambda c, a: setup_links.open_status(c.services, a, c.status_secret),
    "setup.links.revoke": lambda c, a: setup_links.revoke(c.services, a, c.connection.id, c.link),
    "runs.request_cycle": lambda c, a: runs.request_cycle(c.services, a, c.connection.id, CycleRequest()),
    "runs.request_provisioning": lambda c, a: runs.request_provisioning(
        c.services, a, c.connection.id, ProvisionRequest(["ada@contoso.example"])
    ),
    "runs.show": lambda c, a: runs.show(c.services, a, c.connection.id, "cycle.0123"),
    "events.feed.latest": lambda c, a: feed.latest(c.services, a),
    "events.feed.acknowledge": lambda c, a: _acknowledge_all(c, a),
    "events.feed.read": lambda c, a: feed.read(c.services, a, feed.FeedRequest()),
    "events.poll.poll": lambda c, a: poll.poll(
        c.services, a, c.stream, PollRequest(returns_immediately=True)
    ),
    "events.signing_keys.list_all": lambda c, a: signing_keys.list_all(c.services, a),
    "events.signing_keys.rotate": lambda c, a: signing_keys.rotate(c.services, a),
    "events.streams.create": lambda c, a: streams.create(
        c.services, a, StreamRequest(), "https://own.example"
    ),
    "events.streams.change": lambda c, a: streams.change(c.services, a, c.stream, StreamRequest()),
    "events.streams.delete": lambda c, a: _delete_stream(c, a),
    "events.streams.list_all": lambda c, a: streams.list_all(c.services, a),
    "events.streams.requested": lambda c, a: streams.requested(c.services, a, c.stream),
    "events.streams.set_status": lambda c, a: streams.set_status(c.services, a, c.stream, "paused"),
    "events.streams.show": lambda c, a: streams.show(c.services, a, c.stream),
    "events.streams.verify": lambda c, a: _verify_stream(c, a),
    "events.webhooks.create": lambda c, a: webhooks.create(c.services, a, HOOK, tenant="contoso"),
    "events.webhooks.delete": lambda c, a: webhooks.delete(c.services, a, c.webhook),
    "events.webhooks.list_all": lambda c, a: webhooks.list_all(c.services, a),
    "events.webhooks.replay": lambda c, a: webhooks.replay(
        c.services, a, c.webhook, f"ev1.{c.connection.tenant_id[-12:]}.0"
    ),
    "events.webhooks.rotate": lambda c, a: webhooks.rotate(c.services, a, c.webhook),
    "events.webhooks.send_test": lambda c, a: webhooks.send_test(c.services, a, c.webhook),
    "events.webhooks.show": lambda c, a: webhooks.show(c.services, a, c.webhook),
    "tenants.show": lambda c, a: tenants.show(c.services, a, "contoso"),
    "tenants.audit_page": lambda c, a: tenants.audit_page(c.services, a, "contoso"),
    "tenants.create": lambda c, a: tenants.create(c.services, a, "Contoso Two"),
    "tenants.list_all": lambda c, a: tenants.list_all(c.services, a),
}


async def _provider(tenancy: Tenancy, actor: Actor) -> object:
    return await provider_sign_in.provider(tenancy.services, actor, tenancy.connection.id)


async def _sign_in_by_subject(tenancy: Tenancy, actor: Actor) -> object:
    person = ProvenSubject(PROVIDER.issuer, "ada-there", None)
    return await provider_sign_in.complete_by_subject(
        tenancy.services, actor, tenancy.connection.id, person, SessionTerms()
    )


async def _delete_stream(tenancy: Tenancy, actor: Actor) -> bool:
    await streams.delete(tenancy.services, actor, tenancy.stream)
    return True


async def _verify_stream(tenancy: Tenancy, actor: Actor) -> bool:
    await streams.verify(tenancy.services, actor, tenancy.stream)
    return True


async def _acknowledge_all(tenancy: Tenancy, actor: Actor) -> int:
    return await feed.acknowledge(tenancy.services, actor, await feed.latest(tenancy.services, actor))


async def _begin_and_take(tenancy: Tenancy, actor: Actor) -> PendingSignIn:
    place = (tenancy.services, actor, tenancy.connection.id, "another state", "browser")
    await sign_in.begin(*place, PendingSignIn("sealed"))
    return await sign_in.take(*place)


async def _issue_and_redeem(tenancy: Tenancy, actor: Actor) -> app_sign_in.AppSession:
    place = (tenancy.services, actor, tenancy.connection.id)
    code = await app_sign_in.issue_code(*place, SessionId(tenancy.session), RETURN_URL)
    return await app_sign_in.redeem(*place, code, RETURN_URL)


LISTS = {
    "events.feed.acknowledge",
    "events.feed.latest",
    "events.feed.read",
    "events.webhooks.list_all",
    "events.streams.list_all",
    *("connections.overview.list_all", "connections.overview.names"),
    *("reports.status.status", "reports.status.urgent"),
    "checks.doctor.examine",
    "checks.doctor.examine_connections",
    "held_plans.list_all",
    "sessions.own_sessions.end",
    "sessions.own_sessions.show",
    "sessions.console_access.identify",
    "sessions.console_access.sign_out",
}
"""Answered without Contoso's rows; every other use case is refused."""

MAKES_ITS_OWN = {"events.streams.create"}
"""Names no one's rows: an actor of another tenant makes a stream of that tenant."""

HAS_ENDED = {
    *("reports.connection_report.running", "runs.show"),
    *("reports.cycles.ongoing_of", "connections.mapping_effect.mapping_effect"),
}
"""Nothing is found by any actor: no worker carried out such a run, no difference stands, nothing can be read."""

OPERATORS = {
    *("events.signing_keys.list_all", "events.signing_keys.rotate"),
    *("tenants.create", "deletion.delete_tenant"),
    *("operators.people.invite", "operators.people.list_all", "operators.people.remove"),
    *("operators.tokens.create", "operators.tokens.list_all", "operators.tokens.revoke"),
    *("key_rotation.key_use", "key_rotation.reseal"),
    *("backups.back_up", "backups.examine_backup", "backups.restore", "backups.note_restore"),
}
"""What an operator of all tenants alone may do."""

HELPERS = {
    "checks.connection_checks.examine_connection",
    "checks.connection_checks.probe_graph",
    "checks.cycle_checks.examine_cycles",
    "checks.cycle_checks.examine_revocations",
}
"""Functions that are given a connection which a use case has found."""


def use_cases() -> set[str]:
    """Name every public coroutine function of console.admin that takes services."""
    found = set()
    for module in pkgutil.walk_packages(console.admin.__path__, "console.admin."):
        loaded: ModuleType = importlib.import_module(module.name)
        for name, function in inspect.getmembers(loaded, inspect.iscoroutinefunction):
            first = next(iter(inspect.signature(function).parameters), "")
            is_ours = function.__module__ == module.name and not name.startswith("_")
            if is_ours and first in ("services", "settings"):
                found.add(f"{module.name.removeprefix('console.admin.')}.{name}")
    return found - HELPERS - {"checks.doctor.scim_answers"}


def test_every_use_case_is_called_here() -> None:
    """A new use case needs a line in CALLS, so that it cannot be forgotten."""
    assert set(CALLS) == use_cases()


def test_every_use_case_takes_an_actor() -> None:
    """One signature for every face: the services, then the actor."""
    for name in CALLS:
        module, _, function = name.rpartition(".")
        parameters = inspect.signature(
            getattr(importlib.import_module(f"console.admin.{module}"), function)
        ).parameters
        assert list(parameters)[1] == "actor", name


@on_sqlite
@pytest.mark.parametrize("name", sorted(CALLS.keys() - MAKES_ITS_OWN))
async def test_the_actor_of_another_tenant_finds_nothing(tenancy: Tenancy, name: str) -> None:
    """design.md §7, I5: nothing of one tenant can be read or written by another's actor."""
    before = await _all_rows(tenancy.services.db)
    try:
        answer = await CALLS[name](tenancy, tenancy.stranger)
    except (UnknownReference, AllTenantsRequired, LinkRefused) as refused:
        assert name not in LISTS
        answer = (getattr(refused, "near", ()), getattr(refused, "known", ()))
    else:
        assert name in LISTS | {"tenants.list_all"}
    for secret in (tenancy.connection.id, tenancy.connection.name, tenancy.plan.id, "contoso"):
        assert secret not in repr(answer)
    assert await _all_rows(tenancy.services.db) == before


@on_sqlite
@pytest.mark.parametrize("name", sorted(CALLS.keys() - OPERATORS - HAS_ENDED))
async def test_the_actor_of_the_tenant_finds_it(tenancy: Tenancy, name: str) -> None:
    """The refusals of the test above are because of the tenant, and of nothing else."""
    own = Actor(ActorKind.API, "contoso-admin", tenancy.connection.tenant_id)
    with suppress(WorkerError, StoreError):  # found, but this connection has no credential
        assert await CALLS[name](tenancy, own)


async def _all_rows(database: Database) -> dict[str, list[str]]:
    every: list[Table] = list(tables.tenants.metadata.sorted_tables)
    async with database.reading() as conn:
        return {table.name: sorted(map(repr, await conn.execute(select(table)))) for table in every}


# --- the audit log ---


async def _entries(tenancy: Tenancy, tenant_id: TenantId) -> list[AuditEntry]:
    async with tenancy.services.db.reading() as conn:
        return await audit_log.search(conn, tenant_id)


CHANGES: dict[str, tuple[str, dict[str, object]]] = {
    "api_tokens.allow_addresses": (
        "token.addresses_changed",
        {"before": [], "after": ["10.0.0.0/8"]},
    ),
    "api_tokens.create": ("token.created", {"permissions": ["admin:user:*", "admin:group:*"]}),
    "api_tokens.revoke_replaced": ("token.revoked", {}),
    "api_tokens.revoke": ("token.revoked", {}),
    "api_tokens.rotate": ("token.created", {"permissions": ["admin:user:*", "admin:group:*"]}),
    "api_tokens.suspend": ("token.suspended", {}),
    "connections.settings.change": ("connection.changed", {"what": ["interval_minutes"]}),
    "connections.settings.create": ("connection.created", {"mode": "report"}),
    "connections.settings.declare": ("connection.attributes_declared", {"attributes": [EXTENSION]}),
    "connections.mapping.change": (
        "connection.mapping_changed",
        {"version": 1, "origin": "set", "changed": ["userName"], "ended_plans": 1},
    ),
    "connections.settings.rename": (
        "connection.renamed",
        {"before": "entra-of-contoso", "after": "new"},
    ),
    "connections.states.release_brakes": (
        "connection.push_brake_released",
        {"kinds": [], "refused": 0, "for_minutes": 30},
    ),
    "connections.openid_provider.set_provider": (
        "connection.openid_provider_set",
        {"issuer": "https://id.example"},
    ),
    "connections.openid_provider.remove_provider": ("connection.openid_provider_removed", {}),
    "connections.openid_provider.link": ("connection.person_linked", {"account": ANY}),
    "connections.states.pause": ("connection.paused", {"reason": "why"}),
    "connections.states.resume": ("connection.resumed", {}),
    "connections.states.set_mode": ("connection.mode_changed", {"before": "report", "after": "enforce"}),
    "deletion.delete_connection": (
        "connection.deleted",
        {"people": "release", "active": 2, "inactive": 1, "groups": 1, "sessions": 1, "held_plans": 1},
    ),
    "held_plans.reject": ("plan.rejected", {"checksum": CHECKSUM, "by": "contoso-admin"}),
    "people.users.mark": ("connection.account_marked", {"account": ANY, "protected": True}),
    "people.same_person.decide": ("connection.people_joined", {"pairs": [[ANY, ANY]]}),
    "history.person_history.erase": (
        "connection.history_erased",
        {"account": ANY, "holder": 1, "accounts": 1, "results": 0},
    ),
    "sessions.account_sessions.end": ("connection.session_ended", {"session": ANY, "account": ANY}),
    "sessions.account_sessions.end_all": ("connection.sessions_ended", {"account": ANY, "sessions": 1}),
    "run_now.provision": (
        "connection.provision_requested",
        {"subjects": 1, "dry_run": False, "ask_entra": False},
    ),
    "run_now.sync": ("connection.sync_requested", {"full": False, "dry_run": False}),
    "sessions.console_access.redeem": ("setup_link.opened", {"address": None}),
    "setup.links.create_setup_link": ("connection.setup_link_created", {"link": ANY}),
    "setup.links.create_status_link": ("connection.status_link_created", {"link": ANY}),
    "setup.links.revoke": ("connection.setup_link_revoked", {"link": ANY}),
    "events.webhooks.create": ("webhook.created", {"types": []}),
    "events.webhooks.delete": ("webhook.deleted", {"types": []}),
    "events.webhooks.replay": ("webhook.replayed", {"types": []}),
    "events.webhooks.rotate": ("webhook.rotated", {"types": []}),
    "events.streams.create": ("webhook.created", {"types": ANY}),
    "events.streams.change": ("webhook.changed", {"types": ANY}),
    "events.streams.delete": ("webhook.deleted", {"types": ANY}),
    "events.streams.set_status": ("webhook.paused", {"types": ANY}),
    "runs.request_cycle": ("connection.sync_requested", {"full": False, "dry_run": False}),
    "runs.request_provisioning": (
        "connection.provision_requested",
        {"subjects": 1, "dry_run": False, "ask_entra": False},
    ),
}
"""The audit entry of every change that needs no Graph."""

WITH_GRAPH = {
    *("held_plans.approve", "held_plans.request_approval"),
    "connections.mapping.import_from_entra",
}
"""Changes that are tested with the simulator, their audit entry included."""

READS = {
    *("sessions.console_access.look_at", "sessions.console_access.identify"),
    *("setup.checklist.show", "setup.checklist.examine", "setup.links.list_for", "setup.links.open_status"),
    *("deletion.connection_effect", "deletion.tenant_effect", "tenants.audit_page"),
    *("connections.mapping.show", "connections.mapping_check.check", "connections.mapping_preview.preview"),
    *(
        "people.groups.list_page",
        "people.groups.show",
        "people.groups.look",
        "people.users.list_page",
        "people.users.show",
    ),
    *("people.users.browse", "connections.overview.find", "people.groups.browse"),
    "connections.mapping_effect.mapping_effect",
    *("people.search.search", "people.entra_values.compare", "events.notifications.told"),
    *(
        "reports.connection_report.report",
        "reports.connection_report.running",
        "reports.provisioning_log.entry",
    ),
    *("reports.cycles.get", "reports.cycles.list_page"),
    *("connections.scope_effect.scope_effect", "sessions.account_sessions.list_for_user"),
    "sessions.account_sessions.open_receipts",
    "sessions.provider_sign_in.provider",
    *("sessions.own_sessions.show", "sessions.sign_in.client", "sessions.app_sign_in.check_return"),
    *("history.person_history.export", "history.results.list_for_user"),
    *("events.webhooks.list_all", "events.webhooks.send_test", "events.webhooks.show"),
    *("events.streams.list_all", "events.streams.requested", "events.streams.show"),
    *("runs.show", "events.feed.latest", "events.feed.read", "tenants.show"),
    *("connections.states.show_brakes", "connections.openid_provider.show"),
    *(
        "api_tokens.list_for",
        "api_tokens.show",
        "api_tokens.resume",
        "audit.entries",
        "connections.overview.list_all",
    ),
    *(
        "connections.overview.show",
        "checks.doctor.examine",
        "checks.doctor.examine_connections",
        "checks.doctor.test_connection",
    ),
    *("held_plans.list_all", "held_plans.show"),
    *("reports.cycles.drift_page", "reports.cycles.drift_report", "reports.cycles.ongoing_of"),
    "people.grounds.show",
    *("reports.provisioning_log.log", "tenants.list_all"),
    *("connections.overview.names", "reports.status.status", "reports.status.urgent"),
}
"""Use cases that change nothing; a token that is not suspended is not resumed either."""


OWN_RECORDS = {
    "sessions.provider_sign_in.complete_by_subject",
    *("events.poll.poll", "events.streams.verify"),
    *("events.feed.acknowledge", "sessions.app_keys.end", "sessions.app_keys.register"),
    "sessions.account_sessions.acknowledge",
    "history.results.add",
    *(
        "sessions.app_sign_in.issue_code",
        "sessions.app_sign_in.redeem",
        "sessions.sign_in.begin",
        "sessions.sign_in.complete",
        "sessions.sign_in.take",
        "sessions.sign_in.end_for_provider",
    ),
    "sessions.own_sessions.end",
    "sessions.console_access.sign_out",
}
"""What a person or the app does there: the session or the result is the record of it."""


def test_every_use_case_either_reads_or_is_audited() -> None:
    """A new use case is listed as one or the other."""
    assert CHANGES.keys() | READS | WITH_GRAPH | OPERATORS | OWN_RECORDS == CALLS.keys()


@on_sqlite
@pytest.mark.parametrize("name", sorted(CHANGES))
async def test_a_change_is_in_the_audit_log_with_its_actor(tenancy: Tenancy, name: str) -> None:
    """issue 8: "the audit entry, with the actor, is part of the same transaction"."""
    tenant_id = tenancy.connection.tenant_id
    known = await _entries(tenancy, tenant_id)
    with suppress(WorkerError):  # requested, but this connection has no credential
        await CALLS[name](tenancy, Actor(ActorKind.WEB, "contoso-admin", tenant_id))
    entry = (await _entries(tenancy, tenant_id))[0]
    action, detail = CHANGES[name]
    assert entry.id > known[0].id
    assert (entry.actor, entry.action, entry.detail) == ("web:contoso-admin", action, detail)


FREE_OF_ROLES = {"sessions.console_access.redeem"}
"""A secret opens it."""


@on_sqlite
async def test_a_viewer_changes_nothing(tenancy: Tenancy) -> None:
    """issue 12: "who is not allowed does not see the button, and the use case refuses anyway"."""
    tenant_id = tenancy.connection.tenant_id
    viewer = Actor(ActorKind.WEB, "vi", tenant_id, permissions=PERMISSIONS[Role.VIEWER])
    before = await _all_rows(tenancy.services.db)
    for name in sorted((CHANGES.keys() | WITH_GRAPH | OPERATORS) - FREE_OF_ROLES - SHELL_ALONE):
        with pytest.raises(PermissionMissing):
            await CALLS[name](tenancy, viewer)
    assert await _all_rows(tenancy.services.db) == before


SHELL_ALONE = {each for each in OPERATORS if each.startswith(("backups.", "key_rotation."))} | {
    "deletion.tenant_effect"
}
"""No face but the command line has them."""

NEED_A_RECENT_SIGN_IN = {
    *("api_tokens.create", "api_tokens.rotate", "api_tokens.allow_addresses", "held_plans.approve"),
    "held_plans.request_approval",
    *("connections.states.set_mode", "deletion.delete_connection", "people.same_person.decide"),
    *("setup.links.create_setup_link", "setup.links.create_status_link", "events.webhooks.create"),
}


@on_sqlite
async def test_approving_tokens_and_enforcing_need_a_recent_sign_in(tenancy: Tenancy) -> None:
    """issue 12: "step-up (recent sign-in) for approve, credentials, tokens, enforce"."""
    long_ago = datetime.now(UTC) - timedelta(minutes=16)
    admin = Actor(ActorKind.WEB, "ada", tenancy.connection.tenant_id, signed_in_at=long_ago)
    before = await _all_rows(tenancy.services.db)
    for name in sorted(NEED_A_RECENT_SIGN_IN):
        with pytest.raises(SignInTooOld):
            await CALLS[name](tenancy, admin)
    assert await _all_rows(tenancy.services.db) == before
    await CALLS["connections.states.pause"](tenancy, admin)


@on_sqlite
@pytest.mark.parametrize("name", sorted(READS))
async def test_reading_leaves_no_entry(tenancy: Tenancy, name: str) -> None:
    """The audit log is about changes."""
    before = await _entries(tenancy, tenancy.connection.tenant_id)
    with suppress(UseCaseError, WorkerError):
        await CALLS[name](tenancy, OPERATOR)
    assert await _entries(tenancy, tenancy.connection.tenant_id) == before


@on_sqlite
async def test_a_refused_decision_leaves_no_entry(tenancy: Tenancy) -> None:
    """The entry is written in the transaction of the decision, or not at all."""
    await held_plans.reject(tenancy.services, OPERATOR, tenancy.plan.id, by="Ada")
    before = await _entries(tenancy, tenancy.connection.tenant_id)
    assert before[0].detail["by"] == "Ada"
    with pytest.raises(VersionMoved):
        await held_plans.reject(tenancy.services, OPERATOR, tenancy.plan.id)
    assert await _entries(tenancy, tenancy.connection.tenant_id) == before


@on_sqlite
async def test_a_new_tenant_is_in_its_own_audit_log(tenancy: Tenancy) -> None:
    """The creation of a tenant belongs to no connection."""
    made = await tenants.create(tenancy.services, OPERATOR, "Northwind")
    [entry] = await _entries(tenancy, made.id)
    assert (entry.actor, entry.action, entry.connection_id) == ("cli:ada", "tenant.created", None)
