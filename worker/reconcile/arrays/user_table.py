"""Hold the users of a whole directory in arrays.

As objects a million users take two gigabytes, and a cycle that finds nothing to change
asks of each only state, digest and manager. A user becomes a `GraphUser` when it is
asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from itertools import compress

from store.records import GraphId, JsonValue
from worker.reconcile.arrays.object_ids import IdFlags, ObjectIds
from worker.reconcile.snapshot import GraphUser, LazyMapping

DIGEST_BYTES = 16
_NOT_LISTED, _DISABLED, _ENABLED, _UNKNOWN = range(4)
_NO_MANAGER, _NOT_TOLD = -1, -2
_ROOM = 1_000
"""Rows by which the arrays grow at least."""


class UserTable(Mapping[GraphId, GraphUser]):
    """Users by object id; arrays by the numbers of the ids."""

    def __init__(self, ids: ObjectIds, properties: Callable[[int], dict[str, JsonValue]]) -> None:
        """Make an empty table.

        `properties` reads those of a user by the place that `put` was given.
        """
        self.ids = ids
        self._properties = properties
        self._states = bytearray()
        self._digests = bytearray()
        self._managers = array("i")
        self._places = array("Q")
        self._others: dict[int, GraphUser] = {}
        """Users that did not decode as the others do."""
        self._listed = 0

    def put(
        self, graph_id: GraphId, is_enabled: bool, manager_id: GraphId | None, digest: bytes, place: int
    ) -> None:
        """Add a user, in place of an earlier one with this id."""
        number = self._make_room(graph_id)
        if self._others:
            self._others.pop(number, None)
        self._states[number] = _ENABLED if is_enabled else _DISABLED
        self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES] = digest
        self._managers[number] = self.ids.number_of(manager_id) if manager_id else _NO_MANAGER
        self._places[number] = place

    def put_other(self, user: GraphUser) -> None:
        """Add a user who is no row of the arrays."""
        number = self._make_room(user.id)
        self._others[number] = user
        self._states[number] = _state_of(user)

    def set_managers(self, asked: Set[GraphId], managers: ManagerTable) -> list[GraphId]:
        """Note the managers of listed users; return the enabled ones about which
        nothing is said.
        """
        # Written out for speed: it runs for each user of the directory.
        known, states, others, ours = self.ids.known, self._states, self._others, self._managers
        untold: list[GraphId] = []
        told = managers.by_number(len(states))
        for number in compress(range(len(states)), self.ids.flags(asked)):
            manager = told[number]
            if manager < 0 or not states[number]:
                if manager == _NOT_TOLD and states[number] == _ENABLED:
                    untold.append(known[number])
            elif others and number in others:
                others[number] = others[number].with_manager(known[manager])
            else:
                ours[number] = manager
        return untold

    def forget_state(self, graph_id: GraphId, why: str) -> None:
        """Note that a user's state counts as unknown, and why."""
        self.put_other(self[graph_id].without_state(why))

    def __getitem__(self, graph_id: GraphId) -> GraphUser:
        number = self._number(graph_id)
        if other := self._others.get(number):
            return other
        return GraphUser(
            self.ids.known[number],
            self._states[number] == _ENABLED,
            LazyMapping(self._properties, self._places[number]),
            self._manager(number),
            self._digest(number),
        )

    def __contains__(self, graph_id: object) -> bool:
        return self._find(graph_id) is not None

    def __iter__(self) -> Iterator[GraphId]:
        return compress(self.ids.known, self._states)

    def __len__(self) -> int:
        return self._listed

    def in_state(self, is_enabled: bool | None) -> IdFlags:
        """Return the users that are enabled, disabled, or (None) of unknown state."""
        state = {True: _ENABLED, False: _DISABLED, None: _UNKNOWN}[is_enabled]
        return IdFlags(self.ids, self._states.translate(bytes(each == state for each in range(256))))

    def digest_and_manager(self, graph_id: GraphId) -> tuple[str, GraphId | None]:
        """Return digest and manager of a listed user, without the rest."""
        # Written out for speed: it runs for each user in every full cycle.
        number = self.ids.find(graph_id)
        if number is None or number >= len(self._states) or not self._states[number]:
            raise KeyError(graph_id)
        if self._others and (other := self._others.get(number)):
            return other.digest, other.manager_id
        manager, start = self._managers[number], number * DIGEST_BYTES
        manager_id = None if manager == _NO_MANAGER else self.ids.known[manager]
        return self._digests[start : start + DIGEST_BYTES].hex(), manager_id

    def managers(self) -> frozenset[GraphId]:
        """Return all who are the manager of a listed user."""
        known = self.ids.known
        of_rows = {known[number] for number in set(self._managers) if number != _NO_MANAGER}
        return frozenset(of_rows.union(u.manager_id for u in self._others.values() if u.manager_id))

    def _digest(self, number: int) -> str:
        return self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES].hex()

    def _manager(self, number: int) -> GraphId | None:
        manager = self._managers[number]
        return None if manager == _NO_MANAGER else self.ids.known[manager]

    def _find(self, graph_id: object) -> int | None:
        number = self.ids.find(graph_id)
        is_listed = number is not None and number < len(self._states) and self._states[number]
        return number if is_listed else None

    def _number(self, graph_id: GraphId) -> int:
        number = self._find(graph_id)
        if number is None:
            raise KeyError(graph_id)
        return number

    def _make_room(self, graph_id: GraphId) -> int:
        number = self.ids.number_of(graph_id)
        if number >= len(self._states):
            more = max(len(self.ids.known) - len(self._states), _ROOM)
            self._states.extend(bytes(more))
            self._digests.extend(bytes(more * DIGEST_BYTES))
            self._managers.extend([_NO_MANAGER] * more)
            self._places.extend([0] * more)
        if self._states[number] == _NOT_LISTED:
            self._listed += 1
        return number


