"""Errors of the store, by what to do next: try again, give up, or call a person.

    StoreError
      TryAgain(delay_s)      DatabaseBusy, DatabaseUnreachable, EvidenceTooOld,
                             PushBraked
      Terminal               NotFound, UniquenessConflict, VersionMoved, UnknownMember,
                             InvalidRecord, Protected, AccessRefused, FencedOut
      NeedsHuman             SchemaOutOfDate, WrongDatabase, DiskFull

Every message is one line that says what happened and what to do; none holds a password
or a database URL with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

BRAKED_RETRY_S = 300.0
"""When a push should try again that is refused until a person acts."""


class StoreError(Exception):
    """Root of all errors of the store."""


class TryAgain(StoreError):
    """Nothing was written; the same call may succeed after `delay_s` seconds."""

    def __init__(self, message: str, delay_s: float = 1.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class DatabaseBusy(TryAgain):
    """Other writers held the database longer than the time limit."""


class DatabaseUnreachable(TryAgain):
    """The database does not answer."""


class Terminal(StoreError):
    """The same call will fail again."""


class NotFound(Terminal):
    """No such row in this tenant and connection."""


@dataclass(frozen=True, slots=True)
class OtherAccount:
    """The account of the same connection that has a value already."""

    id: str
    user_name: str
    object_id: str | None = None
    """The object id that both accounts would stand for; None: the value is no proof."""


class UniquenessConflict(Terminal):
    """Another row already has this value (SCIM `uniqueness`, HTTP 409)."""

    def __init__(self, attribute: str, value: str, other: OtherAccount | None = None) -> None:
        super().__init__(f"another object of this connection already has this {attribute}")
        self.attribute = attribute
        self.value = value
        self.other = other


class VersionMoved(Terminal):
    """The row changed since the `expected_version` of the command."""


class UnknownMember(Terminal):
    """A member of a group is neither a user nor a group of this connection."""

    def __init__(self, member_ids: tuple[str, ...]) -> None:
        super().__init__(f"no user or group of this connection has the id {', '.join(member_ids[:5])}")
        self.member_ids = member_ids


class InvalidRecord(Terminal):
    """The document lacks what every row needs, or holds what no database can keep."""


class Protected(Terminal):
    """The access of a protected account, or of a tenant's last admin, does not end
    without a person.
    """


class AccessRefused(Terminal):
    """The user is unknown or deprovisioned: no session."""


class FencedOut(Terminal):
    """Another process holds the connection's lease now; this writer must stop."""


class EvidenceTooOld(TryAgain):
    """The evidence behind a removal is older than the connection's policy allows;
    nothing was written.
    """


class PushBraked(TryAgain):
    """The push took away more of one kind than the policy allows within ten minutes:
    no more of it is removed until a person releases the brake.
    """

    def __init__(self, kind: str, reason: str, counted_from: datetime | None, *, is_new: bool) -> None:
        super().__init__(reason, BRAKED_RETRY_S)
        self.kind = kind
        self.reason = reason
        self.counted_from = counted_from
        self.is_new = is_new
        """Whether this write put the brake on."""


class NeedsHuman(StoreError):
    """An operator has to act; retrying does not help."""


class SchemaOutOfDate(NeedsHuman):
    """The database is not at the schema of this version."""


class WrongDatabase(NeedsHuman):
    """The database URL, or what it points at, cannot be used."""


class DiskFull(NeedsHuman):
    """The database has no room left."""
