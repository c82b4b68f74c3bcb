"""Differences between Entra and the store: findings of reports, conflicts of a push."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from store.records.actions import SubjectType
from store.records.identifiers import GraphId, JsonValue


class DriftKind(StrEnum):
    MISSED_DEPROVISION = "missed_deprovision"
    MISSED_PROVISION = "missed_provision"
    ATTRIBUTE_MISMATCH = "attribute_mismatch"
    MEMBERSHIP_MISSING = "membership_missing"
    MEMBERSHIP_EXTRA = "membership_extra"
    GROUP_MISSING = "group_missing"
    GROUP_EXTRA = "group_extra"
    LOCAL_ACCOUNT = "local_account"
    UNMATCHED_ACCOUNT = "unmatched_account"
    """Pushed, without a holder, and no user in Entra answers to it."""
    HOLDER_CHANGED = "holder_changed"
    SHARED_ANCHOR = "shared_anchor"
    ANCHOR_BROKEN = "anchor_broken"
    MAPPING_MISMATCH = "mapping_mismatch"
    MATCH_CONFLICT = "match_conflict"
    STATE_UNKNOWN = "state_unknown"


class Reason(StrEnum):
    """Why a person is not entitled (or a group not assigned)."""

    DISABLED = "disabled"
    SOFT_DELETED = "soft_deleted"
    PURGED = "purged"
    UNASSIGNED = "unassigned"
    OUT_OF_SCOPE = "out_of_scope"


class FindingState(StrEnum):
    OPEN = "open"
    REPAIRED = "repaired"
    HELD = "held"
    ACCEPTED = "accepted"
    """A removal that a person rejected: it stays until its facts change or the date
    that was chosen.
    """
    RESOLVED = "resolved"
    """Gone by itself since the last report."""


class DriftFinding(Struct, frozen=True):
    kind: DriftKind
    reason: Reason | None
    subject_type: SubjectType
    subject_id: str
    """Graph id where there is one, else the local id.

    With `kind` the identity over time.
    """
    subject_label: str
    before: Mapping[str, JsonValue]
    after: Mapping[str, JsonValue]
    first_seen: datetime
    state: FindingState
    evidence: Mapping[str, JsonValue] = field(default_factory=dict)


class ConflictKind(StrEnum):
    """How the push and an object id disagree (identity.md, W1 and W3)."""

    SECOND_ACCOUNT = "second_account"
    """A POST was refused: a live account has this object id already."""
    ANCHOR_BROKEN = "anchor_broken"
    """A PATCH or PUT was refused for the same reason: Entra never matches an account
    again that it is anchored to.
    """
    SHARED_ANCHOR = "shared_anchor"
    """The push ended the access of an account that stands for another person by now."""


class PushConflict(Struct, frozen=True):
    """A conflict as it is kept until it is over."""

    kind: ConflictKind
    account_id: str
    """The account that the request was about; empty for a POST."""
    object_id: GraphId
    """The person concerned: the one claimed, or the present holder."""
    other_id: str
    """The live account that has the object id; empty for a shared anchor."""
    at: datetime
    """When it happened last."""
    is_read: bool = False
    """A cycle has looked at it since."""

    @property
    def account_ids(self) -> frozenset[str]:
        """Return the accounts concerned."""
        return frozenset({self.account_id, self.other_id}) - {""}
