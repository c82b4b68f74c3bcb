"""Making, changing and testing a connection; its credential is sealed before it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import references
from console.admin.audit import audit
from console.admin.services import Services
from console.cli import inputs
from console.errors import WrongUse
from scim.schema.definitions import declared_by
from store.errors import UniquenessConflict
from store.records import Connection, MembershipMode, Mode, Policy, Scope
from store.tenancy import connections
from worker.graph.auth.credentials import Credential
from worker.graph.errors import ConnectionUnusable

__all__ = [
    "Changes",
    "NewConnection",
    "Services",
    "change",
    "create",
    "declare",
    "pause",
    "resume",
    "set_mode",
]


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What was typed at `leaver connection create`."""

    name: str
    entra_tenant_id: str | None
    client_id: str | None
    credential: Credential | None
    app_id: str | None
    login_url: str
    graph_url: str
    scope: Scope
    membership: MembershipMode
    interval_minutes: int | None
    mode: Mode


@dataclass(frozen=True, slots=True)
class Changes:
    """What was typed at `leaver connection set`; None leaves a value as it is."""

    entra_tenant_id: str | None
    client_id: str | None
    credential: Credential | None
    interval_minutes: int | None
    login_url: str | None = None
    graph_url: str | None = None


async def create(services: Services, tenant_reference: str, wanted: NewConnection) -> Connection:
    """Makes the connection; raises `WrongUse` for a refused URL, an unknown tenant, a name that is taken."""
    login_url, graph_url = inputs.cloud(wanted.login_url, wanted.graph_url)
    sealed = _sealed(services, wanted.credential)
    async with services.db.reading() as conn:
        tenant = await references.tenant(conn, tenant_reference)

    async def work(conn: AsyncConnection) -> Connection:
        made = await connections.create(
            conn,
            tenant.id,
            wanted.name,
            connections.ConnectionSettings(
                entra_tenant_id=wanted.entra_tenant_id,
                client_id=wanted.client_id,
                app_id=wanted.app_id,
                login_url=login_url,
                graph_url=graph_url,
                policy=Policy(mode=wanted.mode, scope=wanted.scope, membership=wanted.membership),
                sealed_credential=sealed,
                credential_expires_at=_end_of(wanted.credential),
                interval_minutes=wanted.interval_minutes or connections.INTERVAL_MINUTES,
            ),
        )
        await audit(conn, made, "created", mode=wanted.mode)
        return made

    try:
        return await services.db.write(work)
    except UniquenessConflict:
        raise WrongUse(
            f"connection {wanted.name!r}",
            f"tenant {tenant.slug} has one of this name already",
            "Choose another --name, or change the existing one with: leaver connection set",
        ) from None


async def change(services: Services, reference: str, changes: Changes) -> Connection:
    """Applies what was given, all of it or nothing; raises `WrongUse` where nothing was given."""
    if changes == Changes(None, None, None, None, None, None):
        raise WrongUse("nothing to change", "no option was given", "See: leaver connection set --help")
    sealed = _sealed(services, changes.credential)
    async with services.db.reading() as conn:
        found = await references.connection(conn, reference)
    elsewhere = changes.client_id or changes.login_url or changes.graph_url
    if changes.credential is None and (elsewhere or (changes.entra_tenant_id and found.has_credential)):
        raise WrongUse(
            "client, tenant and cloud change together with their credential",
            "a stored secret belongs to one client, and is shown to nobody else",
            "Add the credential: --client-secret, --certificate or another",
        )
    login_url, graph_url = inputs.cloud(
        changes.login_url or found.login_url, changes.graph_url or found.graph_url
    )

    async def work(conn: AsyncConnection) -> Connection:
        if changes.credential is not None:
            await connections.set_credential(
                conn,
                found.tenant_id,
                found.id,
                sealed,
                connections.EntraLogin(
                    client_id=changes.client_id,
                    entra_tenant_id=changes.entra_tenant_id,
                    login_url=login_url,
                    graph_url=graph_url,
                ),
                expires_at=_end_of(changes.credential),
            )
        elif changes.entra_tenant_id is not None:
            await connections.set_directory(conn, found.tenant_id, found.id, changes.entra_tenant_id)
        if changes.interval_minutes is not None:
            await connections.set_interval(conn, found.tenant_id, found.id, changes.interval_minutes)
        await audit(conn, found, "changed", what=_named(changes))
        return await connections.get(conn, found.tenant_id, found.id)

    return await services.db.write(work)


def _named(changes: Changes) -> list[str]:
    """Names what was changed; the values of a credential are nobody's to read."""
    return [field.name for field in fields(changes) if getattr(changes, field.name) is not None]


async def set_mode(services: Services, reference: str, mode: Mode) -> Connection:
    """Switches the connection between report and enforce."""

    async def work(conn: AsyncConnection) -> Connection:
        found = await references.connection(conn, reference)
        await audit(conn, found, "mode_changed", before=found.policy.mode, after=mode)
        return await connections.set_policy(conn, found.tenant_id, found.id, replace(found.policy, mode=mode))

    return await services.db.write(work)


async def pause(services: Services, reference: str, reason: str) -> Connection:
    """Stops push and pull of a connection until it is resumed."""

    async def work(conn: AsyncConnection) -> Connection:
        found = await references.connection(conn, reference)
        await audit(conn, found, "paused", reason=reason)
        return await connections.pause(conn, found.tenant_id, found.id, reason)

    return await services.db.write(work)


async def resume(services: Services, reference: str) -> Connection:
    """Ends a pause or a quarantine."""

    async def work(conn: AsyncConnection) -> Connection:
        found = await references.connection(conn, reference)
        await audit(conn, found, "resumed")
        return await connections.resume(conn, found.tenant_id, found.id)

    return await services.db.write(work)


async def declare(
    services: Services, reference: str, attributes: Sequence[str], *, withdraw: bool
) -> Connection:
    """Declares custom attributes, or withdraws them (their values stay); raises `WrongUse` for what is no such path."""
    for path in attributes:
        if not declared_by([path]):
            raise WrongUse(
                f"{path!r}",
                "this names no attribute of a custom extension",
                "For example: urn:ietf:params:scim:schemas:extension:contoso:2.0:User:costCenter",
            )

    async def work(conn: AsyncConnection) -> Connection:
        found = await references.connection(conn, reference)
        kept = [path for path in found.policy.extensions if path not in attributes]
        extensions = tuple(kept if withdraw else [*kept, *dict.fromkeys(attributes)])
        deed = "attributes_withdrawn" if withdraw else "attributes_declared"
        await audit(conn, found, deed, attributes=list(attributes))
        policy = replace(found.policy, extensions=extensions)
        return await connections.set_policy(conn, found.tenant_id, found.id, policy)

    return await services.db.write(work)


def _end_of(credential: Credential | None) -> datetime | None:
    """When it ends, where that is known; a file that only the worker's machine has is looked at there."""
    try:
        return credential.expires_at if credential else None
    except ConnectionUnusable:
        if credential and credential.certificate_file and not Path(credential.certificate_file).exists():
            return None
        raise


def _sealed(services: Services, credential: Credential | None) -> str | None:
    return None if credential is None else services.sealer().seal(credential.to_text())
