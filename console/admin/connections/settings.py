"""Create and change connections.

A credential is sealed before it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.connections.errors import (
    CredentialIncomplete,
    CredentialRefused,
    InvalidAttributePath,
    InvalidObjectId,
    NothingToChange,
)
from console.admin.connections.policy import (
    PolicyChanges,
    audited_values,
    changed_policy,
    check_number,
    check_policy,
)
from console.admin.connections.service_urls import check_cloud, check_directory, check_return_url
from console.admin.errors import AllTenantsRequired, NameTaken, Noun
from console.admin.references import check_name, find_connection, find_tenant
from console.admin.services import Services
from scim.schema.definitions import declared_by
from store.errors import UniquenessConflict
from store.records import Connection, JsonValue, MembershipMode, Mode, Policy, Scope, is_object_id
from store.tenancy import connections, tenants
from store.tenancy.connections import GRAPH_URL, INTERVAL_MINUTES, LOGIN_URL, ConnectionSettings
from worker.graph.auth.credentials import Credential
from worker.graph.errors import ConnectionUnusable


@dataclass(frozen=True, slots=True)
class NewConnection:
    """The connection that is to be created."""

    name: str
    entra_tenant_id: str | None = None
    client_id: str | None = None
    credential: Credential | None = None
    app_id: str | None = None
    login_url: str = LOGIN_URL
    graph_url: str = GRAPH_URL
    scope: Scope = Scope.ASSIGNED
    membership: MembershipMode = MembershipMode.DIRECT
    interval_minutes: int | None = None
    mode: Mode = Mode.REPORT


@dataclass(frozen=True, slots=True)
class ConnectionChanges:
    """The values that are to be changed; None leaves a value as it is."""

    entra_tenant_id: str | None = None
    client_id: str | None = None
    credential: Credential | None = None
    interval_minutes: int | None = None
    login_url: str | None = None
    graph_url: str | None = None
    app_id: str | None = None
    return_urls: Sequence[str] | None = None
    policy: PolicyChanges = field(default_factory=PolicyChanges)
    tests_credential: bool = False
    """Ask Entra for a token with a new credential before the stored one goes."""

    def names(self) -> list[str]:
        """Return the names of the given values, parts of the policy among them."""
        given = [each.name for each in fields(self) if getattr(self, each.name) is not None]
        is_value = {"policy", "tests_credential"}.isdisjoint
        return [name for name in given if is_value({name})] + list(self.policy.given())


@requires("admin:connection:create")
async def create(services: Services, actor: Actor, tenant: str, wanted: NewConnection) -> Connection:
    """Create a connection of the tenant.

    Raises `InvalidName`, `InvalidObjectId`, `InvalidDirectory`, `InvalidServiceUrl`,
    `CloudMismatch`, `ValueOutOfRange`, `SecretKeyMissing`, `UnknownReference`,
    `NameTaken`, `AllTenantsRequired`.
    """
    name = check_name(Noun.CONNECTION, wanted.name)
    check_number("interval_minutes", wanted.interval_minutes)
    check_app_id(wanted.app_id)
    check_directory(wanted.entra_tenant_id)
    login_url, graph_url = check_cloud(
        wanted.login_url, wanted.graph_url, allow_simulator=services.settings.allow_simulator
    )
    _check_whose(actor, wanted.credential)
    sealed = _sealed(services, wanted.credential)
    async with services.db.reading() as conn:
        owner = await find_tenant(conn, actor, tenant)

    async def work(conn: AsyncConnection) -> Connection:
        made = await connections.create(
            conn,
            owner.id,
            name,
            ConnectionSettings(
                entra_tenant_id=wanted.entra_tenant_id,
                client_id=wanted.client_id,
                app_id=wanted.app_id,
                login_url=login_url,
                graph_url=graph_url,
                policy=Policy(
                    mode=wanted.mode,
                    scope=wanted.scope,
                    membership=wanted.membership,
                    protect_from_push=True,
                    brake_push=True,
                ),
                sealed_credential=sealed,
                credential_expires_at=_end_of(wanted.credential),
                interval_minutes=wanted.interval_minutes or INTERVAL_MINUTES,
            ),
        )
        await audit.record(conn, actor, made, "created", mode=wanted.mode)
        return made

    try:
        return await services.db.write(work)
    except UniquenessConflict:
        raise NameTaken(Noun.CONNECTION, name, owner.slug) from None


@requires("admin:connection:update")
async def change(services: Services, actor: Actor, connection: str, changes: ConnectionChanges) -> Connection:
    """Apply all the given changes, or none of them.

    Raises `UnknownReference`, `NothingToChange`, `CredentialIncomplete`,
    `CredentialRefused`, `InvalidObjectId`, `InvalidDirectory`, `ValueOutOfRange`,
    `InvalidPolicy`, and what `create` raises for URLs and keys.
    """
    if changes.credential is not None:
        actor.require("admin:connection:update", recent=True)
    _check_whose(actor, changes.credential)
    sealed = _sealed(services, changes.credential)
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
    actor.require_setting_up(found)
    if not changes.names():
        raise NothingToChange
    check_number("interval_minutes", changes.interval_minutes)
    check_app_id(changes.app_id)
    check_directory(changes.entra_tenant_id)
    check_policy(changes.policy)
    for url in changes.return_urls or ():
        check_return_url(url)
    _require_credential(found, changes)
    login_url, graph_url = changes.login_url or found.login_url, changes.graph_url or found.graph_url
    if changes.credential is not None or {"login_url", "graph_url"} & {*changes.names()}:
        login_url, graph_url = check_cloud(
            login_url, graph_url, allow_simulator=services.settings.allow_simulator
        )

    if changes.tests_credential and changes.credential is not None and found.has_credential:
        await _test(
            replace(
                found,
                client_id=changes.client_id or found.client_id,
                entra_tenant_id=changes.entra_tenant_id or found.entra_tenant_id,
                login_url=login_url,
                graph_url=graph_url,
            ),
            changes.credential,
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
        if changes.app_id is not None:
            await connections.set_application(conn, found.tenant_id, found.id, changes.app_id)
        if changes.return_urls is not None:
            await connections.set_return_urls(conn, found.tenant_id, found.id, changes.return_urls)
        values = await _set_policy(conn, found, changes.policy)
        await audit.record(conn, actor, found, "changed", what=list(changes.names()), **values)
        return await connections.get(conn, found.tenant_id, found.id)

    return await services.db.write(work)


async def _test(connection: Connection, credential: Credential) -> None:
    """Ask Entra for a token. Raises `CredentialRefused`."""
    from worker.graph.read.probe import probe

    first = (await probe(connection, credential))[0]
    if not first.ok:
        raise CredentialRefused(first.detail, first.remedy)


async def _set_policy(
    conn: AsyncConnection, found: Connection, changes: PolicyChanges
) -> dict[str, JsonValue]:
    """Change the policy as it is now, and return what the audit log says of it."""
    if not any(changes.given()):
        return {}
    before = (await connections.get(conn, found.tenant_id, found.id)).policy
    after = changed_policy(before, changes)
    await connections.set_policy(conn, found.tenant_id, found.id, after)
    return {
        "before": audited_values(before, changes.given()),
        "after": audited_values(after, changes.given()),
    }


@requires("admin:connection:update")
async def rename(services: Services, actor: Actor, connection: str, name: str) -> Connection:
    """Give a connection another name; its id and URLs stay.

    Raises `InvalidName`, `NameTaken`, `UnknownReference`.
    """
    name = check_name(Noun.CONNECTION, name)

    async def work(conn: AsyncConnection) -> Connection:
        found = await find_connection(conn, actor, connection)
        owner = await tenants.get(conn, found.tenant_id)
        try:
            renamed = await connections.rename(conn, found.tenant_id, found.id, name)
        except UniquenessConflict:
            raise NameTaken(Noun.CONNECTION, name, owner.slug) from None
        await audit.record(conn, actor, renamed, "renamed", before=found.name, after=name)
        return renamed

    return await services.db.write(work)


def check_app_id(app_id: str | None) -> None:
    """Raise `InvalidObjectId` for an application ID that is none."""
    if app_id is not None and not is_object_id(app_id):
        raise InvalidObjectId("app_id", app_id)


def _require_credential(found: Connection, changes: ConnectionChanges) -> None:
    """Raise `CredentialIncomplete` where the stored secret would go to another client.

    A connection without a credential may be given its directory alone: the assertions
    of a federated token are checked against it.
    """
    is_elsewhere = changes.client_id or changes.login_url or changes.graph_url
    is_other_directory = changes.entra_tenant_id and found.has_credential
    if changes.credential is None and (is_elsewhere or is_other_directory):
        raise CredentialIncomplete


@requires("admin:connection:update")
async def declare(
    services: Services, actor: Actor, connection: str, attributes: Sequence[str], *, withdraw: bool = False
) -> Connection:
    """Declare custom SCIM attributes, or withdraw them; stored values stay.

    Raises `InvalidAttributePath`, `UnknownReference`.
    """
    for path in attributes:
        if not declared_by([path]):
            raise InvalidAttributePath(path)

    async def work(conn: AsyncConnection) -> Connection:
        found = await find_connection(conn, actor, connection)
        kept = [path for path in found.policy.extensions if path not in attributes]
        extensions = tuple(kept if withdraw else [*kept, *dict.fromkeys(attributes)])
        deed = "attributes_withdrawn" if withdraw else "attributes_declared"
        await audit.record(conn, actor, found, deed, attributes=list(attributes))
        policy = replace(found.policy, extensions=extensions)
        return await connections.set_policy(conn, found.tenant_id, found.id, policy)

    return await services.db.write(work)


def _check_whose(actor: Actor, credential: Credential | None) -> None:
    """Refuse a tenant's person the files and the identity of the machine: with them one
    tenant could read the directory of another. Raises `AllTenantsRequired`.
    """
    if credential is not None and credential.is_of_this_machine and actor.tenant is not None:
        raise AllTenantsRequired("use an identity of this machine")


def _end_of(credential: Credential | None) -> datetime | None:
    """Return when the credential ends, or None where that is not known.

    A certificate file that only the worker's machine has is read there.
    """
    try:
        return credential.expires_at if credential else None
    except ConnectionUnusable:
        if credential and credential.certificate_file and not Path(credential.certificate_file).exists():
            return None
        raise


def _sealed(services: Services, credential: Credential | None) -> str | None:
    return None if credential is None else services.sealer().seal(credential.to_text())