class ManagerTable(Mapping[GraphId, GraphId | None]):
    """By user, the manager that Graph named, and None for none, as an array by the
    numbers of the ids: a dict of them takes 170 bytes a person.
    """

    def __init__(self, ids: ObjectIds) -> None:
        self._ids = ids
        self._managers = array("i")

    def put(self, graph_id: GraphId, manager_id: GraphId | None) -> None:
        """Note the manager of a user."""
        number = self._ids.number_of(graph_id)
        manager = self._ids.number_of(manager_id) if manager_id else _NO_MANAGER
        if number >= len(self._managers):
            more = max(len(self._ids.known) - len(self._managers), _ROOM)
            self._managers.extend([_NOT_TOLD] * more)
        self._managers[number] = manager

    def by_number(self, length: int) -> array[int]:
        """Return the numbers of the managers, for so many users at least."""
        return self._managers + array("i", [_NOT_TOLD]) * (length - len(self._managers))

    def __getitem__(self, graph_id: GraphId) -> GraphId | None:
        number = self._ids.find(graph_id)
        if number is None or number >= len(self._managers) or self._managers[number] == _NOT_TOLD:
            raise KeyError(graph_id)
        manager = self._managers[number]
        return None if manager == _NO_MANAGER else self._ids.known[manager]

    def __iter__(self) -> Iterator[GraphId]:
        return compress(self._ids.known, map(_NOT_TOLD.__ne__, self._managers))

    def __len__(self) -> int:
        return len(self._managers) - self._managers.count(_NOT_TOLD)


def _state_of(user: GraphUser) -> int:
    if user.account_enabled is None:
        return _UNKNOWN
    return _ENABLED if user.account_enabled else _DISABLED


Users = Mapping[GraphId, GraphUser]


def users_in_state(users: Users, is_enabled: bool | None) -> Set[GraphId]:
    """Return the users that are enabled, disabled, or (None) of unknown state."""
    if isinstance(users, UserTable):
        return users.in_state(is_enabled)
    return {graph_id for graph_id, user in users.items() if user.account_enabled is is_enabled}


def id_flags(users: Users) -> IdFlags | set[GraphId]:
    """Return an empty set for ids of these users, small where they lie in arrays."""
    return IdFlags(users.ids) if isinstance(users, UserTable) else set()


DigestReader = Callable[[GraphId], tuple[str, GraphId | None]]


def digest_reader(users: Users) -> DigestReader:
    """Return what gives digest and manager of a user."""
    if isinstance(users, UserTable):
        return users.digest_and_manager

    def read(graph_id: GraphId) -> tuple[str, GraphId | None]:
        user = users[graph_id]
        return user.digest, user.manager_id

    return read


def managers_of(users: Users) -> frozenset[GraphId]:
    """Return all who are the manager of one of these users."""
    if isinstance(users, UserTable):
        return users.managers()
    return frozenset(user.manager_id for user in users.values() if user.manager_id)


def reports_of(users: Users, managers: Collection[GraphId]) -> Iterator[GraphId]:
    """Yield the users who have one of these managers."""
    if not managers:
        return
    read = digest_reader(users)
    for graph_id in users:
        if read(graph_id)[1] in managers:
            yield graph_id
