"""Find what cannot be written while another change is not.

A person has one account, and a name one owner: who is to have an account or a name
that another keeps would be refused by the store in each cycle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from store.records import Action, SubjectType, name_key
from worker.reconcile.plan import Change
from worker.reconcile.snapshot import materialize

_TAKING = frozenset({Action.CREATE, Action.RESTORE, Action.UPDATE})
"""Actions by which an account or a group gets a name."""
_NAMED_BY = {SubjectType.USER: "userName", SubjectType.GROUP: "displayName"}
"""Attributes of which each value has one owner in a connection."""
_NEW = frozenset({Action.CREATE, Action.RESTORE})
_GIVING_AN_ACCOUNT = _NEW | {Action.LINK, Action.CHANGE_HOLDER}
"""Actions by which a person gets an account; each person has one."""


@dataclass(slots=True)
class Followers:
    """What waits with changes that are not written now: a person has one account, and
    a name one owner.
    """

    rows: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    """People who keep the account that they have."""
    names: set[tuple[SubjectType, str]] = field(default_factory=set)
    """Types and keys of names that stay taken."""

    def leave(self, change: Change) -> None:
        """Note a change that is not written now."""
        if change.handed_over is not None:
            self.rows.add(change.handed_over)
        if change.action is Action.CHANGE_HOLDER:
            self.keep_person(change)
        if frees_a_name(change):
            self.keep_name(change)

    def keep_person(self, change: Change) -> None:
        """Note that the holder of a change of holder keeps the account."""
        if isinstance(holder := change.before.get("holder"), str):
            self.people.add(holder)

    def keep_people_of_followers(self, changes: Iterable[Change]) -> None:
        """Note who keeps an account since who is to have it keeps another."""
        known = -1
        while len(self.people) > known:
            known = len(self.people)
            for change in changes:
                if change.action is Action.CHANGE_HOLDER and change.subject.graph_id in self.people:
                    self.keep_person(change)

    def keep_name(self, change: Change) -> None:
        """Note that the account or group of a change keeps the name that it has."""
        subject = change.subject
        name = change.before.get(_NAMED_BY[subject.type])
        if _is_end_of_group(change):
            name = subject.label
        if name:
            self.names.add((subject.type, name_key(str(name))))

    def keep_names_of_followers(self, changes: Iterable[Change]) -> None:
        """Note the names of accounts that cannot be renamed since theirs is kept."""
        if not self.names:
            return
        left = [each for each in changes if each.action is Action.UPDATE]
        known = -1
        while len(self.names) > known:
            known, free = len(self.names), []
            for change in left:
                if self._takes_a_name(change):
                    self.keep_name(change)
                else:
                    free.append(change)
            left = free

    def wait(self, change: Change, *, may_take_names: bool = False) -> bool:
        """Return whether a change waits with one that was left; so do those on its
        row.

        `may_take_names`: not for its name, of which a person decides with it.
        """
        if change.action is Action.RETIRE or not (self.rows or self.people or self.names):
            return False
        member = change.member.local_id if change.member else None
        if self.rows.isdisjoint({change.subject.local_id, member}):
            is_kept = change.action in _GIVING_AN_ACCOUNT and change.subject.graph_id in self.people
            if not is_kept and (may_take_names or not self._takes_a_name(change)):
                return False
            if change.action in _GIVING_AN_ACCOUNT and change.subject.local_id is not None:
                self.rows.add(change.subject.local_id)
        if change.action is Action.CHANGE_HOLDER:
            self.leave(change)
        self.keep_name(change)
        return True

    def _takes_a_name(self, change: Change) -> bool:
        if not self.names or change.action not in _TAKING or change.member is not None:
            return False
        type_ = change.subject.type
        return (type_, name_key(str(materialize(change.after).get(_NAMED_BY[type_], "")))) in self.names


def frees_a_name(change: Change) -> bool:
    """Return whether an account or a group gives up its name by a change."""
    return change.action is Action.RELEASE_NAMES or _is_end_of_group(change)


def _is_end_of_group(change: Change) -> bool:
    return change.action is Action.DELETE and change.subject.type is SubjectType.GROUP
