"""Invariant I5: nothing of one tenant is readable or writable in the name of another."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

import store
from store import lifecycle, tables
from store.access import links
from store.access.links import LinkTarget
from store.access.records import LinkKind
from store.access.setup_steps import SetupStepTrace
from store.database import Database
from store.directory import assessment_results, sessions
from store.directory.browsing import FoundNames, SortedPage
from store.directory.joined_holders import Holder
from store.directory.listing import DirectoryPage, UserFilter
from store.directory.sign_ins import PendingSignIn
from store.errors import NotFound, PushBraked, Terminal
from store.integration import app_keys, event_streams, webhook_endpoints
from store.integration.app_keys import NewAppKey
from store.integration.event_streams import StreamTerms
from store.integration.openid_providers import OpenIdProvider
from store.keys import utc_now
from store.logs import provisioning_log
from store.logs.journal import LogSubject
from store.logs.recent_entries import LogFilter
from store.records import (
    Action,
    AddMembers,
    AppKeyKind,
    Cause,
    ChangeGroup,
    ChangeHolder,
    ChangeUser,
    Connection,
    CreateGroup,
    CreateUser,
    CycleKind,
    CycleStatus,
    DecideHolder,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    DriftFinding,
    DriftKind,
    Ending,
    Event,
    Fence,
    FindingState,
    GraphId,
    JsonValue,
    LinkGroup,
    LinkUser,
    LogStatus,
    MarkUser,
    Origin,
    OutcomeStatus,
    PlanStatus,
    Policy,
    ReleaseNames,
    ReleaseUser,
    RemoveMembers,
    RetireUser,
    RowDigest,
    SealUser,
    SubjectType,
    UnsealUser,
    WebhookState,
)
from store.records.connections import MappingOrigin
from store.records.drift import ConflictKind, PushConflict
from store.search.criteria import SearchQuery
from store.search.query import SearchPage
from store.sync import cycles, delta_links, entitled_lists, held_plans, leases, push_conflicts
from store.sync.guard_memory import DecidedRows
from store.sync.report_writes import PreviousReport
from store.tenancy import api_tokens, connections, mappings, tenants
from store.tenancy.deletion import ConnectionCounts
from store.tenancy.urgency import RankedPage
from tests.builders.store_rows import create_group, create_user, record_drift, setting

FINDS_THE_TENANT = (
    "the reference, the secret or the name is how the tenant is found; the caller checks the answer"
)
FOR_THE_OPERATOR = "the operator and the worker see every tenant; no request of a tenant reaches it"
OF_A_TOKEN = "takes the id of the token that was authenticated, which belongs to one tenant or operator"
GIVEN_RECORDS = "takes records of one tenant, which the caller has read"
NO_DATA = "reads no row of any tenant"
GIVEN_STATEMENT = "runs the statement it is given, which names its tenant where it is built"

EXEMPT = {
    "access.operators.find": FOR_THE_OPERATOR,
    "access.operators.list_all": FOR_THE_OPERATOR,
    "access.operators.remove": FOR_THE_OPERATOR,
    "access.links.find_by_secret": FINDS_THE_TENANT,
    "access.links.use": GIVEN_RECORDS,
    "access.console_sessions.start": GIVEN_RECORDS,
    "access.console_sessions.find_live": FINDS_THE_TENANT,
    "access.console_sessions.note_seen": GIVEN_RECORDS,
    "access.console_sessions.end": FINDS_THE_TENANT,
    "logs.retention.prune_access_links": FOR_THE_OPERATOR,
    "logs.retention.prune_console_sessions": FOR_THE_OPERATOR,
    "directory.session_checks.check": FINDS_THE_TENANT,
    "backup.note_restore": FOR_THE_OPERATOR,
    "directory.sessions.find_live": FINDS_THE_TENANT,
    "engine.bulk_write.write_batch": GIVEN_STATEMENT,
    "engine.prepared_statements.command": GIVEN_STATEMENT,
    "engine.prepared_statements.fetch": GIVEN_STATEMENT,
    "engine.prepared_statements.fetch_tuples": GIVEN_STATEMENT,
    "engine.prepared_statements.stream_tuples": GIVEN_STATEMENT,
    "engine.prepared_statements.run_many": GIVEN_STATEMENT,
    "engine.streaming.in_parts": GIVEN_STATEMENT,
    "engine.streaming.count_up_to": GIVEN_STATEMENT,
    "directory.receipts.count_unacknowledged": FOR_THE_OPERATOR,
    "integration.event_streams.acknowledge": GIVEN_RECORDS,
    "sync.held_plans.supersede": GIVEN_RECORDS,
    "integration.event_streams.drop_control": GIVEN_RECORDS,
    "integration.event_streams.go_on": GIVEN_RECORDS,
    "integration.signing_keys.add": FOR_THE_OPERATOR,
    "integration.signing_keys.current": FOR_THE_OPERATOR,
    "integration.signing_keys.published": FOR_THE_OPERATOR,
    "integration.signing_keys.retire": FOR_THE_OPERATOR,
    "integration.webhook_endpoints.active": FOR_THE_OPERATOR,
    "integration.webhook_endpoints.add_dead_letter": GIVEN_RECORDS,
    "integration.webhook_endpoints.claim": GIVEN_RECORDS,
    "integration.webhook_endpoints.record": GIVEN_RECORDS,
    "integration.webhook_endpoints.save": GIVEN_RECORDS,
    "logs.events.pruned_through": NO_DATA,
    "logs.retention.prune_app_keys": FOR_THE_OPERATOR,
    "logs.retention.prune_assessment_results": FOR_THE_OPERATOR,
    "logs.retention.prune_audit_log": FOR_THE_OPERATOR,
    "logs.retention.prune_cycles": FOR_THE_OPERATOR,
    "logs.retention.prune_events": FOR_THE_OPERATOR,
    "logs.retention.prune_idempotency_keys": FOR_THE_OPERATOR,
    "logs.retention.prune_provisioning_log": FOR_THE_OPERATOR,
    "logs.retention.prune_receipts": FOR_THE_OPERATOR,
    "logs.retention.prune_sessions": FOR_THE_OPERATOR,
    "logs.retention.prune_sign_ins": FOR_THE_OPERATOR,
    "logs.retention.prune_sign_in_codes": FOR_THE_OPERATOR,
    "sync.held_plans.find": FINDS_THE_TENANT,
    "tenancy.connections.list_some": GIVEN_RECORDS,
    "tenancy.urgency.busy_holders": FOR_THE_OPERATOR,
    "tenancy.urgency.due": FOR_THE_OPERATOR,
    "sync.leases.check_removal": NO_DATA,
    "sync.leases.database_time": NO_DATA,
    "tenancy.api_tokens.find_by_secret": FINDS_THE_TENANT,
    "tenancy.connections.abandoned": FOR_THE_OPERATOR,
    "tenancy.tenants.connection_names": FOR_THE_OPERATOR,
    "tenancy.connections.due": FOR_THE_OPERATOR,
    "tenancy.connections.find": FINDS_THE_TENANT,
    "tenancy.connections.find_by_id": FINDS_THE_TENANT,
    "tenancy.connections.list_all": FOR_THE_OPERATOR,
    "tenancy.connections.schedule_all": FOR_THE_OPERATOR,
    "tenancy.credential_expiry.count_warnings": FOR_THE_OPERATOR,
    "integration.idempotency_keys.claim": OF_A_TOKEN,
    "integration.idempotency_keys.find": OF_A_TOKEN,
    "integration.idempotency_keys.keep": OF_A_TOKEN,
    "integration.operator_tokens.create": FOR_THE_OPERATOR,
    "integration.operator_tokens.find_by_secret": FOR_THE_OPERATOR,
    "integration.operator_tokens.list_all": FOR_THE_OPERATOR,
    "integration.operator_tokens.revoke": FOR_THE_OPERATOR,
    "tenancy.connection_health.tell": GIVEN_RECORDS,
    "tenancy.credential_expiry.tell_of_tokens": FOR_THE_OPERATOR,
    "tenancy.sealed_values.list_sealed": FOR_THE_OPERATOR,
    "tenancy.sealed_values.replace_sealed": FOR_THE_OPERATOR,
    "tenancy.tenants.create": FOR_THE_OPERATOR,
    "tenancy.tenants.find": FINDS_THE_TENANT,
    "tenancy.tenants.list_all": FOR_THE_OPERATOR,
}
"""Functions that take no tenant, each with the reason."""

GIVES_ITS_OWN = {
    "integration.event_streams.create": "creates a stream of the caller's own tenant",
    "tenancy.deletion.end_tenant": "ends the caller's own tenant",
    "tenancy.connections.create": "makes a connection of the caller's",
    "tenancy.tenants.get": "gives the caller's own tenant",
    "integration.webhook_endpoints.create": "makes an endpoint of the caller's",
    "access.operators.create": "makes an operator of the caller's",
    "access.links.create": "makes a link of the caller's",
}

OF_NO_TENANT = (tables.operator_tokens, tables.idempotency_keys, tables.event_retention)
"""Tables whose rows belong to an operator, or to a token."""

CONFLICT = PushConflict(
    ConflictKind.SECOND_ACCOUNT, "", GraphId("somebody"), "ann", datetime(2026, 11, 2, tzinfo=UTC)
)
TERMS = StreamTerms("urn:ietf:rfc:8936", "", "sealed", (), ("user",), None)

OF_ONE_FUNCTION: dict[str, dict[str, Any]] = {
    "integration.openid_providers.link": {"subject": "sub"},
    "integration.openid_providers.find": {"subject": "sub"},
    "integration.event_streams.create": {"state": WebhookState.POLLED},
    "integration.event_streams.change": {"state": WebhookState.PAUSED},
    "integration.event_streams.set_status": {"state": WebhookState.PAUSED},
    "tenancy.mappings.add": {"mapping": {"userName": "mail"}, "origin": MappingOrigin.SET},
    "directory.browsing.sorted_users": {"wanted": UserFilter(), "after": None},
    "tenancy.connections.change": {"values": {"people": 1}},
    "sync.held_plans.note_job": {"job_id": "plan:connection:1"},
    "sync.delta_links.is_assigned": {"principal_id": "11111111-0000-4000-8000-000000000000"},
    "directory.browsing.find_names": {"wanted": UserFilter()},
    "tenancy.deletion.next_active": {"limit": 5},
    "tenancy.deletion.next_of_entra": {"limit": 5},
    "sync.guard_memory.end_rows": {"due": frozenset(), "left_alone": frozenset()},
    "sync.delta_links.put_all": {"links": {"users": "link"}},
    "sync.push_conflicts.settle": {"looked_at": [CONFLICT], "standing": []},
    "sync.held_plans.decide": {"status": PlanStatus.APPROVED},
    "lifecycle.perform.perform_within": {"commands": ()},
    "access.links.list_for": {"kind": LinkKind.SETUP},
    "logs.recent_entries.search": {"wanted": LogFilter()},
    "logs.provisioning_log.append": {"status": LogStatus.SUCCESS},
}
"""Arguments whose names mean something else in other functions."""

ContosoRows = dict[str, Any]
KEYS: dict[str, JsonValue] = {"keys": ["disable:ann::disabled"]}


@pytest.fixture
async def contoso_rows(database: Database, contoso: Connection) -> ContosoRows:
    """Contoso with one of everything, and Fabrikam, who has nothing and wants to see it."""
    fabrikam = await database.write(lambda conn: tenants.create(conn, "Fabrikam"))
    me, mine, now = contoso.tenant_id, contoso.id, utc_now()
    hook = await database.write(
        lambda conn: webhook_endpoints.create(conn, me, "https://app.example", "sealed", (), 0)
    )
    target = LinkTarget(LinkKind.SETUP, mine)
    link, _ = await database.write(lambda conn: links.create(conn, me, target))
    ann = await create_user(database, contoso, "ann")
    readers = await create_group(database, contoso, "Readers", ann.id)
    stream = await database.write(
        lambda conn: event_streams.create(
            *(conn, me, TERMS, "https://leaver.example", "us", 0), state=WebhookState.POLLED, actor="test"
        )
    )
    key = NewAppKey(AppKeyKind.API_KEY, "key of ann")
    app_key = await database.write(lambda conn: app_keys.register(conn, me, ann.id, key, now))
    cause = Cause(Origin.SCIM, "request-1")
    finding = DriftFinding(
        DriftKind.LOCAL_ACCOUNT, None, SubjectType.USER, ann.id, "ann", {}, {}, now, FindingState.OPEN
    )

    async def furnish(conn: Any) -> ContosoRows:
        token, _ = await api_tokens.create(conn, me, mine, "key", [])
        session, _ = await sessions.start(conn, me, ann.id)
        cycle = await cycles.start(conn, me, mine, CycleKind.FULL)
        await cycles.save_progress(conn, me, cycle.id, cycles.Progress("reading"))
        await cycles.finish(conn, me, cycle.id, cycles.CycleResult(CycleStatus.APPLIED, complete=True))
        plan = await held_plans.hold(conn, me, mine, cycle.id, "sum", "why", KEYS, now + timedelta(days=1))
        await record_drift(conn, me, mine, cycle.id, [finding])
        await delta_links.put(conn, me, mine, "users", "link")
        await push_conflicts.note(conn, me, mine, CONFLICT)
        await delta_links.put_assigned(conn, me, mine, [GraphId("somebody")])
        await entitled_lists.put_all(conn, me, mine, {GraphId("somebody"): 1})
        lease = await leases.acquire(conn, me, mine, "worker", now, 60)
        await assessment_results.add(conn, me, ann.id, "Reading", 97)
        await connections.set_credential(conn, me, mine, "sealed")
        await mappings.add(conn, me, mine, {"userName": "mail"}, MappingOrigin.SET, "ann")
        return {
            "token_id": token.id,
            "session_id": session.id,
            "cycle_id": cycle.id,
            "plan_id": plan.id,
            "lease": lease,
        }

    return {
        **(await database.write(furnish)),
        "tenant_id": fabrikam.id, "connection_id": mine, "user_id": ann.id, "group_id": readers.id,
        "member_id": ann.id, "user_name": ann.user_name, "external_id": "ann", "entra_object_id": GraphId("e"),
        "email": ann.user_name, "display_name": "Readers", "name": "users", "link": "foreign",
        "client": "app", "idle_s": 60, "code": "c", "return_url": "https://app", "return_urls": (),
        "holder": "other", "now": now, "duration_s": 60, "since": now - timedelta(days=1), "next_due_at": now,
        "reason": "foreign", "policy": Policy(), "interval_minutes": 5, "sealed_credential": "foreign",
        "permissions": (), "address": None, "kind": CycleKind.FULL, "how_far": cycles.Progress("foreign"),
        "status": CycleStatus.FAILED, "complete": True, "checksum": "sum", "body": {}, "expires_at": now,
        "by": "foreign", "findings": [finding], "cause": cause, "action": Action.UPDATE,
        "subject_type": SubjectType.USER, "subject_id": ann.id, "subject_label": "ann",
        "subject": LogSubject(SubjectType.USER, ann.id, "ann"),
        "url": "https://foreign.example", "types": (), "position": 0,
        "sealed_secret": "foreign", "endpoint_id": hook.id, "previous_until": now,
        "event_type": "user.updated", "payload": {}, "title": "Foreign",
        "seen": {"s": (now, now)}, "issuer": "foreign", "receipt_id": "r",
        "directory_id": None, "period": 1, "proved_at": now,
        "state": "foreign", "browser": "foreign", "pending": PendingSignIn("foreign"),
        "uti": "foreign", "entra_tenant_id": "foreign", "app_id": "foreign",
        "actor": "foreign", "addresses": ("192.0.2.1",), "detail": {},
        "group_ids": (readers.id,),
        "names": {ann.id: ("foreign", None)}, "holder_number": 1, "verdict": {"names_fit": True},
        "user_ids": (ann.id,), "after_id": 0,
        "after": now - timedelta(days=1), "why": "foreign", "principals": (GraphId("e"),),
        "provider": OpenIdProvider("https://id.example", "leaver", None), "sealed": "foreign",
        "stream_id": stream.id, "terms": TERMS, "audience": "foreign",
        "wanted": NewAppKey(AppKeyKind.API_KEY, "foreign"), "key_id": app_key.id, "key_ids": [app_key.id],
        "user": ann, "ended": [], "ending": Ending("foreign"), "event_id": 9,
        "event": Event(9, now, me, mine, "session.revoked", ann.id, {}),
        "score": 0, "older_than": now + timedelta(days=1), "fence": Fence(mine, 1),
        "result": cycles.CycleResult(CycleStatus.FAILED, complete=True), "ends": now, "table": tables.users,
        "row_id": ann.id, "column": tables.users.c.user_name_key, "value": ann.user_name, "values": [ann.user_name],
        "deleted": True, "query": SearchQuery(), "of_users": SearchQuery(), "of_groups": SearchQuery(),
        "agreed": [RowDigest(ann.id, ann.version, "foreign")], "ids": [GraphId("somebody")],
        "listed": {GraphId("e"): 1}, "conflict": CONFLICT, "looked_at": [GraphId("e")], "kinds": [DriftKind.LOCAL_ACCOUNT],
        "braked": PushBraked("users", "foreign", None, is_new=True),
        "one": Holder(ann.id, 1), "other": Holder(ann.id, 2), "object_id": GraphId("e"),
        "repaired": {FindingState.OPEN: 1}, "subject_ids": [ann.id], "cycle_ids": ["c"],
        "number": 2, "rows": [1], "link_id": link.id, "traces": {"first_user": SetupStepTrace(now, "foreign")},
    }  # fmt: skip


def _query_functions() -> dict[str, Callable[..., Any]]:
    """Every public function of the store that talks to a database connection, by its path within the store."""
    found: dict[str, Callable[..., Any]] = {}
    for info in pkgutil.walk_packages(store.__path__, "store."):
        if info.name.startswith("store.migrations."):
            continue  # Alembic runs them, and they see no rows
        module = importlib.import_module(info.name)
        for name, function in inspect.getmembers(module, _talks_to_a_connection):
            if function.__module__ == info.name and not name.startswith("_"):
                found[f"{info.name.removeprefix('store.')}.{name}"] = function
    return found


def _talks_to_a_connection(value: object) -> bool:
    if not (inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value)):
        return False
    return any(p.annotation == "AsyncConnection" for p in inspect.signature(value).parameters.values())


def test_every_query_asks_for_a_tenant() -> None:
    """Every query function takes the connection first and the tenant second, but for those with a reason."""
    functions = _query_functions()
    without = {
        name
        for name, function in functions.items()
        if list(inspect.signature(function).parameters)[1:2] != ["tenant_id"]
    }

    assert without == EXEMPT.keys()
    assert GIVES_ITS_OWN.keys() <= functions.keys()
    assert len(functions) > 80, "the walk finds the store's modules"


async def test_a_foreign_tenant_reads_and_writes_nothing(
    database: Database, contoso_rows: ContosoRows
) -> None:
    """In Fabrikam's name with Contoso's ids, no query gives anything or changes a row of Contoso's."""
    before = await _rows_of_contoso(database, contoso_rows)
    told: dict[str, Any] = {}
    for name, function in _query_functions().items():
        if name in EXEMPT | GIVES_ITS_OWN:
            continue
        arguments = _arguments(name, function, contoso_rows)
        try:
            given = await database.write(lambda conn, f=function, a=arguments: _call(f, conn, a))  # type: ignore[misc]
        except Terminal:
            continue
        if not _is_nothing(given):
            told[name] = given

    assert told == {}
    assert await _rows_of_contoso(database, contoso_rows) == before


