"""The types of events, each with its subject and the fields of its data.

docs/events.md shows an example of each; a test compares it with what is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from store.records.actions import Action


@dataclass(frozen=True, slots=True)
class EventType:
    """What an event of one type is about."""

    subject: str
    """The noun that `subject_id` identifies."""
    sentence: str


_USER = "user"

EVENT_TYPES: Mapping[str, EventType] = {
    "user.provisioned": EventType(_USER, "An account was created."),
    "user.updated": EventType(_USER, "An account changed: attributes, names, links or marks."),
    "user.deprovisioned": EventType(_USER, "A person lost access: end everything that they hold."),
    "user.reactivated": EventType(_USER, "A person has access again."),
    "user.deleted": EventType(_USER, "An account was deleted: end everything that the person holds."),
    "user.holder_changed": EventType(
        _USER, "The account belongs to another person now: end everything that the earlier one holds."
    ),
    "group.created": EventType("group", "A group was created."),
    "group.updated": EventType("group", "A group changed."),
    "group.deleted": EventType("group", "A group was deleted, and its memberships with it."),
    "membership.added": EventType("group", "Members joined a group."),
    "membership.removed": EventType("group", "Members left a group."),
    "session.revoked": EventType(_USER, "Sessions and tokens of a person ended; `data` has the receipt."),
    "drift.found": EventType("cycle", "A cycle found differences that were not known before."),
    "plan.held": EventType("plan", "Removals wait for a person's decision."),
    "plan.decided": EventType("plan", "A person approved or rejected a held plan."),
    "plan.expired": EventType("plan", "No one decided on a held plan in time; it will be planned anew."),
    "connection.unhealthy": EventType("connection", "A connection cannot work until a person acts."),
    "connection.recovered": EventType("connection", "A connection works again."),
    "connection.mapping_changed": EventType("connection", "The attribute mapping has a new version."),
    "credential.ending": EventType(
        "connection", "The credential for Microsoft Graph ends soon, or has ended."
    ),
    "token.ending": EventType("token", "An API token stops working soon."),
    "push.braked": EventType("connection", "The push was slowed or stopped by a brake."),
}
"""Every type that is written."""

DIRECTORY_EVENTS = frozenset({"user", "group", "membership"})
"""Families of events about rows of the directory: one for each change of a row."""

REVOCATIONS = ("user.deprovisioned", "user.deleted", "user.holder_changed", "session.revoked")
"""Events that the vendor's app must act upon, and whose delivery is watched."""


def family(event_type: str) -> str:
    """Return the part before the dot."""
    return event_type.partition(".")[0]


_OF_ACTION: Mapping[Action, str] = {
    Action.CREATE: "user.provisioned",
    Action.DISABLE: "user.deprovisioned",
    Action.ENABLE: "user.reactivated",
    Action.RESTORE: "user.reactivated",
    Action.DELETE: "user.deleted",
    Action.CHANGE_HOLDER: "user.holder_changed",
}
"""Any other action on an account is an update of it."""


def user_event(action: Action, *, ends_access: bool, is_active: bool) -> str:
    """Return what a listener is told of a change of an account.

    One that gives up its names with its access is told as the end of access, one that
    is restored without access as an update.
    """
    if action in (Action.RELEASE_NAMES, Action.RETIRE) and ends_access:
        return "user.deprovisioned"
    if action is Action.RESTORE and not is_active:
        return "user.updated"
    return _OF_ACTION.get(action, "user.updated")
