"""Define the plan: all changes that would remove the drift, ordered, with a
checksum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

import msgspec
from msgspec import Struct

from store.records import REMOVALS, Action, ConnectionId, DriftKind, GraphId, JsonValue, Reason, SubjectType
from store.records.drift import PushConflict
from worker.reconcile.snapshot import materialize
from worker.reconcile.state import MappingVerdict

UNREPORTED = frozenset({Action.LINK, Action.SEAL, Action.UNSEAL})
"""Actions that repair no drift: they note who an account stands for."""

_ENDING_ACCESS = frozenset({Action.RELEASE_NAMES, Action.RETIRE})

_NO_RISKS: Mapping[str, str] = {}
_NOTHING: Mapping[str, JsonValue] = {}
"""Shared by all changes without values: a first cycle plans half a million of them."""


class Subject(Struct, frozen=True):
    type: SubjectType
    graph_id: GraphId | None
    local_id: str | None
    """The row's id; for a create, the id the row will get.

    It is deterministic, so that a replay creates nothing twice.
    """
    label: str
    """userName or displayName, for people to read."""

    @property
    def key(self) -> str:
        """Return the key of evidence and findings: the Graph id if there is one, else
        the row id.
        """
        return self.graph_id or self.local_id or ""

    def to_json(self) -> dict[str, JsonValue]:
        return {
            "type": self.type,
            "graph_id": self.graph_id,
            "local_id": self.local_id,
            "label": self.label,
        }


class Change(Struct, frozen=True):
    """One change. `before` and `after` hold flat SCIM paths, as `emails[type eq
    "work"].value`.

    For ADD_MEMBER and REMOVE_MEMBER `subject` is the group and `member` the user (or
    nested group), `after` and `before` are empty. One row may have several changes
    (LINK, UPDATE, ENABLE): `expected_version` is the row's version when the plan was
    made, for all of them; the code that applies them carries the version forward from
    outcome to outcome.
    """

    kind: DriftKind
    """The kind of drift it repairs.

    A LINK repairs none and is not reported; its kind is ATTRIBUTE_MISMATCH.
    """
    action: Action
    subject: Subject
    reason: Reason | None = None
    member: Subject | None = None
    before: Mapping[str, JsonValue] = msgspec.field(default_factory=lambda: _NOTHING)
    after: Mapping[str, JsonValue] = msgspec.field(default_factory=lambda: _NOTHING)
    expected_version: int | None = None
    note: str = ""
    """For example `nested: Entra does not provision these`."""
    claimants: tuple[GraphId, ...] = ()
    """Who answers to an account without a holder: the removal counts only if each of
    them, asked for alone, is not entitled (identity.md, W8).
    """
    hold_reason: str = ""
    """Why this removal always waits for a person, in a sentence."""

    @property
    def person(self) -> Subject | None:
        """Return the user who loses or gains access: the member, else the user.

        None for a group as a whole.
        """
        if self.member is not None:
            return self.member if self.member.type is SubjectType.USER else None
        return self.subject if self.subject.type is SubjectType.USER else None

    @property
    def removal_key(self) -> str:
        """Identify what a person is asked about over time: action, rows and reason.

        A new reason is a new fact. An update is known by its values: other values are
        another question.
        """
        if self.action is Action.UPDATE:
            values = hashlib.sha256(canonical(dict(materialize(self.after)))).hexdigest()[:16]
            return f"{self.action}:{self.subject.local_id}::{values}"
        member = (self.member.local_id or self.member.key) if self.member else ""
        return f"{self.action}:{self.subject.local_id}:{member}:{self.reason or ''}"

    @property
    def removal_kind(self) -> RemovalKind:
        """Return the kind under which a removal counts.

        An account that gives up its names, or is retired, loses its access.
        """
        action = Action.DISABLE if self.action in _ENDING_ACCESS else self.action
        return action, self.subject.type

    @property
    def handed_over(self) -> str | None:
        """Return the row that the change gives to another person: what else is planned
        for it is that person's.
        """
        if self.action is Action.CHANGE_HOLDER:
            return self.subject.local_id
        return str(self.after["successor"]) if self.action is Action.RETIRE else None

    @property
    def departed(self) -> GraphId | None:
        """Return the earlier holder on whose absence a change of holder rests; None
        where the holder lives, and the push withdrew a link by names.
        """
        is_departure = self.action is Action.CHANGE_HOLDER and self.before.get("isGone") is True
        return GraphId(str(self.before["holder"])) if is_departure else None

    @property
    def absentee(self) -> Subject | None:
        """Return the subject to re-read before the change: the user, the group to
        delete, or the nested group to take out.
        """
        if self.action is Action.REMOVE_MEMBER:
            return self.member
        return self.subject if self.member is None and self.action in REMOVALS else self.person

    @property
    def absentee_keys(self) -> tuple[str, ...]:
        """Return the keys of the evidence that the change rests on."""
        if self.claimants:
            return self.claimants
        if self.action is Action.CHANGE_HOLDER:
            return (self.departed,) if self.departed else ()
        return (self.absentee.key,) if self.absentee else ()

    def to_json(self) -> dict[str, JsonValue]:
        return {
            "kind": self.kind,
            "action": self.action,
            "subject": self.subject.to_json(),
            "reason": self.reason,
            "member": self.member.to_json() if self.member else None,
            "before": dict(self.before),
            "after": dict(materialize(self.after)),
            "expected_version": self.expected_version,
            "note": self.note,
            "claimants": list(self.claimants),
            "hold_reason": self.hold_reason,
        }


class Finding(Struct, frozen=True):
    """Drift that no change repairs by itself: `local_account`, `match_conflict`, a
    protected leaver.
    """

    kind: DriftKind
    subject: Subject
    detail: str
    candidates: tuple[str, ...] = ()
    reason: Reason | None = None

    def to_json(self) -> dict[str, JsonValue]:
        return {
            "kind": self.kind,
            "subject": self.subject.to_json(),
            "detail": self.detail,
            "candidates": list(self.candidates),
            "reason": self.reason,
        }


class Absentee(Struct, frozen=True):
    """A user to be removed or a group to be deleted, re-read by itself in Graph first.

    With `subject.graph_id` the object is read by id. Without (pushed by Entra, purged
    before the first pull) it is searched: each of `lookups` is a Graph property and its
    value, ORed in one `$filter`; the user is gone only if no object matches any of
    them. The answer is filed under `subject.key`.
    """

    subject: Subject
    lookups: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        return {"subject": self.subject.to_json(), "lookups": [list(lookup) for lookup in self.lookups]}


@dataclass(frozen=True)
class Plan:
    """`changes` are in order of application: links, what frees names, what takes them,
    removals.

    In full: links; users updated, created or restored, enabled; groups deleted,
    updated, created; members added; users disabled; members removed.
    """

    connection_id: ConnectionId
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()
    absentees: tuple[Absentee, ...] = ()
    """Users and groups to confirm before anything is removed; sorted by key."""
    made_at: datetime | None = None
    again: frozenset[str] = frozenset()
    """Row ids left unchanged because they changed here after reading began, or because
    of another row.

    The next increment compares them again.
    """
    unsettled: frozenset[str] = frozenset()
    """Row ids that hold other values than the mapping gives, which are not written: the
    next full cycle compares them again.
    """
    missing_holders: frozenset[str] = field(default=frozenset(), compare=False)
    """Row ids of accounts whose holder is no longer a user of the directory."""
    agreed_names: Mapping[str, tuple[str, str | None]] = field(default_factory=dict, compare=False)
    """userName and externalId of rows in which both sides agree, to be noted."""
    looked_at: tuple[PushConflict, ...] = field(default=(), compare=False)
    """The conflicts of the push that were judged."""
    standing: frozenset[PushConflict] = field(default=frozenset(), compare=False)
    """Those of them that are not over."""
    mapping: MappingVerdict | None = field(default=None, compare=False)
    """What a full reading said of the mapping."""

    @cached_property
    def checksum(self) -> str:
        """Return the SHA-256 over canonical JSON of `connection_id` and `changes`."""
        digest = hashlib.sha256(canonical(self.connection_id))
        for change in self.changes:
            digest.update(b"\n" + canonical(change.to_json()))
        return digest.hexdigest()

    def subset(self, changes: Iterable[Change]) -> Plan:
        """Return a plan of some of the changes, with their absentees and its own
        checksum.
        """
        kept = tuple(changes)
        keys = {key for change in kept for key in change.absentee_keys}
        absentees = tuple(absentee for absentee in self.absentees if absentee.subject.key in keys)
        return replace(self, changes=kept, findings=(), absentees=absentees)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the whole plan as JSON; `plan_json.plan_from_json` reads it back."""
        return {
            "connection_id": self.connection_id,
            "checksum": self.checksum,
            "made_at": self.made_at.isoformat() if self.made_at else None,
            "changes": [change.to_json() for change in self.changes],
            "findings": [finding.to_json() for finding in self.findings],
            "absentees": [absentee.to_json() for absentee in self.absentees],
        }


