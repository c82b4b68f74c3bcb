"""Match rows to Entra objects. Never guessed: a row that two objects claim is left
alone.

Claims are tried in rounds, the strongest first; a row assigned in one round is no
candidate in the next. So of two users with one mailNickname (it is unique within a
domain only) the one whose userName fits gets the row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from store.records import DriftKind, GraphId, Group, SubjectType, User, is_object_id
from worker.reconcile.plan import Finding, Subject
from worker.reconcile.plan_context import PlanContext

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
    """Rows that several objects claim, or that are one of several candidates: left
    alone.
    """

    def set(self, graph_id: GraphId, row_id: str) -> None:
        self.rows[graph_id] = row_id
        self.owners[row_id] = graph_id

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
    """Index (row id, value) pairs by value without letter case; rows without a value
    are left out.
    """
    index: defaultdict[str, list[str]] = defaultdict(list)
    for row_id, value in rows:
        if value:
            index[value.lower()].append(row_id)
    return index


def match_users(context: PlanContext) -> Matches:
    """Match every Entra user, entitled or not, to its live row."""
    users = context.snapshot.users
    live = [row for row in context.state.users.values() if row.deleted_at is None]
    matches = Matches(SubjectType.USER, lambda g: context.user_name(g) or g)
    _set_linked(matches, live, users.keys())
    free = [row for row in live if row.entra_object_id is None]

    by_external_id = index_by((row.id, row.external_id) for row in free)
    matches.claim(matches.unmatched(users), str.lower, by_external_id, "object id as externalId")
    by_user_name = index_by((row.id, row.user_name) for row in free)
    matches.claim(matches.unmatched(users), lambda g: _lower(context.user_name(g)), by_user_name, "userName")
    by_nickname: Key = lambda g: _lower(users[g].properties.get("mailNickname"))  # noqa: E731
    matches.claim(matches.unmatched(users), by_nickname, by_external_id, "mailNickname as externalId")
    _match_by_names(context, matches, live)
    return matches


def _match_by_names(context: PlanContext, matches: Matches, live: Iterable[User]) -> None:
    """Match rehired users, who are new objects under their old names, by userName as
    the push does.
    """
    users = context.snapshot.users
    missing = [row for row in live if row.entra_object_id and row.entra_object_id not in users]
    ownerless = [row for row in missing if context.is_gone(row.entra_object_id)]
    if not ownerless:
        return
    index = index_by((row.id, row.user_name) for row in ownerless)
    matches.claim(
        matches.unmatched(sorted(context.entitled)), lambda g: _lower(context.user_name(g)), index, "userName"
    )


def match_groups(context: PlanContext) -> Matches:
    """Match every assigned Entra group to its live row."""
    groups = context.snapshot.groups
    assigned = context.entitlement.members.keys()
    live = [row for row in context.state.groups.values() if row.deleted_at is None]
    matches = Matches(SubjectType.GROUP, lambda g: groups[g].display_name)
    _set_linked(matches, live, assigned)
    free = [row for row in live if row.entra_object_id is None]

    by_external_id = index_by((row.id, row.external_id) for row in free)
    matches.claim(matches.unmatched(assigned), str.lower, by_external_id, "object id as externalId")
    by_name = index_by((row.id, row.display_name) for row in free)
    name: Key = lambda g: groups[g].display_name.lower()  # noqa: E731
    matches.claim(matches.unmatched(assigned), name, by_name, "displayName")
    # A group recreated under the old name: Entra's push matches by displayName.
    linked = (row for row in live if row.entra_object_id and row.id not in matches.owners)
    if context.entitlement.is_whole:
        ownerless = (row for row in linked if context.is_about_group(row.entra_object_id, row.id))
        by_name = index_by((row.id, row.display_name) for row in ownerless)
        matches.claim(matches.unmatched(assigned), name, by_name, "displayName")
    return matches


def _set_linked(matches: Matches, live: Iterable[User | Group], objects: Iterable[GraphId]) -> None:
    linked = index_by((row.id, row.entra_object_id) for row in live)
    matches.claim(objects, str.lower, linked, "link")


def restorable_users(context: PlanContext, unmatched: Iterable[GraphId]) -> Mapping[GraphId, User]:
    """Return the deleted row of each returning user: by object id, else by userName.

    By userName only if the row was never linked, and if its externalId is not the
    object id of another user: a name that is given to another user must not bring the
    first one's history with it.
    """
    deleted = [row for row in context.state.users.values() if row.deleted_at is not None]
    # Of several rows the one deleted last: its data is the most recent.
    deleted.sort(key=lambda row: (str(row.deleted_at), row.id))
    by_object = {row.entra_object_id: row for row in deleted if row.entra_object_id}
    by_name: defaultdict[str, list[User]] = defaultdict(list)
    for row in reversed(deleted):
        if not row.entra_object_id:
            by_name[row.user_name.lower()].append(row)
    found: dict[GraphId, User] = {}
    for graph_id in unmatched:
        named = by_name.get(_lower(context.user_name(graph_id)), ())
        theirs = by_object.get(graph_id) or next((row for row in named if _may_be(row, graph_id)), None)
        if theirs is not None:
            found[graph_id] = theirs
    return found


def _may_be(row: User, graph_id: GraphId) -> bool:
    external_id = row.external_id or ""
    return not is_object_id(external_id) or external_id.lower() == graph_id.lower()


def _lower(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


# Names that must be unique here (userName, a group's displayName): refused before the
# store has to.


def refused_names(
    wanted: Mapping[GraphId, str], current: Mapping[GraphId, str], others: Iterable[str]
) -> frozenset[GraphId]:
    """Return the objects that cannot have the name they want, without letter case.

    `current` are the names of objects that have a row, `others` the names of all rows
    that keep theirs. A refused object keeps its old name, which another object may want
    in turn: hence the rounds.
    """
    kept = Counter(name.lower() for name in others)
    refused: frozenset[GraphId] = frozenset()
    while True:
        given = {g: current.get(g) if g in refused else name for g, name in wanted.items()}
        after = kept + Counter(name.lower() for name in given.values() if name is not None)
        more = frozenset(
            g
            for g, name in wanted.items()
            if g not in refused and after[name.lower()] > 1 and current.get(g, "").lower() != name.lower()
        )
        if not more:
            return refused
        refused |= more
