"""Define what the store held when the cycle began, as the plan needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from store.records import Action, ConnectionId, GraphId, Group, GroupId, User, UserId
from store.records.drift import PushConflict


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the connection holds, even if only a part of it was loaded."""

    active_users: int
    groups: int
    memberships: int


@dataclass(frozen=True, slots=True)
class MappingVerdict:
    """What the mapping check said (identity.md, "The mapping is a fact")."""

    names_fit: bool
    """userName and externalId hold what the mapping gives: names may link."""
    misfits: frozenset[str]
    """SCIM paths that do not hold what the mapping gives: never written to everyone
    without a person's word.
    """
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Rows and memberships of a connection; deleted rows too, so that a returning user
    is recognised.

    It may be a part of what the store holds: what a `Focus` needs.
    """

    connection_id: ConnectionId
    users: Mapping[UserId, User]
    groups: Mapping[GroupId, Group]
    members: Mapping[GroupId, frozenset[str]]
    has_admin_elsewhere: bool = False
    """The tenant has an active admin besides these users: none of them is its last one.
    """
    directory_id: str | None = None
    """The directory of the connection: an object id of another proves nothing here."""
    last_read_at: datetime | None = None
    """Start of the last complete reading: every holder was there then."""
    mapping: MappingVerdict | None = None
    """What the last full reading said of the mapping; a full reading checks it anew."""
    settled: Collection[GraphId] = frozenset()
    """People whose accounts the push wrote and that were not loaded, since nothing
    about them changed: they hold what the mapping gives.
    """
    agreed: frozenset[str] = frozenset()
    """Accounts that were loaded and not written since they agreed with Entra: another
    value there is a change in Entra, and no doubt of the mapping.
    """
    contested: frozenset[str] = frozenset()
    """People who are in a match conflict by the last report; only where a part was
    loaded, which may have an account without a holder.
    """
    conflicts: tuple[PushConflict, ...] = ()
    """What the push did that is still to be looked at, or stands."""
    part_of: Totals | None = None
    """The base of a ceiling's percentage, if only a part was loaded; None: this is
    everything.
    """

    @property
    def totals(self) -> Totals:
        """Return how much the connection holds: counted here, unless only a part is
        here.
        """
        return self.part_of or Totals(
            active_users=sum(1 for row in self.users.values() if row.active and row.deleted_at is None),
            groups=sum(1 for row in self.groups.values() if row.deleted_at is None),
            memberships=sum(len(members) for members in self.members.values()),
        )


@dataclass(frozen=True, slots=True)
class History:
    """What the guard remembers of earlier cycles.

    The *baseline* is the last complete cycle that held nothing back (or whose held plan
    was approved). A cycle that was held as suspicious must not be what the next one is
    compared with: the same wrong reading given twice would pass.
    """

    last_good_counts: Mapping[str, int] = field(default_factory=dict)
    """`users`, `groups`, `memberships` entitled in the baseline; empty before the
    first.
    """
    last_token_roles: frozenset[str] | None = None
    last_scope_key: str | None = None
    """Scope, membership, application and filters of the baseline, as one string
    (`entitlement.scope_key`).
    """
    removals_last_24h: Mapping[Action, int] = field(default_factory=dict)
    """Removals by push and pull together, over the rolling window.

    A user that was deleted counts under DISABLE (both end a user's access); DELETE
    counts groups.
    """
    waiting: frozenset[str] = frozenset()
    """Removal keys (`Change.removal_key`) of rows in held plans: neither judged nor
    counted again.
    """
    accepted: Mapping[str, str] = field(default_factory=dict)
    """Removal keys that a person rejected, each with who decided and until when; not
    judged again either.
    """
    credential_changed_at: datetime | None = None
    restored_at: datetime | None = None
    last_complete_at: datetime | None = None
