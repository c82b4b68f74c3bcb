"""Know which changes of a plan wait with another one that is not written now.

| not written                | then these wait                                       |
|----------------------------|-------------------------------------------------------|
| an account is given to     | all that is planned for the account, and the new      |
| another person             | account of the person who has it now                  |
| the other account of a     | all that is planned for the account that stays        |
| person is retired          |                                                       |
| an account gives up its    | whoever is to have the name: a new account, one that  |
| names                      | comes back, one that is renamed                       |

A membership waits with its member. The store would refuse these changes one by one: a
person has one account, and a name one owner.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from store.records import Action, name_key
from worker.reconcile.lazy_mapping import materialize
from worker.reconcile.plan import Change

_TAKING = frozenset({Action.CREATE, Action.RESTORE, Action.UPDATE})
"""Actions by which an account gets a name."""
_NEW = frozenset({Action.CREATE, Action.RESTORE})


@dataclass(slots=True)
class Followers:
    """What waits, as changes are looked at in the plan's order."""

    rows: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    """People who keep the account that they have."""
    names: set[str] = field(default_factory=set)
    """Keys of userNames that stay taken."""

    def leave(self, change: Change) -> None:
        """Note a change that is not written now."""
        if change.handed_over is not None:
            self.rows.add(change.handed_over)
        if change.action is Action.CHANGE_HOLDER and isinstance(holder := change.before.get("holder"), str):
            self.people.add(holder)
        if change.action is Action.RELEASE_NAMES:
            self.names.add(name_key(str(change.before.get("userName"))))

    def wait(self, change: Change) -> bool:
        """Return whether a change waits with one that was left; so do those on its
        row.
        """
        if change.handed_over is not None or not (self.rows or self.people or self.names):
            return False
        member = change.member.local_id if change.member else None
        if not self.rows.isdisjoint({change.subject.local_id, member}):
            return True
        is_kept = change.action in _NEW and change.subject.graph_id in self.people
        if not is_kept and not self._takes_a_name(change):
            return False
        if change.action in _NEW and change.subject.local_id is not None:
            self.rows.add(change.subject.local_id)
        return True

    def _takes_a_name(self, change: Change) -> bool:
        if not self.names or change.action not in _TAKING or change.member is not None:
            return False
        return name_key(str(materialize(change.after).get("userName", ""))) in self.names
