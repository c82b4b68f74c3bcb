"""The matches of rows and Entra objects, and what a row says of itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from store.records import DriftKind, GraphId, Origin, SubjectType, User, is_object_id, name_key
from worker.reconcile.plan import Finding, Subject

PUSHED = frozenset({Origin.SCIM, Origin.GRAPH})
"""Origins of rows that came from Entra, linked or not."""

Key = Callable[[GraphId], str | None]
Index = Mapping[str, Sequence[str]]
"""Row ids by the value by which the rows are claimed."""


@dataclass(slots=True)
class Matches:
    """The matches of one type of object; it grows round by round, then is only read."""

    type: SubjectType
    label: Callable[[GraphId], str]
    rows: dict[GraphId, str] = field(default_factory=dict)
    """Row by Entra object."""
    owners: dict[str, GraphId] = field(default_factory=dict)
    """Entra object by row."""
    conflicts: dict[GraphId, Finding] = field(default_factory=dict)
    contested: set[str] = field(default_factory=set)
    """Rows that several objects claim, or that are one of several candidates: linked to
    none of them.
    """
    claimants: dict[str, tuple[GraphId, ...]] = field(default_factory=dict)
    """Who answers to a row without a holder, by row."""
    by_names: set[str] = field(default_factory=set)
    """Rows that were matched by names."""
    left_open: list[Finding] = field(default_factory=list)
    """Accounts with access to which only people answer who have other accounts."""
    twins: dict[GraphId, list[str]] = field(default_factory=dict)
    """Rows whose names are those of a person who has another row."""
    without_account: frozenset[GraphId] = frozenset()
    """Entitled users who get no account, since an account that may not be linked has a
    name of theirs: any account whose holder is not known may be one of theirs.
    """

    def set(self, graph_id: GraphId, row_id: str) -> None:
        self.rows[graph_id] = row_id
        self.owners[row_id] = graph_id

    def hand_to(self, graph_id: GraphId, row_id: str) -> None:
        """Match the person to another row by names, in place of the present one."""
        del self.owners[self.rows[graph_id]]
        self.set(graph_id, row_id)
        self.by_names.add(row_id)
        self.contested.discard(row_id)
        self.claimants.pop(row_id, None)

    def withhold(self, row_id: str, detail: str) -> None:
        """Take back a match by names: the person only answers to the row."""
        graph_id = self.owners.pop(row_id)
        del self.rows[graph_id]
        self.by_names.discard(row_id)
        self.claimants[row_id] = (graph_id,)
        self.conflict(graph_id, [row_id], detail)

    def conflict(self, graph_id: GraphId, candidates: Collection[str], detail: str) -> None:
        subject = Subject(self.type, graph_id, None, self.label(graph_id))
        found = tuple(sorted(candidates))
        self.conflicts[graph_id] = Finding(DriftKind.MATCH_CONFLICT, subject, detail, found)
        self.contested.update(candidates)

    def unmatched(self, objects: Iterable[GraphId]) -> Iterator[GraphId]:
        """Return objects that have neither a row nor a conflict yet.

        Lazy: they are searched only if there is a row to claim.
        """
        return (o for o in objects if o not in self.rows and o not in self.conflicts)

    def claim(self, objects: Iterable[GraphId], key: Key, index: Index, attribute: str) -> None:
        """Run one round: every unmatched object claims the rows whose value is
        its own.
        """
        if not index:
            return
        matches: defaultdict[str, list[GraphId]] = defaultdict(list)
        for graph_id in objects:
            rows = index.get(key(graph_id) or "")
            if not rows:
                continue
            found = [row for row in rows if row not in self.owners]
            if len(found) > 1:
                self.conflict(graph_id, found, f"{len(found)} rows have its {attribute}")
            elif found:
                matches[found[0]].append(graph_id)
        for row, graph_ids in matches.items():
            self._assign(row, graph_ids, attribute)

    def _assign(self, row: str, objects: list[GraphId], attribute: str) -> None:
        if len(objects) == 1 and row not in self.contested:
            self.set(objects[0], row)
            return
        for graph_id in objects:
            self.conflict(graph_id, [row], f"another Entra object claims the same row by its {attribute}")


def index_by(rows: Iterable[tuple[str, str | None]]) -> Index:
    """Index (row id, value) pairs by the key of the value, without empty values."""
    index: defaultdict[str, list[str]] = defaultdict(list)
    for row_id, value in rows:
        if value:
            index[name_key(value)].append(row_id)
    return index


def is_linkable(row: User) -> bool:
    """Return whether names may link an account: not a local, an admin's or a protected
    one (identity.md, W6).
    """
    was_pushed = row.origin in PUSHED or row.push_found_at is not None
    return was_pushed and not row.is_admin and not row.is_protected


def object_id_in(row: User) -> GraphId | None:
    """Return the object id that the push wrote as externalId, or None."""
    external_id = row.external_id or ""
    return GraphId(external_id.lower()) if is_object_id(external_id) else None
