"""Operations on the attribute mapping of a connection."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.connections import mapping, mapping_check
from console.admin.connections.mapping import MappingChanges, MappingDetails
from console.admin.references import lock_connection
from console.api.contract import Caller, Reply, Routes
from console.api.problems import Problem
from console.api.schemas import tenancy as schemas
from console.documents import mappings as documents
from console.documents.values import JsonDocument
from console.transactions import First, guarded

routes = Routes("Mapping")


@routes.add("GET", "/connections/{connection}/mapping", "admin:connection:read", problems=("not-found",))
async def get_mapping(caller: Caller, connection: str) -> Annotated[Reply, schemas.MappingAnswer]:
    """Read the mapping in use; the header ETag is its version."""
    return _reply(await mapping.show(caller.services, caller.actor, connection))


@routes.add(
    "PATCH",
    "/connections/{connection}/mapping",
    "admin:connection:update",
    needs_version=True,
    problems=("not-found", "invalid-value"),
)
async def change_mapping(
    caller: Caller, connection: str, body: schemas.MappingBody
) -> Annotated[Reply, schemas.MappingAnswer]:
    """Make a new version of the mapping; that it fits has to be checked anew."""
    changes = MappingChanges(body.set, body.remove, body.whole, body.to_default)
    services = guarded(caller.services, _is_unchanged(caller, connection))
    return _reply(await mapping.change(services, caller.actor, connection, changes))


@routes.add(
    "POST",
    "/connections/{connection}/mapping/import",
    "admin:connection:update",
    problems=("not-found", "invalid-value", "upstream", "operator-needed"),
)
async def import_mapping(caller: Caller, connection: str) -> Annotated[Reply, schemas.MappingAnswer]:
    """Take over the mapping of the application's provisioning job in Entra."""
    imported = await mapping.import_from_entra(caller.services, caller.actor, connection)
    return _reply(imported.details)


@routes.add(
    "POST",
    "/connections/{connection}/mapping/check",
    "admin:connection:update",
    problems=("not-found", "upstream", "operator-needed"),
)
async def check_mapping(
    caller: Caller, connection: str, body: schemas.MappingCheckBody
) -> Annotated[JsonDocument, schemas.MappingCheckAnswer]:
    """Compare the push with the directory; `accept` confirms that the mapping fits."""
    checked = await mapping_check.check(caller.services, caller.actor, connection, accept=body.accept)
    return documents.check(checked.connection, checked.fit)


def _reply(details: MappingDetails) -> Reply:
    document = documents.mapping(
        details.connection, details.current, details.lines, details.versions, details.ended_plans
    )
    return Reply(document, {"ETag": f'"{details.current.version}"'})


def _is_unchanged(caller: Caller, reference: str) -> First:
    """Return the check that the mapping has the version which If-Match names."""
    wanted = {each.strip() for each in (caller.if_match or "").split(",")}

    async def compare(conn: AsyncConnection) -> None:
        locked = await lock_connection(conn, caller.actor, reference)
        now = f'"{(await mapping.current(conn, locked)).version}"'
        if not wanted & {"*", now}:
            raise Problem("precondition-failed", headers={"ETag": now}, extra={"current": now})

    return compare
