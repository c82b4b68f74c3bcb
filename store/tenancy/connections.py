"""Connections: a tenant's links to Entra, their policy, credential, schedule and
health.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import RowMapping, bindparam, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import Row, fetch, fetch_tuples, run_many
from store.errors import NotFound, UniquenessConflict
from store.keys import new_id, utc_now
from store.records import Connection, ConnectionId, CycleStatus, Policy, TenantId
from store.tenancy import policy_json

LOGIN_URL = "https://login.microsoftonline.com"
GRAPH_URL = "https://graph.microsoft.com"
INTERVAL_MINUTES = 5
"""An increment costs five requests. Entra pushes every 20 to 40 minutes."""

_c = tables.connections.c
_INTERNAL = {"credential", "mapping_verdict", "deleted_at", "last_status", "open_findings"}
# Only `sealed_credential` hands the sealed credential out.
_PUBLIC = [column for column in _c if column.name not in _INTERNAL]
# A deleted connection is found by nothing but its accounts, logs and history.
# `IS NOT NULL` is true of every row in a RETURNING of SQLite 3.40.
_HAS_CREDENTIAL = (func.coalesce(func.length(_c.credential), 0) > 0).label("has_credential")
_QUERY = select(*_PUBLIC, _HAS_CREDENTIAL).where(_c.deleted_at.is_(None))
_OF_ANY_TENANT = _QUERY.where(_c.id == bindparam("of_connection"))
_ONE = _OF_ANY_TENANT.where(_c.tenant_id == bindparam("of_tenant"))
_CREDENTIAL = select(_c.credential).where(
    _c.tenant_id == bindparam("of_tenant"), _c.id == bindparam("of_connection")
)
_SCHEDULE = (
    update(tables.connections)
    .where(_c.tenant_id == bindparam("of_tenant"), _c.id == bindparam("of_connection"))
    .values(next_due_at=bindparam("at"))
)
_UNKNOWN = "this tenant has no such connection: `leaver connection list` shows all"


def _to_connection(row: Row | RowMapping) -> Connection:
    fields = dict(row)
    fields["policy"] = policy_json.from_json(fields["policy"])
    return Connection(**fields)


@dataclass(frozen=True, slots=True)
class EntraLogin:
    """The client and the cloud of a credential; None leaves a field as it is."""

    client_id: str | None = None
    entra_tenant_id: str | None = None
    login_url: str | None = None
    graph_url: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """What a new connection is set up with, all of it optional."""

    entra_tenant_id: str | None = None
    client_id: str | None = None
    app_id: str | None = None
    login_url: str = LOGIN_URL
    graph_url: str = GRAPH_URL
    interval_minutes: int = INTERVAL_MINUTES
    policy: Policy = field(default_factory=Policy)
    sealed_credential: str | None = field(default=None, repr=False)
    credential_expires_at: datetime | None = None
    return_urls: Sequence[str] = ()


async def create(
    conn: AsyncConnection,
    tenant_id: TenantId,
    name: str,
    settings: ConnectionSettings | None = None,
    *,
    now: datetime | None = None,
) -> Connection:
    """Create a connection that is due at once.

    Raises `UniquenessConflict` if the tenant has a connection of this name.
    """
    taken = select(_c.id).where(_c.tenant_id == tenant_id, _c.name == name, _c.deleted_at.is_(None))
    if (await conn.execute(taken)).first():
        raise UniquenessConflict("name", name)
    connection_id = ConnectionId(new_id())
    values = _new_row(settings or ConnectionSettings(), now or utc_now())
    row = {"id": connection_id, "tenant_id": tenant_id, "name": name, **values}
    try:
        await conn.execute(insert(tables.connections).values(row))
    except IntegrityError as error:
        raise UniquenessConflict("name", name) from error
    return await get(conn, tenant_id, connection_id)


def _new_row(settings: ConnectionSettings, at: datetime) -> dict[str, object]:
    return {
        "entra_tenant_id": settings.entra_tenant_id,
        "client_id": settings.client_id,
        "app_id": settings.app_id,
        "login_url": settings.login_url,
        "graph_url": settings.graph_url,
        "interval_minutes": settings.interval_minutes,
        "policy": policy_json.to_json(settings.policy),
        "credential": settings.sealed_credential,
        "credential_changed_at": at if settings.sealed_credential else None,
        "credential_expires_at": settings.credential_expires_at,
        "created_at": at,
        "consecutive_failures": 0,
        "consecutive_incomplete": 0,
        "next_due_at": at,
        "return_urls": list(settings.return_urls),
    }


async def get(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> Connection:
    """Return the tenant's connection; raise `NotFound`."""
    rows = await fetch(conn, _ONE, {"of_tenant": tenant_id, "of_connection": connection_id})
    if not rows:
        raise NotFound(_UNKNOWN)
    return _to_connection(rows[0])


