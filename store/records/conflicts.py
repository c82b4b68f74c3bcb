"""What the push did that a cycle has to look at: two accounts, or two people, and one
object id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from store.records.identifiers import GraphId


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


@dataclass(frozen=True, slots=True)
class PushConflict:
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