async def _call(function: Callable[..., Any], conn: AsyncConnection, arguments: ContosoRows) -> Any:
    if inspect.isasyncgenfunction(function):
        return [part async for part in function(conn, **arguments)]
    return await function(conn, **arguments)


def _arguments(name: str, function: Callable[..., Any], contoso_rows: ContosoRows) -> ContosoRows:
    """Gives what the function must be told, from Contoso's scene."""
    _, *parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.default is inspect.Parameter.empty]
    own = OF_ONE_FUNCTION.get(name, {})
    return {need: own[need] if need in own else contoso_rows[need] for need in needed}


def _is_nothing(given: Any) -> bool:
    if isinstance(given, ConnectionCounts):
        return given == ConnectionCounts(0, 0, 0, 0, 0, 0)
    if isinstance(given, DirectoryPage | SortedPage):
        return not given.items
    if isinstance(given, FoundNames):
        return not given.seqs
    if isinstance(given, provisioning_log.LogPage):
        return not given.entries
    if isinstance(given, RankedPage):
        return not (given.ranked or given.counts)
    if isinstance(given, SearchPage):
        return not (given.items or given.total)
    if isinstance(given, PreviousReport):
        return not given.findings
    if isinstance(given, DecidedRows):
        return not (given.waiting or given.accepted)
    return not given


