"""Skip unchanged users and groups by comparing digests.

A row remembers on what it was last compared: its version, the digest of what Graph said
of the object (bytes as they came, keyed by the policy that was compared under), and the
row of the manager. If all three are the same again, the comparison would give the same
result and is skipped. Entitlement is decided from this cycle's facts all the same. Any
write to the row raises its version, and its digest no longer fits.

A digest is saved only by a cycle that read everything and left nothing open about the
object: neither a change of it or of its memberships, nor a finding.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from store.records import (
    Action,
    GraphId,
    Group,
    GroupId,
    Policy,
    RowDigest,
    RowSummary,
    SubjectType,
    SummaryValues,
    User,
    UserId,
    name_key,
)
from worker.reconcile.arrays.user_table import (
    DIGEST_BYTES,
    digest_reader,
    id_flags,
    managers_of,
    reports_of,
)
from worker.reconcile.entitlement import Entitlement
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING, compile_mapping
from worker.reconcile.mapping.joining import bounded_key, identifiers_of, identifiers_of_account
from worker.reconcile.plan import Change, Plan
from worker.reconcile.snapshot import Focus, GraphUser, Snapshot
from worker.reconcile.state import State


def policy_key(policy: Policy) -> bytes:
    """Return the key of all digests under a policy: its mapping, filters and clearing
    rule.
    """
    filters = [[[c.attribute, c.operator, c.value] for c in clauses] for clauses in policy.scoping_filters]
    rows = list((policy.mapping or DEFAULT_MAPPING).items())
    text = json.dumps([rows, policy.clear_emptied_attributes, filters])
    return blake2b(text.encode(), digest_size=32).digest()


def digest_of(content: bytes, key: bytes = b"") -> str:
    """Return the digest of what Graph said of an object."""
    return blake2b(content, digest_size=DIGEST_BYTES, key=key).hexdigest()


def possibly_changed(
    snapshot: Snapshot, entitlement: Entitlement, people: Iterable[RowSummary], groups: Iterable[RowSummary]
) -> Focus:
    """Return the subjects that a full plan could change: new, leaving, changed or not
    linked.

    Left out are entitled users and assigned groups whose digest fits, and users who are
    neither entitled nor active here. Users that could claim an unlinked row come on
    top: `rematch_candidates`.
    """
    comparison = RowComparison(snapshot, entitlement)
    comparison.take(people)
    return comparison.focus(groups)


class RowComparison:
    """Compare the rows of users with a snapshot as they come, and forget them."""

    def __init__(self, snapshot: Snapshot, entitlement: Entitlement) -> None:
        self._snapshot = snapshot
        self._entitlement = entitlement
        self._linked = id_flags(snapshot.users)
        """Entitled users with a row so far."""
        self._changed: set[GraphId] = set()
        self._leaving: set[GraphId] = set()
        self._free: set[str] = set()
        self._managers = managers_of(snapshot.users)
        self._rows_of_managers: dict[GraphId, str] = {}
        self._noted: dict[GraphId, str] = {}
        """By manager, the row that the digest of the first report names as the
        manager's."""
        self._noted_else: list[tuple[GraphId, GraphId, str]] = []
        """User, manager, and another row that the digest names."""

    def take(self, rows: Iterable[SummaryValues]) -> None:
        """Compare some rows: each row of the connection that is not deleted, once."""
        # Written out for speed: this runs for every user in every full cycle.
        entitled, read = self._entitlement.entitled, digest_reader(self._snapshot.users)
        managers, linked = self._managers, self._linked
        for row_id, graph_id, version, agreed_on, is_active, _ in rows:
            if graph_id is None:
                self._free.add(row_id)
                continue
            if graph_id in managers:
                self._rows_of_managers[graph_id] = row_id
            if graph_id not in entitled:
                if is_active:
                    self._leaving.add(graph_id)
                continue
            linked.add(graph_id)
            digest, manager_id = read(graph_id)
            fits = f"{version} {digest} "
            agreed = agreed_on or ""
            if not is_active or not agreed.startswith(fits):
                self._changed.add(graph_id)
            elif manager_id is None:
                if len(agreed) > len(fits):
                    self._changed.add(graph_id)
            elif self._noted.setdefault(manager_id, noted := agreed[len(fits) :]) != noted:
                self._noted_else.append((graph_id, manager_id, noted))

    def focus(self, groups: Iterable[RowSummary]) -> Focus:
        """Return what could change, once all rows of users were taken."""
        snapshot, entitlement, rows = self._snapshot, self._entitlement, list(groups)
        held = {row.entra_object_id: row for row in rows if row.entra_object_id}
        changed = {g for g in entitlement.members if not _is_group_unchanged(snapshot, g, held.get(g))}
        changed |= entitlement.unreadable
        free = {row.id for row in rows if row.entra_object_id is None}
        unlinked: set[GraphId] = set()
        if len(self._linked) < len(entitlement.entitled):
            unlinked.update(g for g in entitlement.entitled if g not in self._linked)
        people = unlinked | self._changed | self._leaving | entitlement.undecided
        return Focus(
            frozenset(people.union(self._with_other_manager(unlinked))),
            frozenset(changed | held.keys() - entitlement.members.keys()),
            frozenset(free | self._free),
        )

    def _with_other_manager(self, unlinked: set[GraphId]) -> Iterator[GraphId]:
        """Yield entitled users whose manager has another row than their digest says.

        A manager who gets a row is referred to from now on.
        """
        rows, users = self._rows_of_managers, self._snapshot.users
        for graph_id, manager_id, noted in self._noted_else:
            if noted != rows.get(manager_id, ""):
                yield graph_id
        decided = {graph_id for graph_id, _, _ in self._noted_else}
        arriving = self._managers & unlinked
        others = {m for m, noted in self._noted.items() if noted != rows.get(m, "")} - arriving
        reports = set(reports_of(users, others)) - decided
        reports.update(reports_of(users, arriving))
        yield from reports & self._entitlement.entitled


