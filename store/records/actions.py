"""What is done, to what, by whom, and how it went."""

from __future__ import annotations

from enum import StrEnum


class Origin(StrEnum):
    """Who wrote a fact."""

    SCIM = "scim"
    GRAPH = "graph"
    CONSOLE = "console"
    API = "api"


DIRECTORY = frozenset({Origin.SCIM, Origin.GRAPH})
"""Origins that are Entra, by push or by pull: a row that came from there stays Entra's, whoever edits it here."""


class Action(StrEnum):
    """What a change does; the first four are also the actions of Entra's provisioning log."""

    CREATE = "create"
    UPDATE = "update"
    DISABLE = "disable"
    DELETE = "delete"
    ENABLE = "enable"
    RESTORE = "restore"
    """A person who was deleted here is back: the same row, the same history."""
    LINK = "link"
    """A local row is recognised as an Entra object."""
    ADD_MEMBER = "add_member"
    REMOVE_MEMBER = "remove_member"
    OTHER = "other"


REMOVALS = frozenset({Action.DISABLE, Action.DELETE, Action.REMOVE_MEMBER})
"""Actions that take something away from a person (design.md §5, Safety)."""


class LogStatus(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    SKIPPED = "skipped"
    WARNING = "warning"


class SubjectType(StrEnum):
    USER = "user"
    GROUP = "group"
