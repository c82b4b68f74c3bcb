"""Name the subjects of a plan that does not concern the whole connection.

One rule holds for every focus: absence is a fact only about subjects of the focus, each
of which was read by itself. All else in the snapshot or the state is there to be
matched against, and nothing is planned for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from store.records import GraphId
from store.records.conflicts import PushConflict

_NONE: frozenset[GraphId] = frozenset()


@dataclass(frozen=True, slots=True)
class Focus:
    """Some users and groups of Entra and some rows; all were read in Graph by
    themselves.
    """

    users: frozenset[GraphId] = _NONE
    """Users of Entra, with their rows and their memberships of every group that is
    here.
    """
    groups: frozenset[GraphId] = _NONE
    """Groups of Entra with their members, the groups they are in, and their members'
    rows.
    """
    rows: frozenset[str] = frozenset()
    """Row ids of users and groups that are not linked."""

    def __or__(self, other: Focus) -> Focus:
        return Focus(self.users | other.users, self.groups | other.groups, self.rows | other.rows)

    def has_user(self, graph_id: GraphId | None, local_id: str | None = None) -> bool:
        return graph_id in self.users or local_id in self.rows

    def has_group(self, graph_id: GraphId | None, local_id: str | None = None) -> bool:
        return graph_id in self.groups or local_id in self.rows


def focus_of_conflicts(conflicts: Iterable[PushConflict]) -> Focus:
    """Return the people and accounts that conflicts of the push concern."""
    found = list(conflicts)
    return Focus(
        frozenset(conflict.object_id for conflict in found),
        rows=frozenset[str]().union(*(conflict.account_ids for conflict in found)),
    )
