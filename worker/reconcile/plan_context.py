"""Hold the inputs of a plan and what all parts of the planning derive from them."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from store.records import ConnectionId, CycleKind, GraphId, Group, Policy, SubjectType, User, name_key
from worker.reconcile.entitlement import Entitlement
from worker.reconcile.mapping.attribute_mapping import CompiledMapping, compile_mapping, source_texts
from worker.reconcile.mapping.fit import NAMES, check_mapping
from worker.reconcile.mapping.joining import IDENTIFIERS, bounded_key, identifiers_of, identifiers_of_account
from worker.reconcile.mapping.source_attributes import Source
from worker.reconcile.mapping.syntax import AttributeReference, parse_expression
from worker.reconcile.plan import Subject
from worker.reconcile.snapshot import Focus, GraphUser, Snapshot
from worker.reconcile.state import MappingVerdict, State


@dataclass(frozen=True)
class PlanContext:
    snapshot: Snapshot
    state: State
    policy: Policy
    mapping: CompiledMapping
    entitlement: Entitlement
    focus: Focus | None = None
    """The subjects of the plan; None: the whole connection."""
    members_in_focus: frozenset[GraphId] = frozenset()
    """Members of the groups in focus: their rows are part of the plan."""
    names: dict[GraphId, str | None] = field(default_factory=dict)
    """Cache of `user_name`."""

    def user_name(self, graph_id: GraphId) -> str | None:
        """Return the userName that the mapping gives an Entra user.

        Cached, since it is asked for several times per user.
        """
        if graph_id not in self.names:
            value = self.mapping.user_name.read(self.snapshot.users[graph_id])
            self.names[graph_id] = None if value is None else str(value)
        return self.names[graph_id]

    def has_holder(self, row: User) -> bool:
        """Return whether the row's object id means a person in this directory.

        The object ids of another directory prove nothing about this one's people.
        """
        known, here = row.directory_id, self.state.directory_id
        return row.entra_object_id is not None and (known is None or here is None or known == here)

    @cached_property
    def mapping_verdict(self) -> MappingVerdict:
        """Return what is known of the mapping: checked here if the whole directory was
        read, else what the last full reading said.
        """
        if self.snapshot.is_of_subjects or not self.entitlement.is_directory_listed:
            return self.state.mapping or MappingVerdict(names_fit=False, misfits=frozenset(NAMES))
        rows = [row for row in self.state.users.values() if row.deleted_at is None]
        fit = check_mapping(
            # What the push found and did not write holds what it would write. Accounts
            # of known people without access are not kept in step (`users`).
            (
                row
                for row in rows
                if (row.push_wrote_at is not None or row.push_found_at is not None)
                and (row.active or not self.has_holder(row))
            ),
            self.snapshot.users,
            self.policy,
            settled=self.state.settled,
            agreed=self.state.agreed,
        )
        return MappingVerdict(fit.names_fit, fit.misfits, fit.sentences)

    @cached_property
    def names_fit(self) -> bool:
        """Return whether names may be believed: the mapping fits, or a person said
        so.
        """
        return self.policy.mapping_confirmed or self.mapping_verdict.names_fit

    def are_believed(self, rows: Sequence[User]) -> Mapping[str, GraphId | None]:
        """Return the rows of which names may say whose they are, each with the one
        person who may be believed (None: anyone).

        Where it is not known that the mapping fits, and a person asked for one user, a
        row is that user's if no one else answers to it by any identifier.
        """
        if self.names_fit:
            return dict.fromkeys(row.id for row in rows)
        if not is_one_user_asked(self.snapshot, self.focus):
            return {}
        return {row.id: people[0] for row, people in self.claimants_of(rows) if len(people) == 1}

    def may_write(self, path: str) -> bool:
        """Return whether an attribute holds what the mapping gives, or a person said
        that the mapping fits.
        """
        return self.policy.mapping_confirmed or path not in self.mapping_verdict.misfits

    def people_named(self, user_names: Iterable[str]) -> Mapping[str, list[GraphId]]:
        """Return the people that the mapping gives one of these userNames."""
        wanted = {name_key(name) for name in user_names}
        found: dict[str, list[GraphId]] = {}
        for graph_id in self.snapshot.users:
            name = name_key(self.user_name(graph_id) or "")
            if name in wanted:
                found.setdefault(name, []).append(graph_id)
        return found

    def has_external_id(self, graph_id: GraphId, row: User) -> bool:
        """Return whether the mapping gives the person the row's externalId, if both
        have one.
        """
        source = self.mapping.external_id
        if source is None or not row.external_id:
            return True
        given = source.read(self.snapshot.users[graph_id])
        return isinstance(given, str) and name_key(given) == name_key(row.external_id)

    def claimants_of(self, rows: Sequence[User]) -> Iterator[tuple[User, tuple[GraphId, ...]]]:
        """Yield the rows that a user in Entra answers to, by any identifier, with
        every user who does.
        """
        wanted: dict[str, list[User]] = {}
        for row in rows:
            for name in set(identifiers_of_account(row)):
                wanted.setdefault(name, []).append(row)
        found: dict[str, set[GraphId]] = {}
        for graph_id, user in self._everybody() if wanted else ():
            names = set(identifiers_of(user)).union(self._mapped_names(user))
            for name in names & wanted.keys():
                for row in wanted[name]:
                    found.setdefault(row.id, set()).add(graph_id)
        for row in rows:
            if people := found.get(row.id):
                yield row, tuple(sorted(people))

    def _mapped_names(self, user: GraphUser) -> Iterator[str]:
        """Yield userName and externalId as the mapping gives them."""
        for source in self._name_sources:
            if isinstance(given := source.read(user), str):
                yield bounded_key(name_key(given))

    @cached_property
    def _name_sources(self) -> tuple[Source, ...]:
        """Return what makes names of other properties than the identifiers."""
        texts = source_texts(self.policy)
        sources = ((texts[path], source) for path, source in self.mapping.sources if path in NAMES)
        return tuple(source for text, source in sources if not _is_identifier(text))

    def _everybody(self) -> Iterator[tuple[GraphId, GraphUser]]:
        yield from self.snapshot.users.items()
        yield from self.snapshot.deleted_users.items()

    def is_about_user(self, graph_id: GraphId | None, row_id: str | None = None) -> bool:
        """Return whether a user is in focus, so that absence says something about the
        user.
        """
        return (
            self.focus is None or self.focus.has_user(graph_id, row_id) or graph_id in self.members_in_focus
        )

    def is_about_group(self, graph_id: GraphId | None, row_id: str | None = None) -> bool:
        """Return whether a group as a whole is in focus."""
        return self.focus is None or self.focus.has_group(graph_id, row_id)

    @cached_property
    def entitled(self) -> Set[GraphId]:
        """Return the entitled users in focus."""
        entitled = self.entitlement.entitled
        return entitled if self.focus is None else entitled & (self.focus.users | self.members_in_focus)

    def is_gone(self, graph_id: GraphId | None) -> bool:
        """Return whether it is proved that no living user has this object id."""
        was_asked = self.entitlement.is_directory_listed
        was_asked = was_asked or (self.focus is not None and self.is_about_user(graph_id))
        return was_asked and graph_id not in self.snapshot.users

    def is_changed_after_reading(self, row: User | Group) -> bool:
        """Return whether a push touched the row after reading began.

        The snapshot may not know of that push yet (invariant I7).
        """
        return row.last_modified > self.snapshot.taken_at


def is_one_user_asked(snapshot: Snapshot, focus: Focus | None) -> bool:
    """Return whether a person asked for one user, not for a group of them."""
    if snapshot.kind is not CycleKind.ON_DEMAND or focus is None:
        return False
    return focus.groups.isdisjoint(snapshot.groups)


def _is_identifier(text: str) -> bool:
    source = parse_expression(text)
    return isinstance(source, AttributeReference) and source.name in (*IDENTIFIERS, "objectId")


def build_context(
    snapshot: Snapshot,
    state: State,
    policy: Policy,
    entitlement: Entitlement,
    focus: Focus | None = None,
) -> PlanContext:
    """Build the context of a plan.

    Raises `PolicyError` for a mapping or a filter that makes no sense.
    """
    return PlanContext(snapshot, state, policy, compile_mapping(policy), entitlement, focus)


def planned_id(connection_id: ConnectionId, graph_id: GraphId, taken: Container[str]) -> str:
    """Return the id of a new row: the same for the same Entra object, unless it was
    used up.
    """
    new = next((new for new in _ids_for(connection_id, graph_id, 100) if new not in taken), None)
    if new is None:
        raise AssertionError(f"a hundred rows for one Entra object: {graph_id}")
    return new


def planned_ids(connection_id: ConnectionId, objects: Iterable[GraphId]) -> frozenset[str]:
    """Return the first ids that new rows of these objects may get.

    The planner has to know whether these ids are used up.
    """
    return frozenset(new for graph_id in objects for new in _ids_for(connection_id, graph_id, 3))


def _ids_for(connection_id: ConnectionId, graph_id: GraphId, most: int) -> Iterator[str]:
    for attempt in range(most):
        yield _id_for(connection_id, graph_id, attempt)


@lru_cache(maxsize=4_096)
def _id_for(connection_id: ConnectionId, graph_id: GraphId, attempt: int) -> str:
    """Return an id, kept: an increment asks for the same ones once a round."""
    name = f"{connection_id}/{graph_id}" + (f"/{attempt}" if attempt else "")
    return str(uuid.uuid5(_NAMESPACE, name))


def user_subject(row: User, graph_id: GraphId | None) -> Subject:
    return Subject(SubjectType.USER, graph_id, row.id, row.user_name)


def group_subject(row: Group, graph_id: GraphId | None) -> Subject:
    return Subject(SubjectType.GROUP, graph_id, row.id, row.display_name)


_NAMESPACE = uuid.UUID("6f6c9a52-5e0b-4d2b-9a3c-0d4c7b1f7f5e")
