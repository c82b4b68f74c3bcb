"""The attributes of an account beside those that Entra has at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from console.admin.actor import Actor, requires
from console.admin.people.users import find_account
from console.admin.references import find_connection
from console.admin.services import Services
from store.keys import utc_now
from store.records import Connection, JsonValue, User
from worker.errors import WorkerError
from worker.reconcile.mapping.attribute_mapping import (
    compile_mapping,
    read_path,
    required_graph_properties,
    source_texts,
)
from worker.reconcile.mapping.attribute_paths import MANAGER
from worker.services import build_services

if TYPE_CHECKING:
    from worker.reconcile.snapshot import GraphUser


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """One mapped attribute: here, and as Entra's value would be here."""

    path: str
    source: str
    """The attribute or expression of Entra's that fills it."""
    here: JsonValue
    there: JsonValue

    @property
    def differs(self) -> bool:
        """Return whether the two are not the same."""
        return self.here != self.there


@dataclass(frozen=True, slots=True)
class ComparedPerson:
    """A person as Entra has them now; without rows where that could not be read."""

    at: datetime
    rows: Sequence[ComparedValue] = ()
    """Differences first."""
    state: str = ""
    """Of the account in Entra, in one word."""
    why_unknown: str = ""


@requires("admin:sync:run")
async def compare(services: Services, actor: Actor, connection: str, user: str) -> ComparedPerson:
    """Read one person in Entra, and put the values beside those of the account.

    The manager is not compared: that takes further requests. Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
    try:
        person = await _read(services, found, account)
    except WorkerError as error:
        return ComparedPerson(utc_now(), why_unknown=str(error))
    wanted = compile_mapping(found.policy).wanted(person, lambda _manager: None)
    rows = [
        ComparedValue(path, source, read_path(account.document, path), wanted.get(path))
        for path, source in source_texts(found.policy).items()
        if path not in (MANAGER, "active")
    ]
    rows.sort(key=lambda row: not row.differs)
    return ComparedPerson(utc_now(), rows, person.state)


async def _read(services: Services, connection: Connection, account: User) -> GraphUser:
    from worker.graph import models, queries

    shape = queries.UserShape(
        tuple(sorted(required_graph_properties(connection.policy) | {"accountEnabled"})), with_manager=False
    )
    reference = account.entra_object_id or account.user_name
    async with build_services(services.settings, services.db).open_graph(connection) as graph:
        graph.prioritize()
        return await graph.read(queries.user(graph.sdk, reference, shape), models.decode_user)