def is_unwritten_since(row: RowSummary) -> bool:
    """Return whether a row has not been written since it agreed with Entra."""
    return row.agreed is not None and row.agreed.startswith(f"{row.version} ")


def _is_group_unchanged(snapshot: Snapshot, graph_id: GraphId, row: RowSummary | None) -> bool:
    return row is not None and row.agreed == _group_text(snapshot, graph_id, row.version)


def _user_text(user: GraphUser, version: int, manager: str) -> str:
    return f"{version} {user.digest} {manager}"


def _group_text(snapshot: Snapshot, graph_id: GraphId, version: int) -> str:
    name = snapshot.groups[graph_id].display_name
    lists = (snapshot.members[graph_id], snapshot.nested_members.get(graph_id, frozenset()))
    content = "\n".join([name, *(" ".join(sorted(members)) for members in lists)])
    return f"{version} {digest_of(content.encode('utf-8', 'surrogatepass'))}"


def rematch_candidates(snapshot: Snapshot, policy: Policy, free: Iterable[User]) -> Focus:
    """Return users that could match an unlinked row by any matching attribute, and
    their reports.
    """
    rows = list(free)
    if not rows:
        return Focus()
    read_name = compile_mapping(policy).user_name.read
    wanted = {name for row in rows for name in identifiers_of_account(row)}
    found = {
        graph_id
        for graph_id, user in snapshot.users.items()
        if bounded_key(name_key(str(read_name(user)))) in wanted
        or not wanted.isdisjoint(identifiers_of(user))
    }
    return Focus(frozenset(found.union(reports_of(snapshot.users, found))))


def part_to_load(snapshot: Snapshot, focus: Focus) -> Snapshot:
    """Return the snapshot with only those users whose rows a plan for the focus
    needs.
    """
    lists = (snapshot.members, snapshot.nested_members)
    members = (held.get(group, ()) for held in lists for group in focus.groups)
    people = focus.users.union(*members)
    return replace(snapshot, users={g: snapshot.users[g] for g in people if g in snapshot.users}, deleted={})


@dataclass(frozen=True, slots=True)
class ComparedState:
    """What a cycle compared, and which of its changes took effect."""

    snapshot: Snapshot
    entitlement: Entitlement
    state: State
    focus: Focus | None
    """The subjects of the plan; None: the whole connection."""
    plan: Plan
    applied: Sequence[Change] = ()
    """The changes that took effect."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Versions of changed rows after their last change."""


