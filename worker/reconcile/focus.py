"""Which subjects a plan is about, where it is not about the whole connection.

One rule holds for every focus: absence is a fact only about subjects of the focus, each of which was read by
itself; whatever else the snapshot or the state happen to hold is there to be matched against, and nothing is
planned for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from store.records import GraphId

_NONE: frozenset[GraphId] = frozenset()


@dataclass(frozen=True, slots=True)
class Focus:
    """Some users and groups of Entra, and some rows here; all were read in Graph by themselves."""

    users: frozenset[GraphId] = _NONE
    """Users of Entra: their rows, and their memberships of every group that is here."""
    groups: frozenset[GraphId] = _NONE
    """Groups of Entra, whole: the group, who is in it, in which groups it is, and its members' rows."""
    rows: frozenset[str] = frozenset()
    """Our ids of users and groups, for those that are not linked."""

    def __or__(self, other: Focus) -> Focus:
        return Focus(self.users | other.users, self.groups | other.groups, self.rows | other.rows)

    def has_user(self, graph_id: GraphId | None, local_id: str | None = None) -> bool:
        return graph_id in self.users or local_id in self.rows

    def has_group(self, graph_id: GraphId | None, local_id: str | None = None) -> bool:
        return graph_id in self.groups or local_id in self.rows
