"""Whom an admin means: looked for in Entra first, then among our own accounts, whose object may be gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from store import groups, search, users
from store.criteria import Compare, Criterion, Field, Operator, Query
from store.database import Database
from store.records import Connection, GraphId, Group, GroupId, SubjectType, User, UserId
from worker.errors import Terminal
from worker.loading import load_part
from worker.reconcile.focus import Focus
from worker.reconcile.reach import needs
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
    focus: Focus
    state: State
    """What the store holds of the subject, however many people the connection has."""
    row: Row | None = None
    """The account here to which the reference led, where it did not lead to a living object of Entra."""


@dataclass(frozen=True, slots=True)
class _Found:
    type: SubjectType
    graph_id: GraphId | None
    snapshot: Snapshot
    row: Row | None = None


async def find(graph: GraphClient, services: Services, connection: Connection, reference: str) -> Looked:
    """Reads the subject. Raises `Terminal` where nobody is meant anywhere, or several are; a `GraphError`.

    An account that was renamed in Entra is still found by its old name here: it is read again by its object
    id, so that a name that is not found never passes for a person who is gone.
    """
    found = await _find(graph, services.db, connection, reference.strip())
    objects = {found.graph_id, found.row.entra_object_id if found.row else None} - {None}
    about = frozenset(GraphId(each) for each in objects if each)
    focus = Focus(about, about, frozenset({found.row.id} if found.row else ()))
    wanted = needs(connection.id, found.snapshot, connection.policy, focus)
    # No ceiling is judged on demand; counting a large connection takes longer than all the rest.
    state = await load_part(services.db, connection, wanted, with_totals=False)
    return Looked(found.type, found.graph_id, found.snapshot, focus, state, _as_loaded(state, found.row))


def _as_loaded(state: State, row: Row | None) -> Row | None:
    """The row as the plan sees it: a push may have moved it since it was looked up."""
    if row is None:
        return None
    is_user = isinstance(row, User)
    return state.users.get(UserId(row.id), row) if is_user else state.groups.get(GroupId(row.id), row)


async def _find(graph: GraphClient, db: Database, connection: Connection, reference: str) -> _Found:
    from worker.graph.errors import SubjectNotFound
    from worker.graph.subject import read_subject

    try:
        snapshot = await read_subject(graph, connection, reference)
    except SubjectNotFound as missing:
        row = await _row_here(db, connection, reference)
        if row is None:
            raise
        return await _find_gone(graph, connection, row, missing.snapshot)
    kind, graph_id = _subject_of(snapshot, reference)
    if graph_id not in snapshot.deleted:
        return _Found(kind, graph_id, snapshot)
    row = await _row_here(db, connection, graph_id) or await _row_here(db, connection, reference)
    return _Found(kind, graph_id, snapshot, row)


async def _find_gone(graph: GraphClient, connection: Connection, row: Row, nobody: Snapshot) -> _Found:
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
        return _Found(kind, None, nobody, row)
    try:
        snapshot = await read_subject(graph, connection, object_id)
    except SubjectNotFound as gone:
        return _Found(kind, None, gone.snapshot, row)
    return _Found(kind, object_id, snapshot, row)


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


async def _row_here(db: Database, connection: Connection, reference: str) -> Row | None:
    """The one living row that goes by the reference; None for nobody, or several."""
    scope = connection.tenant_id, connection.id
    names = [reference]
    async with db.reading() as conn:
        people = await users.load_some(
            conn, *scope, ids=names, objects=[reference.lower()], names=names, external_ids=names
        )
        teams = await groups.load_some(
            conn, *scope, ids=names, objects=[reference.lower()], names=names, external_ids=names
        )
        rows: list[Row] = [*people.values(), *teams.values()]
        found = [row for row in rows if row.deleted_at is None]
        if not found and "@" in reference:
            page = await search.users(conn, *scope, Query(_has_mail(reference), limit=2))
            found += page.items
    return found[0] if len(found) == 1 else None


def _has_mail(address: str) -> Criterion:
    """Any of their addresses, letter case aside."""
    value = Field("emails", "value", many=True)
    return Compare(value, Operator.EQ, address)


def _object_id_of(row: Row) -> GraphId | None:
    if row.entra_object_id:
        return row.entra_object_id
    try:
        return GraphId(str(UUID(row.external_id or "")))
    except ValueError:
        return None