def unchanged_users(compared: ComparedState) -> Iterator[RowDigest]:
    """Yield the digests to save on rows of users."""
    still_open = _still_open(compared)
    new = _ids_of(compared, SubjectType.USER)
    rows = {row.entra_object_id: row for row in compared.state.users.values() if _is_linked(row)}
    managers: Mapping[GraphId, str] = {**{g: row.id for g, row in rows.items() if g}, **new}
    entitled = compared.entitlement.entitled
    for graph_id in entitled if compared.focus is None else entitled & compared.focus.users:
        user, row = compared.snapshot.users[graph_id], rows.get(graph_id)
        found = _compared_row(compared, new.get(graph_id), row)
        if found is None or not user.digest or still_open & {graph_id, found[0]}:
            continue
        manager = managers.get(user.manager_id, "") if user.manager_id else ""
        is_as_read = row is not None and found == (row.id, row.version)
        names = (row.user_name, row.external_id) if row is not None and is_as_read else (None, None)
        yield RowDigest(*found, _user_text(user, found[1], manager), *names)
    yield from _rows_with_differences(compared, compared.state.users.values(), still_open)


def unchanged_groups(compared: ComparedState) -> Iterator[RowDigest]:
    """Yield the digests to save on rows of groups."""
    still_open = _still_open(compared)
    new = _ids_of(compared, SubjectType.GROUP)
    rows = {row.entra_object_id: row for row in compared.state.groups.values() if _is_linked(row)}
    members = compared.entitlement.members.keys()
    for graph_id in members if compared.focus is None else members & compared.focus.groups:
        found = _compared_row(compared, new.get(graph_id), rows.get(graph_id))
        if found is not None and not still_open & {graph_id, found[0]}:
            yield RowDigest(*found, _group_text(compared.snapshot, graph_id, found[1]))
    yield from _rows_with_differences(compared, compared.state.groups.values(), still_open)


def _rows_with_differences(
    compared: ComparedState, rows: Iterable[User | Group], still_open: Container[str | None]
) -> Iterator[RowDigest]:
    """Yield empty digests for rows about which something is left open.

    The memberships of a user whose disabling was held were not compared. Nor were those
    of a row that a push touched; if the clock fell back, such a row can carry an old
    digest of the same version.
    """
    for row in rows:
        if row.id in still_open or row.entra_object_id in still_open:
            yield RowDigest(row.id, row.version, _NO_DIGEST)


def _is_linked(row: User | Group) -> bool:
    return row.deleted_at is None and row.entra_object_id is not None


def _compared_row(
    compared: ComparedState, new_id: str | None, row: User | Group | None
) -> tuple[str, int] | None:
    """Return the row and the version at which it was compared or changed; None if
    neither.
    """
    row_id = new_id or (row.id if row else None)
    if row_id is None:
        return None
    held = compared.state.users.get(UserId(row_id)) or compared.state.groups.get(GroupId(row_id))
    # A row that changed here after reading began was not compared, even if this plan
    # linked it.
    if held is not None and held.last_modified > compared.snapshot.taken_at:
        return None
    if (version := compared.versions.get(row_id)) is not None:
        return row_id, version
    return None if row is None or row.id != row_id else (row_id, row.version)


def _ids_of(compared: ComparedState, kind: SubjectType) -> dict[GraphId, str]:
    """Return the rows this plan created for, or linked to, objects of Entra."""
    subjects = (c.subject for c in compared.applied if c.action in _LINKING and c.subject.type is kind)
    return {s.graph_id: s.local_id for s in subjects if s.graph_id and s.local_id}


def _still_open(compared: ComparedState) -> frozenset[str | None]:
    """Return the Graph ids and row ids of all subjects with an open change or finding,
    and the rows that are to be looked at again.

    A row that the plan changed has a new version: an empty digest of the old one would
    not reach it.
    """
    left: Sequence[Change] = ()
    if len(compared.applied) < len(compared.plan.changes):
        took_effect = frozenset(map(id, compared.applied))
        left = [change for change in compared.plan.changes if id(change) not in took_effect]
    subjects = [change.subject for change in left] + [change.member for change in left if change.member]
    subjects += [finding.subject for finding in compared.plan.findings]
    left_rows = compared.plan.unsettled | compared.plan.again
    ids = {each for subject in subjects for each in (subject.graph_id, subject.local_id)}
    return frozenset(ids.union(left_rows, *(found.candidates for found in compared.plan.findings)) - {None})


_NO_DIGEST = ""
"""A digest that fits no object."""

_LINKING = frozenset({Action.CREATE, Action.RESTORE, Action.LINK, Action.CHANGE_HOLDER})
