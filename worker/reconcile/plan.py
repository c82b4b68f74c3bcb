"""The plan: all changes that would remove the drift. Frozen, totally ordered, with a checksum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from store.records import Action, ConnectionId, DriftKind, GraphId, JsonValue, Reason, SubjectType


@dataclass(frozen=True, slots=True)
class Subject:
    type: SubjectType
    graph_id: GraphId | None
    local_id: str | None
    """Our row's id; for a create, the id the row will get (deterministic, so that a replay creates nothing twice)."""
    label: str
    """userName or displayName, for people to read."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `before` and `after` hold flat SCIM attribute paths (`name.givenName`, `emails[type eq "work"].value`).

    For ADD_MEMBER and REMOVE_MEMBER `subject` is the group and `member` the person; `after`/`before` are empty.
    """

    kind: DriftKind
    action: Action
    subject: Subject
    reason: Reason | None = None
    member: Subject | None = None
    before: Mapping[str, JsonValue] = field(default_factory=dict)
    after: Mapping[str, JsonValue] = field(default_factory=dict)
    expected_version: int | None = None
    note: str = ""
    """For example `nested: Entra does not provision these`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Drift that no change repairs by itself: `local_account`, `match_conflict`."""

    kind: DriftKind
    subject: Subject
    detail: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes` are in order of application: links, creates, updates, enables, groups, adds, then removals."""

    connection_id: ConnectionId
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    absentees: tuple[GraphId, ...]
    """People to be confirmed one by one before anything is taken from them; sorted."""
    checksum: str
    """SHA-256 over the canonical JSON of `connection_id` and `changes`."""


class Decision(StrEnum):
    APPLY = "apply"
    HOLD_REMOVALS = "hold_removals"
    """Additions and updates go on; the removals wait for a person."""
    ADD_ONLY = "add_only"
    """The snapshot is not whole: removals are dropped, not held; the next complete cycle finds them again."""
    REPORT_ONLY = "report_only"


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    reasons: tuple[str, ...]
    """Sentences with numbers: `18 of 120 users would be disabled (15.0 %), the ceiling is 10 %`."""