def canonical(value: JsonValue) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, ASCII; equal values give equal
    bytes.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


RemovalKind = tuple[Action, SubjectType]

ALL_REMOVALS: frozenset[RemovalKind] = frozenset(
    {
        (Action.DISABLE, SubjectType.USER),
        (Action.DELETE, SubjectType.USER),
        (Action.CHANGE_HOLDER, SubjectType.USER),
        (Action.REMOVE_MEMBER, SubjectType.GROUP),
        (Action.DELETE, SubjectType.GROUP),
    }
)


class Decision(StrEnum):
    APPLY = "apply"
    HOLD_REMOVALS = "hold_removals"
    """Additions, updates and unrelated removals go on; the removals that a rule names
    wait for a person.
    """
    ADD_ONLY = "add_only"
    """The snapshot is incomplete: removals are dropped, not held; the next complete
    cycle finds them again.
    """
    REPORT_ONLY = "report_only"


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    reasons: tuple[str, ...]
    """Sentences with numbers, as `18 of 120 users would be disabled: the ceiling is
    10`.
    """
    over_ceiling: frozenset[RemovalKind] = ALL_REMOVALS
    """With `hold_removals`: kinds of which every removal waits."""
    doubtful: frozenset[RemovalKind] = frozenset()
    """With `hold_removals`: kinds of which a removal waits unless Graph, asked for that
    object alone, says that it is disabled or deleted. A list that shrank says nothing
    about such an object.
    """
    waiting: frozenset[str] = frozenset()
    """Removal keys of rows in a held plan: they go on waiting there."""
    accepted: Mapping[str, str] = field(default_factory=lambda: _NO_RISKS)
    """Removal keys that a person rejected, each with who decided and until when."""
    mass_updated: frozenset[str] = frozenset()
    """SCIM paths that would change for most people at once: updates of them wait."""

    def withholds(self, change: Change) -> bool:
        """Return whether a change that takes no access waits for a person all the
        same, or was decided: an update of most people.
        """
        if change.action is not Action.UPDATE:
            return False
        if not self.mass_updated.isdisjoint(change.before):
            return True
        return bool(self.waiting or self.accepted) and (
            change.removal_key in self.waiting or change.removal_key in self.accepted
        )


