"""Operations on connections: settings, states, test, mapping."""

from __future__ import annotations

import hashlib
from typing import Annotated

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import deletion
from console.admin.checks import doctor
from console.admin.checks.check import Advice, Check, CheckStatus
from console.admin.connections import overview, settings, states
from console.admin.connections.policy import PolicyChanges
from console.admin.connections.settings import ConnectionChanges, NewConnection
from console.admin.references import lock_connection
from console.admin.services import Services
from console.api.contract import Caller, Reply, Routes
from console.api.problems import FieldError, Problem
from console.api.schemas import tenancy as schemas
from console.api.schemas.common import ChecksAnswer
from console.documents import connections as documents
from console.documents import logs as log_documents
from console.documents.connections import deleted_connection
from console.documents.values import JsonDocument
from console.transactions import First, together
from store.records import Connection, ScopingClause
from store.records.connections import PeopleFate
from store.tenancy.connections import GRAPH_URL, LOGIN_URL
from worker.graph.auth.credentials import Credential
from worker.graph.errors import ConnectionUnusable
from worker.reconcile.mapping.attribute_paths import PolicyError
from worker.reconcile.mapping.scoping_filters import parse_clause

routes = Routes("Connections")

_SETTINGS = frozenset(
    {
        *("name", "mode", "scope", "membership", "extensions", "filters", "ceilings", "held_plan_days"),
        *("full_every_hours", "evidence_max_age_s", "deprovision_local_accounts", "clear_emptied_attributes"),
        *("interval_minutes", "entra_tenant_id", "client_id", "app_id", "login_url", "graph_url"),
        *("has_credential", "credential_expires_at", "return_urls"),
    }
)
"""What an ETag stands for; a cycle that runs changes none of it."""


@routes.add("GET", "/connections", "admin:connection:read", problems=("not-found",))
async def list_connections(
    caller: Caller, tenant: str | None = None
) -> Annotated[JsonDocument, schemas.ConnectionPage]:
    """List connections, of one tenant or of all that the token can see."""
    found = await overview.list_all(caller.services, caller.actor, tenant)
    return caller.page(documents.connection(each, caller.services.settings) for each in found.connections)


@routes.add(
    "POST",
    "/connections",
    "admin:connection:create",
    status=201,
    problems=("not-found", "name-taken", "invalid-value", "operator-needed"),
)
async def create_connection(
    caller: Caller, body: schemas.NewConnectionBody
) -> Annotated[Reply, schemas.ConnectionAnswer]:
    """Create a connection of a tenant, in mode `report` unless it is told otherwise."""
    wanted = NewConnection(
        name=body.name,
        entra_tenant_id=body.entra_tenant_id,
        client_id=body.client_id,
        credential=_credential(body.credential),
        app_id=body.app_id,
        login_url=body.login_url or LOGIN_URL,
        graph_url=body.graph_url or GRAPH_URL,
        scope=body.scope,
        membership=body.membership,
        interval_minutes=body.interval_minutes,
        mode=body.mode,
    )
    return _with_etag(
        caller.services, await settings.create(caller.services, caller.actor, body.tenant, wanted)
    )


@routes.add("GET", "/connections/{connection}", "admin:connection:read", problems=("not-found",))
async def get_connection(caller: Caller, connection: str) -> Annotated[Reply, schemas.ConnectionAnswer]:
    """Read a connection; the header ETag names the version of its settings."""
    found = await overview.show(caller.services, caller.actor, connection)
    document = documents.connection(found.connection, caller.services.settings, found.tokens)
    return Reply(document, {"ETag": _etag(document)})


@routes.add(
    "PATCH",
    "/connections/{connection}",
    "admin:connection:update",
    needs_version=True,
    problems=("not-found", "name-taken", "invalid-value", "operator-needed"),
)
async def change_connection(
    caller: Caller, connection: str, body: schemas.ConnectionChangesBody
) -> Annotated[Reply, schemas.ConnectionAnswer]:
    """Change settings of a connection; what is left out stays.

    If-Match names the version that was read. All of it is changed, or nothing.
    """
    changes = _changes(body)
    if not (changes.names() or body.name or body.mode):
        raise Problem("invalid-request", "The request names no value that is to be changed.")

    async def change(services: Services) -> Connection:
        found: Connection | None = None
        if changes.names():
            found = await settings.change(services, caller.actor, connection, changes)
        if body.mode is not None:
            found = await states.set_mode(services, caller.actor, connection, body.mode)
        if body.name is not None:
            found = await settings.rename(services, caller.actor, connection, body.name)
        assert found is not None
        return found

    made = await together(caller.services, _is_unchanged(caller, connection), change)
    return _with_etag(caller.services, made)


