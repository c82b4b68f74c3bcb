"""Find the subject an admin means: in Entra first, then among the accounts here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from store.database import Database
from store.directory import groups, users
from store.records import (
    Connection,
    GraphId,
    Group,
    GroupId,
    Policy,
    Scope,
    SubjectType,
    User,
    UserId,
    name_key,
)
from store.search import query as search
from store.search.criteria import Compare, Criterion, Field, Operator, SearchQuery
from worker.cycle.load_state import load_part
from worker.errors import Terminal
from worker.on_demand.related import read_related
from worker.reconcile.dependencies import rows_needed
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.mapping.attribute_mapping import compile_mapping
from worker.reconcile.mapping.joining import texts_of
from worker.reconcile.plan_context import build_context
from worker.reconcile.planning.matching import match_users
from worker.reconcile.snapshot import Focus, GraphUser, Snapshot
from worker.reconcile.state import State
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.errors import AmbiguousSubject
    from worker.graph.http.client import GraphClient
    from worker.graph.read.subject import SubjectReading

Row: TypeAlias = User | Group


@dataclass(frozen=True, slots=True)
class ResolvedSubject:
    """The subject that was found, and what was read and loaded of it."""

    type: SubjectType
    graph_id: GraphId | None
    """None if Entra has no such object, not even among the deleted."""
    snapshot: Snapshot
    focus: Focus
    state: State
    """What the store holds of the subject, however many users the connection has."""
    row: Row | None = None
    """The account the reference led to, if it did not lead to a living object
    of Entra.
    """
    others: frozenset[GraphId] = frozenset()
    """Owners of accounts whose names the subject is to have: read as well, at most
    renamed.
    """
    notes: tuple[str, ...] = ()
    """Other objects that match the reference, and why they are not meant."""


@dataclass(frozen=True, slots=True)
class _Found:
    type: SubjectType
    graph_id: GraphId | None
    row: Row | None = None
    notes: tuple[str, ...] = ()


async def find(
    graph: GraphClient, services: WorkerServices, connection: Connection, reference: str
) -> ResolvedSubject:
    """Find and read the subject.

    Raises `Terminal` if none or several match, and a `GraphError`. An account whose
    user was renamed in Entra is still found by its old name here: it is read again by
    its object id, so that an unknown name never passes for a deleted user.
    """
    from worker.graph.read.subject import start_reading

    reading = await start_reading(graph, connection)
    found = await _find(reading, services.db, reference.strip())
    objects = {found.graph_id, found.row.entra_object_id if found.row else None} - {None}
    about = frozenset(GraphId(each) for each in objects if each)
    focus = Focus(about, about, frozenset({found.row.id} if found.row else ()))
    resolved = await _loaded(reading, services.db, found, focus)
    if found.type is SubjectType.GROUP:
        return resolved
    related = await read_related(reading, services.db, focus, resolved.state)
    resolved = replace(
        resolved, snapshot=related.snapshot, state=related.state, row=_as_loaded(related.state, resolved.row)
    )
    focus |= Focus(users=related.holders)
    return _as_claimed(replace(resolved, focus=focus, others=related.holders), connection.policy)


def _as_claimed(resolved: ResolvedSubject, policy: Policy) -> ResolvedSubject:
    """Give an unlinked account the one user in Entra that matches it, if there is
    exactly one.
    """
    if resolved.graph_id is not None or resolved.row is None:
        return resolved
    context = build_context(
        resolved.snapshot, resolved.state, policy, entitlement_of(resolved.snapshot, policy), resolved.focus
    )
    owner = match_users(context).owners.get(resolved.row.id)
    if owner is None:
        return resolved
    return replace(resolved, graph_id=owner, row=None, focus=resolved.focus | Focus(users=frozenset({owner})))


async def _loaded(reading: SubjectReading, db: Database, found: _Found, focus: Focus) -> ResolvedSubject:
    snapshot, connection = reading.snapshot(), reading.connection
    wanted = rows_needed(connection.id, snapshot, connection.policy, focus)
    # No ceiling is judged on demand; counting a large connection takes longer than all
    # the rest.
    state = await load_part(db, connection, wanted, with_totals=False)
    row = _as_loaded(state, found.row)
    return ResolvedSubject(found.type, found.graph_id, snapshot, focus, state, row, notes=found.notes)


def _as_loaded(state: State, row: Row | None) -> Row | None:
    """Return the row as the plan sees it: a push may have changed it since it was
    looked up.
    """
    if row is None:
        return None
    is_user = isinstance(row, User)
    return state.users.get(UserId(row.id), row) if is_user else state.groups.get(GroupId(row.id), row)


async def _find(reading: SubjectReading, db: Database, reference: str) -> _Found:
    from worker.graph.errors import AmbiguousSubject, SubjectNotFound

    notes: tuple[str, ...] = ()
    try:
        graph_id = await reading.find(reference)
    except AmbiguousSubject as several:
        graph_id = await _choose_concerned(reading, db, reference, several)
        others = [text for each, text in several.who.items() if each != graph_id]
        notes = (f"{'; '.join(others)} would do as well, but are neither assigned nor here",)
        await reading.find(graph_id)
    except SubjectNotFound as error:
        row = await _row_here(db, reading.connection, reference)
        if row is None:
            raise Terminal(f"{error} No account or group here goes by it either.") from error
        return await _find_gone(reading, row, reference)
    notes = (*notes, *reading.namesakes)
    kind = SubjectType.GROUP if graph_id in reading.groups else SubjectType.USER
    if graph_id not in reading.deleted:
        return _Found(kind, graph_id, notes=notes)
    row = await _row_here(db, reading.connection, graph_id)
    row = row or await _row_here(db, reading.connection, reference)
    return _Found(kind, graph_id, row, notes)


async def _choose_concerned(
    reading: SubjectReading, db: Database, reference: str, several: AmbiguousSubject
) -> GraphId:
    """Return the one candidate that is assigned or has an account here.

    For the others there is nothing to do. Raises `several` itself if that cannot be
    proven.
    """
    connection, candidates = reading.connection, frozenset(several.who)
    await reading.read_people(candidates)
    rows = await _rows_of(db, connection, reference, candidates, reading.users)
    linked = {row.entra_object_id for row in rows}
    concerned = candidates & (linked | reading.standing.entitled_by_assignment)
    is_proven = connection.policy.scope is Scope.ASSIGNED and reading.standing.is_whole and None not in linked
    if not is_proven or len(concerned) != 1:
        raise several
    return next(iter(concerned))


async def _rows_of(
    db: Database,
    connection: Connection,
    reference: str,
    candidates: Collection[GraphId],
    people: Mapping[GraphId, GraphUser],
) -> list[Row]:
    """Return every living account or group here that could belong to a candidate."""
    read_name = compile_mapping(connection.policy).user_name.read
    read = [people[graph_id] for graph_id in candidates if graph_id in people]
    names = {reference, *(str(read_name(user)) for user in read)}.union(*map(texts_of, read))
    known_as = set(candidates).union(*map(texts_of, read))
    return await _rows(db, connection, ids=(), objects=candidates, names=names, external_ids=known_as)


async def _rows(
    db: Database,
    connection: Connection,
    *,
    ids: Collection[str] = (),
    objects: Collection[str] = (),
    names: Collection[str] = (),
    external_ids: Collection[str] = (),
) -> list[Row]:
    scope = connection.tenant_id, connection.id
    async with db.reading() as conn:
        user_rows = await users.load_some(
            conn, *scope, ids=ids, objects=objects, names=names, external_ids=external_ids
        )
        group_rows = await groups.load_some(
            conn, *scope, ids=ids, objects=objects, names=names, external_ids=external_ids
        )
    rows: list[Row] = [*user_rows.values(), *group_rows.values()]
    return [row for row in rows if row.deleted_at is None]


async def _find_gone(reading: SubjectReading, row: Row, reference: str) -> _Found:
    from worker.graph.errors import SubjectNotFound

    kind = SubjectType.USER if isinstance(row, User) else SubjectType.GROUP
    object_id = _object_id_of(row)
    if object_id is None:
        if kind is SubjectType.GROUP:
            raise Terminal(
                "No group in Entra goes by that name, and the group here is not linked to an Entra object: it"
                " cannot be told whether it was deleted or renamed there. Give its object id in Entra."
            )
        return _Found(kind, None, row)
    if object_id == reference.lower():  # that was asked for just now
        return _Found(kind, None, row)
    try:
        await reading.find(object_id)
    except SubjectNotFound:
        return _Found(kind, None, row)
    return _Found(kind, object_id, row)


async def _row_here(db: Database, connection: Connection, reference: str) -> Row | None:
    """Return the living row that matches the reference, by unique names first.

    Raises `Terminal` if several do.
    """
    names = [reference]
    found = await _rows(
        db, connection, ids=names, objects=[reference.lower()], names=names, external_ids=names
    )
    if not found and "@" in reference:
        async with db.reading() as conn:
            page = await search.users(
                conn,
                connection.tenant_id,
                connection.id,
                SearchQuery(_has_mail(reference), limit=_MOST_LISTED),
            )
        found += await _rows(db, connection, ids=[each.id for each in page.items])
    # A userName, and a group's displayName, is unique here; an externalId or an address
    # is not.
    own = [
        row
        for row in found
        if reference.lower() in (row.id, row.entra_object_id) or name_key(reference) == name_key(name_of(row))
    ]
    meant = own or found
    if len(meant) > 1:
        raise Terminal(
            f"Nobody living in Entra goes by that reference, and {len(meant)} accounts here do: "
            f"{'; '.join(map(describe, meant))}. Give the id of the one you mean."
        )
    return meant[0] if meant else None


_MOST_LISTED = 10


def name_of(row: Row) -> str:
    """Return the row's unique name."""
    return row.user_name if isinstance(row, User) else row.display_name


def describe(row: Row) -> str:
    """Describe the row in words."""
    kind = (
        "the group"
        if isinstance(row, Group)
        else "the active account"
        if row.active
        else "the inactive account"
    )
    linked = f"stands for {row.entra_object_id}" if row.entra_object_id else "not linked to anybody in Entra"
    known_as = f", externalId {row.external_id}" if row.external_id else ""
    return f"{kind} {name_of(row)} (id {row.id}{known_as}, {linked})"


def _has_mail(address: str) -> Criterion:
    """Match any mail address, without letter case."""
    value = Field("emails", "value", many=True)
    return Compare(value, Operator.EQ, address)


def _object_id_of(row: Row) -> GraphId | None:
    if row.entra_object_id:
        return row.entra_object_id
    try:
        return GraphId(str(UUID(row.external_id or "")))
    except ValueError:
        return None