async def lock(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> Connection:
    """Return the tenant's connection, which no other transaction changes before this
    one ends.

    Raises `NotFound`.
    """
    row_lock = select(_c.id).where(_c.tenant_id == tenant_id, _c.id == connection_id).with_for_update()
    await conn.execute(row_lock)
    return await get(conn, tenant_id, connection_id)


async def find(conn: AsyncConnection, reference: str, tenant_id: TenantId | None = None) -> Connection:
    """Return the connection with this id or name.

    Raises `NotFound`, also where the name is not unique. For the operator's command
    line and for the connection id in a URL: the caller checks the answer against the
    token.
    """
    query = _QUERY.where(or_(_c.id == reference, _c.name == reference))
    if tenant_id is not None:
        query = query.where(_c.tenant_id == tenant_id)
    rows = (await conn.execute(query)).mappings().all()
    exact = [row for row in rows if row["id"] == reference] or rows
    if len(exact) > 1:
        raise NotFound(f"{len(exact)} connections are called {reference!r}: name one by its id")
    if not exact:
        raise NotFound(f"no connection is called {reference!r}: `leaver connection list` shows all")
    return _to_connection(exact[0])


async def find_by_id(conn: AsyncConnection, connection_id: ConnectionId) -> Connection | None:
    """Return the connection with this id, of any tenant: the caller checks which."""
    rows = await fetch(conn, _OF_ANY_TENANT, {"of_connection": connection_id})
    return _to_connection(rows[0]) if rows else None


async def list_for(conn: AsyncConnection, tenant_id: TenantId) -> list[Connection]:
    rows = await conn.execute(_QUERY.where(_c.tenant_id == tenant_id).order_by(_c.name))
    return [_to_connection(row) for row in rows.mappings()]


async def list_all(conn: AsyncConnection) -> list[Connection]:
    """Return the connections of every tenant: for the operator and the worker, never
    for a tenant.
    """
    rows = await conn.execute(_QUERY.order_by(_c.tenant_id, _c.name))
    return [_to_connection(row) for row in rows.mappings()]


async def list_some(conn: AsyncConnection, connection_ids: Collection[ConnectionId]) -> list[Connection]:
    """Return connections of any tenant by their ids: the caller knows which it may."""
    rows = await conn.execute(_QUERY.where(_c.id.in_(connection_ids)))
    return [_to_connection(row) for row in rows.mappings()]


async def note_outcome(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    last_status: CycleStatus | None = None,
    open_findings: int | None = None,
) -> None:
    """Keep how the last cycle ended and what is open since, for the list of all
    connections; None leaves one as it is.
    """
    given = {"last_status": last_status and last_status.value, "open_findings": open_findings}
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        return
    await conn.execute(
        update(tables.connections).where(_c.tenant_id == tenant_id, _c.id == connection_id).values(values)
    )


async def change(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, values: Mapping[str, object]
) -> Connection:
    """Set columns of a connection and return it. Raises `NotFound`."""
    changing = (
        update(tables.connections)
        .where(_c.tenant_id == tenant_id, _c.id == connection_id, _c.deleted_at.is_(None))
        .values(values)
        .returning(*_PUBLIC, _HAS_CREDENTIAL)
    )
    row = (await conn.execute(changing)).mappings().first()
    if row is None:
        raise NotFound(_UNKNOWN)
    return _to_connection(row)


async def set_policy(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, policy: Policy
) -> Connection:
    return await change(conn, tenant_id, connection_id, {"policy": policy_json.to_json(policy)})


async def set_interval(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, interval_minutes: int
) -> Connection:
    return await change(conn, tenant_id, connection_id, {"interval_minutes": interval_minutes})


async def set_return_urls(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, return_urls: Sequence[str]
) -> Connection:
    """Set the addresses of the vendor's app that a sign-in returns to."""
    return await change(conn, tenant_id, connection_id, {"return_urls": list(return_urls)})


async def set_application(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, app_id: str
) -> Connection:
    """Set the `appId` of the enterprise application whose assignments count."""
    return await change(conn, tenant_id, connection_id, {"app_id": app_id})


async def rename(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, name: str
) -> Connection:
    """Give a connection another name.

    Raises `UniquenessConflict` if another of the tenant's has it.
    """
    taken = select(_c.id).where(
        _c.tenant_id == tenant_id, _c.name == name, _c.id != connection_id, _c.deleted_at.is_(None)
    )
    if (await conn.execute(taken)).first():
        raise UniquenessConflict("name", name)
    try:
        return await change(conn, tenant_id, connection_id, {"name": name})
    except IntegrityError as error:
        raise UniquenessConflict("name", name) from error


async def set_directory(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, entra_tenant_id: str
) -> Connection:
    """Set the Entra tenant of a connection that has no Graph credential.

    Its assertions are accepted from that directory.
    """
    return await change(conn, tenant_id, connection_id, {"entra_tenant_id": entra_tenant_id})


async def set_credential(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    sealed_credential: str | None,
    login: EntraLogin | None = None,
    *,
    expires_at: datetime | None = None,
    now: datetime | None = None,
) -> Connection:
    """Store a credential that `config.keys` sealed.

    Client, Entra tenant and URLs stay where not given.
    """
    values: dict[str, object] = {
        "credential": sealed_credential,
        "credential_changed_at": now or utc_now(),
        "credential_expires_at": expires_at,
    }
    given = asdict(login or EntraLogin())
    values |= {name: value for name, value in given.items() if value is not None}
    return await change(conn, tenant_id, connection_id, values)


async def sealed_credential(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> str | None:
    values = {"of_tenant": tenant_id, "of_connection": connection_id}
    rows = await fetch_tuples(conn, _CREDENTIAL, values)
    sealed: str | None = rows[0][0] if rows else None
    return sealed


async def pause(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    reason: str,
    *,
    now: datetime | None = None,
) -> Connection:
    """Stop push (503) and pull until `resume`."""
    values = {"paused_at": now or utc_now(), "paused_reason": reason}
    return await change(conn, tenant_id, connection_id, values)


async def resume(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, *, now: datetime | None = None
) -> Connection:
    """End pause and quarantine; the connection is due at once."""
    values = {
        "paused_at": None,
        "paused_reason": None,
        "quarantined_at": None,
        "quarantine_reason": None,
        "consecutive_failures": 0,
        "consecutive_incomplete": 0,
        "next_due_at": now or utc_now(),
    }
    return await change(conn, tenant_id, connection_id, values)


async def due(conn: AsyncConnection, now: datetime, limit: int) -> list[Connection]:
    """Return the connections of every tenant whose cycle is due, the longest waiting
    first.

    Paused connections are left out. A quarantined one has a later `next_due_at` of its
    own.
    """
    query = (
        _QUERY.where(_c.paused_at.is_(None), _c.next_due_at <= now, _c.credential.is_not(None))
        .order_by(_c.next_due_at)
        .limit(limit)
    )
    return [_to_connection(row) for row in (await conn.execute(query)).mappings()]


async def abandoned(conn: AsyncConnection, now: datetime, limit: int) -> list[Connection]:
    """Return connections whose cycle was left in the middle, due since the moment their
    lease ran out.

    Their lease is held by a process that was killed, stopped or cut off: its newest
    cycle has no end. `now` is by
    `leases.database_time`. `next_due_at` of the connection is that moment, which makes
    a slot of its own.
    """
    leases, cycles = tables.leases.c, tables.cycles.c
    unfinished = exists().where(cycles.connection_id == _c.id, cycles.finished_at.is_(None))
    columns = [column for column in _PUBLIC if column.name != "next_due_at"]
    query = (
        select(*columns, leases.until.label("next_due_at"), _HAS_CREDENTIAL)
        .join(tables.leases, (leases.tenant_id == _c.tenant_id) & (leases.connection_id == _c.id))
        .where(_c.paused_at.is_(None), _c.credential.is_not(None), _c.quarantined_at.is_(None))
        .where(leases.holder != "", leases.until <= now, unfinished)
        .order_by(leases.until)
        .limit(limit)
    )
    return [_to_connection(row) for row in (await conn.execute(query)).mappings()]


async def schedule_all(
    conn: AsyncConnection, times: Sequence[tuple[TenantId, ConnectionId, datetime | None]]
) -> None:
    """Set when the next cycles of any tenants are due: for the worker."""
    rows = [
        {"of_tenant": tenant_id, "of_connection": connection_id, "at": at}
        for tenant_id, connection_id, at in times
    ]
    await run_many(conn, _SCHEDULE, rows)


async def schedule(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, next_due_at: datetime | None
) -> None:
    await conn.execute(
        update(tables.connections)
        .where(_c.tenant_id == tenant_id, _c.id == connection_id)
        .values(next_due_at=next_due_at)
    )