async def _rows_of_contoso(database: Database, contoso_rows: ContosoRows) -> dict[str, list[Any]]:
    """Gives every row of every table that is not Fabrikam's."""
    rows: dict[str, list[Any]] = {}
    async with database.reading() as conn:
        for table in tables.Base.metadata.sorted_tables:
            if table in OF_NO_TENANT:
                continue
            column = "id" if table.name == "tenants" else "tenant_id"
            query = select(table).where(table.c[column] != contoso_rows["tenant_id"])
            rows[table.name] = sorted(map(str, (await conn.execute(query)).all()))
    return rows


async def test_a_foreign_tenant_changes_nobody(
    database: Database, contoso_rows: ContosoRows, contoso: Connection
) -> None:
    """Every command, in Fabrikam's name with Contoso's ids, is refused or passed over."""
    user, group = contoso_rows["user_id"], contoso_rows["group_id"]
    own = await database.write(lambda conn: connections.create(conn, contoso_rows["tenant_id"], "Own"))
    commands = (
        ChangeUser(user, setting(title="Foreign")),
        DisableUser(user),
        DeleteUser(user),
        LinkUser(user, GraphId("foreign")),
        ChangeHolder(user, GraphId("foreign")),
        ReleaseNames(user),
        RetireUser(user),
        SealUser(user),
        UnsealUser(user),
        DecideHolder(user, is_known=True),
        MarkUser(user, is_protected=True),
        ReleaseUser(user),
        ChangeGroup(group, setting(displayName="Foreign"), replace_member_ids=()),
        LinkGroup(group, GraphId("foreign")),
        AddMembers(group, (user,)),
        RemoveMembers(group, (user,)),
        DeleteGroup(group),
        CreateGroup({"displayName": "Foreign"}, member_ids=(user,)),
    )
    before = await _rows_of_contoso(database, contoso_rows)

    cause = Cause(Origin.SCIM, "foreign")
    with pytest.raises(NotFound):
        await lifecycle.perform(
            database, contoso_rows["tenant_id"], contoso.id, commands, cause, atomic=False
        )
    outcomes = await lifecycle.perform(
        database, contoso_rows["tenant_id"], own.id, commands, cause, atomic=False
    )

    assert not {outcome.status for outcome in outcomes} & {OutcomeStatus.APPLIED, OutcomeStatus.UNCHANGED}
    assert await _rows_of_contoso(database, contoso_rows) == before


async def test_the_same_names_live_side_by_side(database: Database, contoso: Connection) -> None:
    """Uniqueness is per connection: two connections of one tenant may both have an ann."""
    second = await database.write(lambda conn: connections.create(conn, contoso.tenant_id, "Second"))
    ann = await create_user(database, contoso, "ann")

    other = await lifecycle.perform(
        database, second.tenant_id, second.id, [CreateUser(ann.document)], Cause(Origin.SCIM, "r")
    )

    assert other[0].status is OutcomeStatus.APPLIED
