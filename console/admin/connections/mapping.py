"""The attribute mapping of a connection: show it, set it, import it from Entra."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.connections.errors import NothingToChange
from console.admin.errors import InvalidPolicy
from console.admin.references import find_connection, lock_connection
from console.admin.services import Services
from store.errors import VersionMoved
from store.records import Connection, Policy
from store.records.connections import FIRST_MAPPING, MappingOrigin, MappingVersion
from store.tenancy import connections, mappings
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING, compile_mapping, source_texts
from worker.reconcile.mapping.attribute_paths import MANAGER, PolicyError, parse
from worker.reconcile.mapping.expressions import compile_source
from worker.reconcile.mapping.fit import NAMES
from worker.reconcile.mapping.source_attributes import sentence_on, unknown_properties
from worker.services import build_services

DECIDED_HERE = frozenset({"active"})
"""Attributes of Entra's mapping that entitlement decides, so they are not imported."""


@dataclass(frozen=True, slots=True)
class MappingChanges:
    """What is to become of a mapping."""

    set: Mapping[str, str] | None = None
    """Lines that are added or replaced."""
    remove: Sequence[str] = ()
    """Paths whose line is taken away."""
    whole: Mapping[str, str] | None = None
    """All lines there are from then on."""
    to_default: bool = False


@dataclass(frozen=True, slots=True)
class MappingDetails:
    """The mapping in use, and the versions before it."""

    connection: Connection
    current: MappingVersion
    lines: Mapping[str, str]
    versions: Sequence[MappingVersion]
    """The newest first; empty while the first is in use."""
    ended_plans: int = 0
    """Plans that ended with this change: they were found by the mapping before."""


@dataclass(frozen=True, slots=True)
class ImportedMapping:
    """A mapping that was read from Entra, and what of it cannot be used."""

    details: MappingDetails
    left_out: Mapping[str, str]
    """Path -> why."""
    other_jobs: int


@requires("admin:connection:read")
async def show(services: Services, actor: Actor, connection: str) -> MappingDetails:
    """Return the mapping of a connection with its versions. Raises
    `UnknownReference`.
    """
    async with services.db.reading() as conn:
        return await _details(conn, await find_connection(conn, actor, connection))


@requires("admin:connection:update")
async def change(
    services: Services,
    actor: Actor,
    connection: str,
    changes: MappingChanges,
    *,
    version: int | None = None,
) -> MappingDetails:
    """Make a new version of the mapping; that it fits has to be checked anew.

    Raises `UnknownReference`, `NothingToChange`, and `InvalidPolicy` with the place of
    the fault; with `version` `VersionMoved` if another is in use by then.
    """

    async def work(conn: AsyncConnection) -> MappingDetails:
        found = await lock_connection(conn, actor, connection)
        if version is not None and version != (now := await current(conn, found)).version:
            raise VersionMoved(f"version {now.version} of the mapping is in use")
        mapping = _changed(found.policy, changes)
        origin = MappingOrigin.DEFAULT if changes.to_default else MappingOrigin.SET
        return await _save(conn, actor, found, mapping, origin)

    return await services.db.write(work)


@requires("admin:connection:update")
async def import_from_entra(services: Services, actor: Actor, connection: str) -> ImportedMapping:
    """Take over the mapping of the application's provisioning job.

    Lines that cannot be read here are left out, never those of userName and externalId.
    Raises `UnknownReference`, `InvalidPolicy`, and `WorkerError` where the job cannot
    be read; it names the permission.
    """
    from worker.graph.provisioning.attribute_mappings import read_job_mapping

    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
    async with build_services(services.settings, services.db).open_graph(found) as graph:
        read = await read_job_mapping(graph, found)
    lines = {path: source for path, source in read.rows.items() if path not in DECIDED_HERE}
    left_out = {path: why for path, source in lines.items() if (why := fault_of(path, source))}
    for path in NAMES:
        if path in left_out:
            raise InvalidPolicy("mapping", f"{path}: {left_out[path]}")
    mapping = {path: source for path, source in lines.items() if path not in left_out}
    check_whole(found.policy, mapping)
    details = await services.db.write(lambda conn: _save(conn, actor, found, mapping, MappingOrigin.IMPORTED))
    return ImportedMapping(details, left_out, read.other_jobs)


async def _save(
    conn: AsyncConnection,
    actor: Actor,
    found: Connection,
    mapping: Mapping[str, str] | None,
    origin: MappingOrigin,
) -> MappingDetails:
    actor.require_setting_up(found)
    before = source_texts(found.policy)
    made = await mappings.add(conn, found.tenant_id, found.id, mapping, origin, actor.label)
    after = DEFAULT_MAPPING if mapping is None else mapping
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    await audit.record(
        conn,
        actor,
        found,
        "mapping_changed",
        version=made.version.version,
        origin=origin.value,
        changed=list(changed),
        ended_plans=made.ended_plans,
    )
    details = await _details(conn, await connections.get(conn, found.tenant_id, found.id))
    return replace(details, ended_plans=made.ended_plans)


async def current(conn: AsyncConnection, connection: Connection) -> MappingVersion:
    """Return the version of the mapping in use."""
    versions = await mappings.list_for(conn, connection.tenant_id, connection.id)
    return versions[0] if versions else FIRST_MAPPING


async def _details(conn: AsyncConnection, found: Connection) -> MappingDetails:
    versions = await mappings.list_for(conn, found.tenant_id, found.id)
    current = versions[0] if versions else FIRST_MAPPING
    return MappingDetails(found, current, source_texts(found.policy), versions)


def _changed(policy: Policy, changes: MappingChanges) -> Mapping[str, str] | None:
    if changes.to_default:
        return None
    if changes.whole is None and not changes.set and not changes.remove:
        raise NothingToChange
    lines = dict(source_texts(policy) if changes.whole is None else changes.whole)
    for path in changes.remove:
        if path not in lines:
            raise InvalidPolicy("remove", f"{path} is not mapped, so it cannot be taken away")
        del lines[path]
    lines |= changes.set or {}
    check_lines(changes.set or {} if changes.whole is None else lines)
    check_whole(policy, lines)
    return lines


def check_lines(lines: Mapping[str, str]) -> None:
    """Raise `InvalidPolicy` for the first line that cannot be used."""
    for path, source in lines.items():
        if why := fault_of(path, source):
            raise InvalidPolicy("mapping", f"{path}: {why}")


def check_whole(policy: Policy, mapping: Mapping[str, str]) -> None:
    """Raise `InvalidPolicy` for lines that make no mapping together."""
    try:
        compile_mapping(replace(policy, mapping=mapping))
    except PolicyError as error:
        raise InvalidPolicy("mapping", str(error)) from None


def fault_of(path: str, source: str) -> str:
    """Return why a line cannot be used, with the place; empty where it can."""
    try:
        if path == MANAGER:
            return "" if source.strip("[]") == "manager" else "a manager can only be mapped from manager"
        parse(path)
        return _unknown(compile_source(source).properties)
    except PolicyError as error:
        return str(error)


def _unknown(properties: Iterable[str]) -> str:
    unknown = unknown_properties(properties)
    return sentence_on(unknown[0]) if unknown else ""
