"""The one way to write users, groups and memberships.

Belongs here: every write of them, and what must be written in the same transaction:
provisioning log, events, revoked sessions. `perform` is the whole interface,
`perform_within` the same in the caller's transaction. Does not belong here: the
decision whether a change should happen.
"""

from store.lifecycle.perform import perform, perform_within

__all__ = ["perform", "perform_within"]