@dataclass(frozen=True, slots=True)
class Dropped:
    """A change that this cycle neither applies nor holds, and why."""

    change: Change
    why: str
    is_refuted: bool = False
    """Re-read by itself, the user is entitled: there is no such drift."""
    is_follower: bool = False
    """It was not decided itself: it waits for another change that was rejected."""


@dataclass(frozen=True, slots=True)
class PlanPartition:
    """The parts of a plan: each change is in exactly one of `apply`, `hold`,
    `dropped`, `waiting`, `accepted`.
    """

    apply: tuple[Change, ...]
    hold: Plan | None
    """The removals that wait for a person, as a plan with its own checksum; None if
    none waits.
    """
    dropped: tuple[Dropped, ...]
    reasons: tuple[str, ...]
    """Why something is held or dropped, in sentences: the verdict's, and what evidence
    added.
    """
    hold_keys: tuple[str, ...] = ()
    """Removal keys of `hold.changes` as the listing gave them: the re-reading may have
    found a closer reason.
    """
    waiting: tuple[Change, ...] = ()
    """Removals of an earlier cycle's held plan that are still due: they stay there."""
    accepted: tuple[Dropped, ...] = ()
    """Removals that a person rejected, each with who decided and until when."""
    followers: tuple[Change, ...] = ()
    """Of `waiting` and `accepted`, those that only wait for another change: what frees
    their name or account, here or by a push, is for the next increment to see.
    """

    @property
    def is_refuted(self) -> bool:
        """Return whether a user who seemed gone was found entitled.

        The reading as a whole is then not to be relied on.
        """
        return any(dropped.is_refuted for dropped in self.dropped)
