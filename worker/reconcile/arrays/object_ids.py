"""Number object ids, so that millions of memberships are arrays of numbers, and sets of
people a byte for each.

A set of the members of a group takes 65 bytes a membership, an array 4. Sets are made
of a list when it is asked for, one group at a time.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Set
from functools import reduce
from itertools import compress
from operator import or_
from typing import Any

from store.records import GraphId


class _Numbers(dict[GraphId, int]):
    """Numbers by id; one that was not seen before gets the next."""

    def __init__(self, known: list[GraphId]) -> None:
        self._known = known

    def __missing__(self, graph_id: GraphId) -> int:
        number = self[graph_id] = len(self._known)
        self._known.append(graph_id)
        return number


class ObjectIds:
    """Object ids and their numbers, in the order in which they were first seen."""

    def __init__(self) -> None:
        self.known: list[GraphId] = []
        """The ids by their numbers."""
        self._numbers = _Numbers(self.known)
        self.number_of = self._numbers.__getitem__
        """Returns the number of an id, a new one where it was not seen before."""
        self.find: Callable[[Any], int | None] = self._numbers.get
        """Returns the number of an id, or None if it was never seen."""

    def flags(self, wanted: Collection[GraphId]) -> bytearray:
        """Return a 1 for the number of each id that is wanted, else a 0."""
        found = bytearray(len(self.known))
        if isinstance(wanted, IdFlags) and wanted.ids is self:
            found[: len(wanted.flags)] = wanted.flags
            return found
        for graph_id in wanted:
            if (number := self._numbers.get(graph_id)) is not None:
                found[number] = 1
        return found

    def number_all(self, wanted: Iterable[GraphId]) -> IdFlags:
        """Return these ids as flags; one that was never seen gets a number."""
        numbers = [self.number_of(graph_id) for graph_id in wanted]
        flags = IdFlags(self)
        for number in numbers:
            flags.flags[number] = 1
        return flags


class _IdSet(Set[GraphId]):
    """A set of ids; joined with a set of another kind it becomes a frozenset."""

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> frozenset[Any]:
        return frozenset(it)


class IdFlags(_IdSet):
    """Some of the known ids, as a byte for each: a set of them takes 65 bytes an id."""

    def __init__(self, ids: ObjectIds, flags: bytearray | None = None) -> None:
        self.ids = ids
        self.flags = bytearray(len(ids.known)) if flags is None else flags
        """By number; an id beyond the end is not in it."""

    def add(self, graph_id: GraphId) -> None:
        """Add an id; one that was never seen is left out."""
        number = self.ids.find(graph_id)
        if number is not None and number < len(self.flags):
            self.flags[number] = 1

    def __contains__(self, graph_id: object) -> bool:
        number = self.ids.find(graph_id)
        return number is not None and number < len(self.flags) and self.flags[number] == 1

    def __iter__(self) -> Iterator[GraphId]:
        return compress(self.ids.known, self.flags)

    def __len__(self) -> int:
        return self.flags.count(1)

    def __and__(self, other: Set[Any]) -> IdFlags:
        theirs = self.ids.flags(other)
        return IdFlags(self.ids, _flags_of(_bits(self.flags) & _bits(theirs), len(self.flags)))

    def __sub__(self, other: Set[Any]) -> IdFlags:
        ours, theirs = _bits(self.flags), _bits(self.ids.flags(other))
        return IdFlags(self.ids, _flags_of(ours & ~theirs, len(self.flags)))

    def __or__(self, other: Set[Any]) -> Set[Any]:
        if not isinstance(other, IdFlags) or other.ids is not self.ids:
            return super().__or__(other)  # it may hold ids without a number
        length = max(len(self.flags), len(other.flags))
        return IdFlags(self.ids, _flags_of(_bits(self.flags) | _bits(other.flags), length))


def _bits(flags: bytearray) -> int:
    return int.from_bytes(flags, "little")


def _flags_of(bits: int, length: int) -> bytearray:
    return bytearray(bits.to_bytes(length, "little"))


class UnitedIds(_IdSet):
    """The ids of several sets, which are not copied."""

    def __init__(self, *parts: Set[GraphId]) -> None:
        self._parts = parts

    def among(self, some: Set[GraphId]) -> Set[GraphId]:
        """Return those of some ids that are in it: at once where they are flags."""
        return reduce(or_, (some & part for part in self._parts))

    def __contains__(self, graph_id: object) -> bool:
        return any(graph_id in part for part in self._parts)

    def __iter__(self) -> Iterator[GraphId]:
        for place, part in enumerate(self._parts):
            earlier = self._parts[:place]
            yield from (each for each in part if not any(each in other for other in earlier))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class MemberLists(MutableMapping[GraphId, frozenset[GraphId]]):
    """The members of many groups, as arrays of numbers."""

    def __init__(self, ids: ObjectIds, lists: dict[GraphId, array[int]] | None = None) -> None:
        self.ids = ids
        self._lists = {} if lists is None else lists
        self._last: tuple[GraphId, frozenset[GraphId]] | None = None
        """The set that was made last: the plan asks for one group many times."""

    def __getitem__(self, group: GraphId) -> frozenset[GraphId]:
        if self._last is not None and self._last[0] == group:
            return self._last[1]
        members = frozenset(map(self.ids.known.__getitem__, self._lists[group]))
        self._last = group, members
        return members

    def __setitem__(self, group: GraphId, members: Iterable[GraphId]) -> None:
        self._lists[group] = array("I", map(self.ids.number_of, members))
        self._last = None

    def __delitem__(self, group: GraphId) -> None:
        del self._lists[group]
        self._last = None

    def __iter__(self) -> Iterator[GraphId]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)

    def __contains__(self, group: object) -> bool:
        return group in self._lists

    def only(self, groups: Iterable[GraphId]) -> MemberLists:
        """Return the lists of these groups."""
        return MemberLists(self.ids, {group: self._lists[group] for group in groups})

    def count_each(self) -> array[int]:
        """Return for each number how many of the groups hold it."""
        counts = array("I", bytes(4 * len(self.ids.known)))
        for numbers in self._lists.values():
            for number in numbers:
                counts[number] += 1
        return counts

    def count_of(self, people: Collection[GraphId]) -> int:
        """Return the number of memberships that these people have."""
        is_counted = self.ids.flags(people).__getitem__
        return sum(sum(map(is_counted, numbers)) for numbers in self._lists.values())

    def all_members(self) -> IdFlags:
        """Return all who are a member of some group."""
        found = bytearray(len(self.ids.known))
        for numbers in self._lists.values():
            for number in numbers:
                found[number] = 1
        return IdFlags(self.ids, found)

    def holding(self, member: GraphId) -> list[GraphId]:
        """Return the groups that hold a member."""
        number = self.ids.find(member)
        return [group for group, numbers in self._lists.items() if number in numbers]


class GroupCounts(Mapping[GraphId, int]):
    """By user, the number of groups that hold the user."""

    def __init__(self, users: Collection[GraphId], lists: MemberLists) -> None:
        self._users = users
        self._ids = lists.ids
        self._counts = lists.count_each()

    def __getitem__(self, user: GraphId) -> int:
        if user not in self._users:
            raise KeyError(user)
        number = self._ids.find(user)
        return 0 if number is None or number >= len(self._counts) else self._counts[number]

    def __iter__(self) -> Iterator[GraphId]:
        return iter(self._users)

    def __len__(self) -> int:
        return len(self._users)


Members = Mapping[GraphId, frozenset[GraphId]]


def members_of_any(members: Members) -> Set[GraphId]:
    """Return all who are a member of some group."""
    if isinstance(members, MemberLists):
        return members.all_members()
    return frozenset[GraphId]().union(*members.values())


def groups_holding(members: Members, member: GraphId) -> list[GraphId]:
    """Return the groups that hold a member."""
    if isinstance(members, MemberLists):
        return members.holding(member)
    return [group for group, people in members.items() if member in people]


def only_groups(members: Members, groups: Iterable[GraphId]) -> Members:
    """Return the members of these groups alone."""
    if isinstance(members, MemberLists):
        return members.only(groups)
    return {group: members[group] for group in groups}


def count_memberships(members: Members, people: Set[GraphId]) -> int:
    """Return the number of memberships that these people have."""
    if isinstance(members, MemberLists):
        return members.count_of(people)
    # Subtract the others, for they are few.
    return sum(len(inside) - len(inside - people) for inside in members.values())


def count_groups(members: Members, people: Set[GraphId]) -> Mapping[GraphId, int]:
    """Return the number of groups that hold each of these people."""
    if isinstance(members, MemberLists):
        return GroupCounts(people, members)
    held = Counter(member for inside in members.values() for member in inside)
    return {graph_id: held.get(graph_id, 0) for graph_id in people}
