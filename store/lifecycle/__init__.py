"""The one door by which people and groups come, change and go.

Belongs here: everything that writes users, groups, memberships, and what must be written with them in the same
transaction: provisioning log, events, revoked sessions. `perform` is the whole interface.
Does not belong here: deciding whether a change should happen.
"""

from store.lifecycle.perform import perform

__all__ = ["perform"]
