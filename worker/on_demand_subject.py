"""Whom an admin means: looked for in Entra first, then among our own accounts, whose object may be gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from store.records import Connection, GraphId, Group, SubjectType, User
from worker.errors import Terminal
from worker.loading import load
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import State
from worker.services import Services

if TYPE_CHECKING:
    from worker.graph.client import GraphClient

Row: TypeAlias = User | Group


@dataclass(frozen=True, slots=True)
class Looked:
    """Who was found, and where."""

    type: SubjectType
    graph_id: GraphId | None
    """None where Entra has nobody, not even among the deleted."""
    snapshot: Snapshot
    state: State
    row: Row | None = None
    """The account here to which the reference led, where it did not lead to a living object of Entra."""

    @property
    def key(self) -> str:
        """What the plan knows the subject by: our id where there is a row, else the Graph id."""
        return self.row.id if self.row else self.graph_id or ""


async def find(graph: GraphClient, services: Services, connection: Connection, reference: str) -> Looked:
    """Reads the subject. Raises `Terminal` where nobody is meant anywhere, or several are; a `GraphError`.

    An account that was renamed in Entra is still found by its old name here: it is read again by its object
    id, so that a name that is not found never passes for a person who is gone.
    """
    from worker.graph.errors import SubjectNotFound
    from worker.graph.subject import read_subject

    reference = reference.strip()
    try:
        snapshot = await read_subject(graph, connection, reference)
    except SubjectNotFound as missing:
        state, _ = await load(services.db, connection, services.clock())
        row = _row_here(state, reference)
        if row is None:
            raise
        return await _find_gone(graph, connection, state, row, missing.snapshot)
    state, _ = await load(services.db, connection, services.clock())
    kind, graph_id = _subject_of(snapshot, reference)
    return Looked(kind, graph_id, snapshot, state, _row_of_deleted(state, snapshot, graph_id, reference))


async def _find_gone(
    graph: GraphClient, connection: Connection, state: State, row: Row, nobody: Snapshot
) -> Looked:
    from worker.graph.errors import SubjectNotFound
    from worker.graph.subject import read_subject

    kind = SubjectType.USER if isinstance(row, User) else SubjectType.GROUP
    object_id = _object_id_of(row)
    if object_id is None:
        if kind is SubjectType.GROUP:
            raise Terminal(
                "No group in Entra goes by that name, and the group here is not linked to an Entra object: it"
                " cannot be told whether it was deleted or renamed there. Give its object id in Entra."
            )
        return Looked(kind, None, nobody, state, row)
    try:
        snapshot = await read_subject(graph, connection, object_id)
    except SubjectNotFound as gone:
        return Looked(kind, None, gone.snapshot, state, row)
    return Looked(kind, object_id, snapshot, state, row)


def _subject_of(snapshot: Snapshot, reference: str) -> tuple[SubjectType, GraphId]:
    """Which entry of the snapshot is the subject: a user comes with groups, a group with its members."""
    wanted = GraphId(reference.lower())
    if wanted in snapshot.users or wanted in snapshot.deleted:
        return SubjectType.USER, wanted
    if wanted in snapshot.groups:
        return SubjectType.GROUP, wanted
    if "@" in reference:
        return SubjectType.USER, next(iter(snapshot.users or snapshot.deleted))
    return SubjectType.GROUP, next(iter(snapshot.groups))


def _row_of_deleted(state: State, snapshot: Snapshot, graph_id: GraphId, reference: str) -> Row | None:
    """The account of a soft-deleted person: linked, or else known by the name that was typed."""
    if graph_id not in snapshot.deleted:
        return None
    linked = [row for row in state.users.values() if row.entra_object_id == graph_id and not row.deleted_at]
    return linked[0] if linked else _row_here(state, reference)


def _row_here(state: State, reference: str) -> Row | None:
    """The one living row that goes by the reference; None for nobody, or several."""
    rows: Iterable[Row] = (*state.users.values(), *state.groups.values())
    wanted = reference.lower()
    found = [row for row in rows if row.deleted_at is None and wanted in _names(row)]
    return found[0] if len(found) == 1 else None


def _names(row: Row) -> Iterator[str]:
    yield row.id
    name = row.user_name if isinstance(row, User) else row.display_name
    for other in (name, row.external_id, row.entra_object_id, *_mails(row)):
        if other:
            yield other.lower()


def _mails(row: Row) -> Iterator[str]:
    mails = row.document.get("emails")
    if isinstance(mails, list | tuple):
        for mail in mails:
            if isinstance(mail, dict) and isinstance(value := mail.get("value"), str):
                yield value


def _object_id_of(row: Row) -> GraphId | None:
    if row.entra_object_id:
        return row.entra_object_id
    try:
        return GraphId(str(UUID(row.external_id or "")))
    except ValueError:
        return None
