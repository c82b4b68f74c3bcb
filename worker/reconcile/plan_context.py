"""Hold the inputs of a plan and what all parts of the planning derive from them."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from store.records import ConnectionId, GraphId, Group, Policy, SubjectType, User
from worker.reconcile.entitlement import Entitlement
from worker.reconcile.focus import Focus
from worker.reconcile.mapping.attribute_mapping import CompiledMapping, compile_mapping
from worker.reconcile.plan import Subject
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import State


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

    @cached_property
    def user_names(self) -> frozenset[str]:
        """Return every userName that the mapping gives an entitled user, in
        lower case.
        """
        users = self.snapshot.users
        given = (self.mapping.user_name.read(users[graph_id]) for graph_id in self.entitlement.entitled)
        return frozenset(name.lower() for name in given if isinstance(name, str))

    @cached_property
    def nicknames(self) -> frozenset[str]:
        """Return every mailNickname of an entitled user, in lower case."""
        users = self.snapshot.users
        held = (users[graph_id].properties.get("mailNickname") for graph_id in self.entitlement.entitled)
        return frozenset(name.lower() for name in held if isinstance(name, str))

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
    def entitled(self) -> frozenset[GraphId]:
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
        name = f"{connection_id}/{graph_id}" + (f"/{attempt}" if attempt else "")
        yield str(uuid.uuid5(_NAMESPACE, name))


def user_subject(row: User, graph_id: GraphId | None) -> Subject:
    return Subject(SubjectType.USER, graph_id, row.id, row.user_name)


def group_subject(row: Group, graph_id: GraphId | None) -> Subject:
    return Subject(SubjectType.GROUP, graph_id, row.id, row.display_name)


_NAMESPACE = uuid.UUID("6f6c9a52-5e0b-4d2b-9a3c-0d4c7b1f7f5e")
