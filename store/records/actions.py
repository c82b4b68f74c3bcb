"""Actions, their origin, their subject and their status."""

from __future__ import annotations

from enum import StrEnum


class Origin(StrEnum):
    """The source of a fact."""

    SCIM = "scim"
    GRAPH = "graph"
    CONSOLE = "console"
    API = "api"


DIRECTORY = frozenset({Origin.SCIM, Origin.GRAPH})
"""Origins that are Entra, by push or by pull.

A row from Entra stays Entra's when it is edited here.
"""


class Action(StrEnum):
    """What a change does.

    The first four are also the actions of Entra's provisioning log.
    """

    CREATE = "create"
    UPDATE = "update"
    DISABLE = "disable"
    DELETE = "delete"
    ENABLE = "enable"
    RESTORE = "restore"
    """A user that was deleted here is back: the same row, the same history."""
    LINK = "link"
    """A local row is linked to an Entra object."""
    CHANGE_HOLDER = "change_holder"
    """Entra gave the account to another person: every key of the earlier one ends."""
    RELEASE_NAMES = "release_names"
    """An account whose person is gone gives up its names, and access if it has any."""
    RETIRE = "retire"
    """A second account of a person gives up its names, its access and the person."""
    SEAL = "seal"
    """Keys end, history is hidden and marks are suspended until the person is known."""
    UNSEAL = "unseal"
    """The person of an account that the push enabled without proof was seen again."""
    ADD_MEMBER = "add_member"
    REMOVE_MEMBER = "remove_member"
    OTHER = "other"


REMOVALS = frozenset(
    {Action.DISABLE, Action.DELETE, Action.RELEASE_NAMES, Action.RETIRE, Action.REMOVE_MEMBER}
)
"""Actions that take something away from a person (design.md §5, Safety)."""

GUARDED = REMOVALS | {Action.CHANGE_HOLDER}
"""Actions that the ceilings limit: removals, and what ends every key of a holder."""


class PushRemoval(StrEnum):
    """What a push takes away, each kind with a brake of its own."""

    USERS = "users"
    GROUPS = "groups"
    MEMBERSHIPS = "memberships"


class LogStatus(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    SKIPPED = "skipped"
    WARNING = "warning"


class SubjectType(StrEnum):
    USER = "user"
    GROUP = "group"
