"""Define what Graph said in one cycle, of which subjects, and how complete it is.

One rule holds for every focus: absence is a fact only about subjects of the focus, each
of which was read by itself. All else in the snapshot or the state is there to be
matched against, and nothing is planned for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct, structs

from store.records import CycleKind, GraphId, JsonValue
from store.records.drift import PushConflict

_NONE: frozenset[GraphId] = frozenset()
CACHE_SIZE = 8192
"""How many results are cached, some 2 kB each.

That of a new row is read when the row is written, and again for the report."""


class GraphUser(Struct, frozen=True):
    """A directory user. `properties` has Graph's own names (`userPrincipalName`, …),
    None where empty.
    """

    id: GraphId
    account_enabled: bool | None
    """None: this is not known; see `unknown`."""
    properties: Mapping[str, JsonValue]
    manager_id: GraphId | None = None
    digest: str = ""
    """Digest of all that Graph said of the user, under the policy (`digests`).

    Empty if it was not taken.
    """
    unknown: str = ""
    """What Graph did not say of the user, in words.

    Such a user is neither created, changed nor removed.
    """

    @property
    def state(self) -> str:
        """Return the state of the account in one word."""
        return {True: "enabled", False: "disabled", None: "unknown"}[self.account_enabled]

    @property
    def created_at(self) -> datetime | None:
        """Return when the user was made in the directory, None where Graph does not
        say.
        """
        try:
            made = datetime.fromisoformat(str(self.properties.get("createdDateTime")))
        except ValueError:
            return None
        return made if made.tzinfo else None

    def without_state(self, unknown: str) -> GraphUser:
        """Return the user without a state, because Graph left something out."""
        return structs.replace(self, account_enabled=None, unknown=unknown)

    def with_manager(self, manager_id: GraphId) -> GraphUser:
        """Return the user with a manager."""
        return structs.replace(self, manager_id=manager_id)


class GraphGroup(Struct, frozen=True):
    id: GraphId
    display_name: str
    properties: Mapping[str, JsonValue] = msgspec.field(default_factory=dict)


class Assignment(Struct, frozen=True):
    """One `appRoleAssignedTo` row; the same principal appears once per role."""

    principal_id: GraphId
    principal_type: str
    """`User`, `Group` or `ServicePrincipal`; empty where Graph does not say."""
    app_role_id: str


@dataclass(frozen=True, slots=True)
class ListRead:
    """How one list was read: the proof that it is complete, or why it is not."""

    name: str
    """For example `users`, `appRoleAssignedTo`, `members:{group id}`."""
    pages: int
    items: int
    finished: bool
    """The last page had no nextLink, and no error or cap was met on the way."""
    expected_items: int | None = None
    """`@odata.count` or `/$count`, where Graph gives one."""
    detail: str = ""
    unidentified: int = 0
    """Rows without an object id: their subjects are not known."""
    cause: str = ""
    """What ended the list: equal for lists that ended for one reason."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """Everything a removal must rest on (design.md §5, rules 1 and 4)."""

    lists: tuple[ListRead, ...]
    token_roles: frozenset[str]
    missing_roles: frozenset[str] = frozenset()
    application_read: bool = True
    canary_read: bool = True
    """At least one known-good object could be read by itself."""
    delta_unbroken: bool = True
    faults: tuple[str, ...] = ()
    """Any other fault of the reading, in words for the admin."""
    not_before: datetime | None = None
    """When Graph may be read again, if it asked for a pause."""
    notes: tuple[str, ...] = ()
    """What the admin should know of a reading that proves absence all the same."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reading of everything or of some subjects, each read by itself: see `kind`.

    `members` and `nested_members` have an entry for every assigned group that was read,
    even an empty one.
    """

    taken_at: datetime
    """When reading began: nothing is taken from a row that changed here later."""
    kind: CycleKind
    service_principal_id: str
    users: Mapping[GraphId, GraphUser]
    """Every user that was listed, assigned or not (with `scope: assigned` at least the
    assigned ones).

    A list named `users` in `completeness` is the whole directory: only then does
    absence mean deletion.
    """
    groups: Mapping[GraphId, GraphGroup]
    """Assigned groups only."""
    assignments: tuple[Assignment, ...]
    members: Mapping[GraphId, frozenset[GraphId]]
    """Direct members (users and groups) by assigned group."""
    nested_members: Mapping[GraphId, frozenset[GraphId]]
    """Users found only by nesting, by assigned group; empty unless `membership:
    transitive`.
    """
    deleted: Mapping[GraphId, datetime]
    """Soft-deleted users and when (`directory/deletedItems`)."""
    completeness: Completeness
    deleted_users: Mapping[GraphId, GraphUser] = field(default_factory=dict)
    """Soft-deleted users with the identifiers they had."""
    unknown_grants: Mapping[GraphId, str] = field(default_factory=dict)
    """Assigned principals whose members are not all known, and why.

    Any user may have access through one of these.
    """

    @property
    def is_of_subjects(self) -> bool:
        """Return whether only some subjects were read: it says nothing about other
        subjects.
        """
        return self.kind in (CycleKind.ON_DEMAND, CycleKind.INCREMENTAL)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What Graph answered when one absentee (a user, or a group and its assignment) was
    re-read.
    """

    graph_id: GraphId | None
    """The object the answer is about; None if a search by `lookups` found none."""
    user_found: bool
    account_enabled: bool | None
    soft_deleted_at: datetime | None
    assigned_directly: bool | None
    assigned_by_group: bool | None
    at: datetime
    member_of: frozenset[GraphId] | None = None
    """The assigned groups that hold the user (by nesting too if the policy says so);
    None: not read.
    """
    readable: bool = True
    """False: the answer was neither found nor not found (403, 429, 5xx): nothing is
    known.
    """
    detail: str = ""
    unreadable_groups: frozenset[GraphId] = frozenset()
    """Assigned groups of which Graph does not say whether they hold the user."""


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


class LazyMapping(Mapping[str, JsonValue]):
    """The result of `work(*arguments)`, computed on access.

    It is always the same, so it may be forgotten and computed again.
    """

    __slots__ = ("_arguments", "_work")

    def __init__(self, work: Callable[..., dict[str, JsonValue]], *arguments: Any) -> None:
        self._work = work
        self._arguments = arguments

    @lru_cache(maxsize=CACHE_SIZE)  # noqa: B019 - of the thousands that come, a few are kept a little longer
    def whole(self) -> dict[str, JsonValue]:
        return self._work(*self._arguments)

    __hash__ = object.__hash__

    def __getitem__(self, name: str) -> JsonValue:
        return self.whole()[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.whole().get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def __len__(self) -> int:
        return len(self.whole())

    def __repr__(self) -> str:
        return repr(self.whole())


def forget_results() -> None:
    """Forget all computed results, and with them what they were computed from."""
    LazyMapping.whole.cache_clear()


def materialize(mapping: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return the mapping as a dictionary: a lazy one is computed once for many
    accesses.
    """
    return mapping.whole() if isinstance(mapping, LazyMapping) else mapping