@routes.add("DELETE", "/connections/{connection}", "admin:connection:delete", problems=("not-found", "busy"))
async def delete_connection(
    caller: Caller, connection: str, people: PeopleFate
) -> Annotated[JsonDocument, schemas.DeletedConnectionAnswer]:
    """Delete a connection; `people` says what becomes of its accounts."""
    effect = await deletion.delete_connection(caller.services, caller.actor, connection, people)
    return deleted_connection(effect.connection, effect.counts, people.value)


@routes.add("POST", "/connections/{connection}/pause", "admin:connection:update", problems=("not-found",))
async def pause_connection(
    caller: Caller, connection: str, body: schemas.PauseBody
) -> Annotated[JsonDocument, schemas.ConnectionAnswer]:
    """Stop push and pull of a connection until it is resumed."""
    found = await states.pause(caller.services, caller.actor, connection, body.reason)
    return documents.connection(found, caller.services.settings)


@routes.add("POST", "/connections/{connection}/resume", "admin:connection:update", problems=("not-found",))
async def resume_connection(
    caller: Caller, connection: str
) -> Annotated[JsonDocument, schemas.ConnectionAnswer]:
    """End a pause or a quarantine; the next cycle is due at once."""
    found = await states.resume(caller.services, caller.actor, connection)
    return documents.connection(found, caller.services.settings)


@routes.add("POST", "/connections/{connection}/test", "admin:connection:read", problems=("not-found",))
async def test_connection(caller: Caller, connection: str) -> Annotated[JsonDocument, ChecksAnswer]:
    """Ask Entra for a token, and read a little of all that a cycle reads."""
    checks = await doctor.test_connection(caller.services, caller.actor, connection)
    is_ok = all(each.found is not CheckStatus.FAILED for each in checks)
    return log_documents.checks([_check(each) for each in checks], ok=is_ok)


def _check(check: Check) -> JsonDocument:
    remedy = check.remedy.remedy.value if isinstance(check.remedy, Advice) else check.remedy
    return log_documents.check(check.area, check.name, check.found, check.detail, remedy)


def _with_etag(services: Services, found: Connection) -> Reply:
    document = documents.connection(found, services.settings)
    return Reply(document, {"ETag": _etag(document)})


def _etag(document: JsonDocument) -> str:
    settings_alone = {name: document[name] for name in sorted(_SETTINGS)}
    return f'"{hashlib.sha256(orjson.dumps(settings_alone)).hexdigest()[:32]}"'


def _is_unchanged(caller: Caller, reference: str) -> First:
    """Return the check that the settings are those which If-Match names."""
    wanted = {each.strip().removeprefix("W/") for each in (caller.if_match or "").split(",")}

    async def compare(conn: AsyncConnection) -> None:
        locked = await lock_connection(conn, caller.actor, reference)
        now = _etag(documents.connection(locked, caller.services.settings))
        if not wanted & {"*", now}:
            raise Problem("precondition-failed", headers={"ETag": now}, extra={"current": now})

    return compare


def _changes(body: schemas.ConnectionChangesBody) -> ConnectionChanges:
    return ConnectionChanges(
        entra_tenant_id=body.entra_tenant_id,
        client_id=body.client_id,
        credential=_credential(body.credential),
        interval_minutes=body.interval_minutes,
        login_url=body.login_url,
        graph_url=body.graph_url,
        app_id=body.app_id,
        return_urls=body.return_urls,
        policy=policy_changes(body.policy) if body.policy else PolicyChanges(),
    )


def policy_changes(body: schemas.PolicyBody) -> PolicyChanges:
    """Return the changes of a policy. Raises `Problem` for a clause that cannot be
    read.
    """
    given = body.model_dump(exclude={"filters"})
    if body.filters is None:
        return PolicyChanges(**given)
    filters = tuple(
        tuple(_clause(text, f"/policy/filters/{number}/{place}") for place, text in enumerate(clauses))
        for number, clauses in enumerate(body.filters)
    )
    return PolicyChanges(**given, scoping_filters=filters)


def _clause(text: str, pointer: str) -> ScopingClause:
    try:
        return parse_clause(text)
    except PolicyError as error:
        raise Problem("invalid-value", str(error), (FieldError(str(error), pointer=pointer),)) from None


def _credential(body: schemas.CredentialBody | None) -> Credential | None:
    """Return the given credential: a value, never the path of a file.

    Raises `Problem` for one that cannot be used, which no one asked Entra about.
    """
    if body is None:
        return None
    if (body.client_secret is None) is (body.certificate is None):
        raise Problem("invalid-value", "A credential is one of client_secret and certificate.")
    try:
        if body.certificate is not None:
            return Credential.from_certificate(body.certificate.get_secret_value().encode())
        return Credential(secret=body.client_secret.get_secret_value() if body.client_secret else None)
    except ConnectionUnusable as error:
        name = "client_secret" if body.certificate is None else "certificate"
        told = (FieldError(str(error), pointer=f"/credential/{name}"),)
        raise Problem("invalid-value", str(error), told, remedy=error.remedy) from None
