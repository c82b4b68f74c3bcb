"""One provisioning job: its settings, and what it remembers between cycles."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from simulator.objects import ChangeEvent
from simulator.provisioning.faults import Faults
from simulator.provisioning.mapping import (
    DEFAULT_GROUP_MAPPING,
    DEFAULT_USER_MAPPING,
    AttributeMappings,
)
from simulator.provisioning.retry import QuarantineReason, Thresholds, next_retry
from simulator.provisioning.scope import ScopingFilters

ScopeMode = Literal["assigned", "all"]
ObjectKind = Literal["User", "Group"]
JobState = Literal["Disabled", "Active", "Paused"]

CYCLE_INTERVAL_S = 40 * 60.0


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What an admin can set, and choices between behaviours that Microsoft's pages
    leave open.
    """

    user_mapping: AttributeMappings = DEFAULT_USER_MAPPING
    group_mapping: AttributeMappings = DEFAULT_GROUP_MAPPING
    provision_groups: bool = True
    scope: ScopeMode = "assigned"
    scoping_filters: ScopingFilters = ()
    can_create: bool = True
    can_update: bool = True
    can_delete: bool = True
    skip_out_of_scope_deletions: bool = False
    """`SkipOutOfScopeDeletions`: leaving the scope disables no account."""
    delete_on_disable: bool = False
    """As for the few gallery apps known to lack soft delete: DELETE where others get
    `active` False."""
    accidental_deletion_threshold: int | None = None
    """`QuarantineTooManyDeletesThreshold`: more disables and deletes than this in one
    cycle are staged."""
    ping: bool = True
    """Ask for a random user at the start of every cycle."""
    get_before_patch: bool = True
    """Read the target object before an update, and send only what differs there."""
    shared_anchors: bool = False
    """Link a user to an account that is still linked to a user who is gone from the
    scope or deleted. The old link stays, and its later DELETE goes to the same account.
    Off: such a match fails with `DuplicateSourceEntries`. Microsoft's pages say
    neither."""
    reference_checks: bool = False
    """Ask whether a link exists before setting it, as the service did until 2021."""
    ref_in_remove: bool = False
    """Send `$ref: null` when a member goes (one of the two documented forms)."""
    clear_manager: bool = False
    """Send an empty manager when there is none any more; the service normally sends
    nothing."""
    members_per_patch: int = 1
    parallelism: int = 8
    interval_s: float = CYCLE_INTERVAL_S
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(slots=True)
class Link:
    """An object connection: the source object, the target it became, and what was sent
    last.
    """

    source_id: str
    kind: ObjectKind
    target_id: str
    exported: dict[str, str] = field(default_factory=dict)
    """SCIM path -> value as the target has it, as far as the service knows."""
    manager_id: str | None = None
    """Source id of the manager that was sent."""
    manager_target_id: str | None = None
    """What was sent as manager; outlives the manager's own link."""
    member_ids: set[str] = field(default_factory=set)
    """Source ids of the members that were sent."""
    released: bool = False
    """Out of scope: no longer managed, so that not even a later deletion is sent."""
    saw_soft_delete: bool = False
    """Whether a cycle saw the user in the recycle bin; only then is a purge
    recognised."""


@dataclass(slots=True)
class EscrowEntry:
    """One failure that waits for its next try."""

    source_id: str
    related_id: str | None
    """The member, or the manager, of a failed reference; None: the object itself
    failed."""
    code: str
    message: str
    first_failed_at: datetime
    next_retry_at: datetime
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Why and since when a job is tried less often."""

    reason: QuarantineReason
    code: str
    message: str
    began_at: datetime
    next_attempt_at: datetime
    series: int = 1


class Job:
    """The memory of one job; no I/O here."""

    def __init__(self, settings: JobSettings, seed: int = 1) -> None:
        self.settings = settings
        self.scope: ScopeMode = settings.scope
        """In force; a changed setting takes effect at the next restart only (known
        issue)."""
        self.state: JobState = "Disabled"
        self.watermark: int | None = None
        """The last change that was read; None: the next cycle is an initial one."""
        self.links: dict[str, Link] = {}
        self.escrows: dict[tuple[str, str | None], EscrowEntry] = {}
        self.staged: set[str] = set()
        """Users and groups whose disable or delete waits for approval
        (accidental-deletion prevention)."""
        self.force_deletes = False
        self.quarantine: Quarantine | None = None
        self.successive_failures = 0
        self.known_members: dict[str, frozenset[str]] = {}
        """Members of the groups in scope, as the last cycle read them."""
        self.withheld_removals: dict[str, set[str]] = {}
        """Group -> members whose removal is not sent until something else about the
        group changes."""
        self.delayed: list[tuple[datetime, ChangeEvent]] = []
        """Changes that become visible later (a stale read)."""
        self.faults = Faults(seed)

    def take_settings(self, settings: JobSettings) -> None:
        """Put saved settings in force; a changed mapping or filter clears the
        watermark.
        """
        before, self.settings = self.settings, settings
        evaluated = ("user_mapping", "group_mapping", "scoping_filters")
        if any(getattr(before, name) != getattr(settings, name) for name in evaluated):
            self.watermark = None

    # --- object connections ---

    def links_of(self, kind: ObjectKind) -> Iterator[Link]:
        return (link for link in self.links.values() if link.kind == kind)

    def forget(self, source_id: str) -> None:
        """Drop a link and its memberships, as after a DELETE."""
        self.links.pop(source_id, None)
        for link in self.links.values():
            link.member_ids.discard(source_id)

    # --- failures ---

    def note_failure(
        self, source_id: str, related_id: str | None, code: str, message: str, now: datetime
    ) -> None:
        """Put a failure into escrow: tried in the next cycle, then more and more seldom
        for 28 days.
        """
        key = (source_id, related_id)
        entry = self.escrows.get(key)
        if entry is None:
            self.escrows[key] = EscrowEntry(source_id, related_id, code, message, now, now)
            return
        retry_at = next_retry(entry.first_failed_at, now)
        if retry_at is None:
            del self.escrows[key]
            return
        entry.code, entry.message = code, message
        entry.attempts += 1
        entry.next_retry_at = retry_at

    def note_success(self, source_id: str, related_id: str | None = None) -> None:
        self.escrows.pop((source_id, related_id), None)

    def due(self, now: datetime) -> list[EscrowEntry]:
        """Return the failures whose time has come."""
        return [entry for entry in self.escrows.values() if entry.next_retry_at <= now]

    # --- quarantine ---

    def enter_quarantine(self, reason: QuarantineReason, code: str, message: str, now: datetime) -> None:
        """Start or go on with a quarantine; after 28 days of it the job is disabled."""
        before = self.quarantine
        began = before.began_at if before else now
        series = before.series + 1 if before else 1
        next_attempt = next_retry(began, now)
        if next_attempt is None:
            self.state = "Disabled"
            next_attempt = now
        self.quarantine = Quarantine(reason, code, message, began, next_attempt, series)

    def leave_quarantine(self) -> None:
        self.quarantine = None
        self.successive_failures = 0

    def next_cycle_at(self, last_began: datetime) -> datetime:
        """Return when the job runs by itself again."""
        usual = last_began + timedelta(seconds=self.settings.interval_s)
        return max(usual, self.quarantine.next_attempt_at) if self.quarantine else usual

    # --- restart ---

    def restart(self, *, full: bool = False, force_deletes: bool = False) -> None:
        """Clear watermark, escrows and quarantine; links stay unless `full`.

        What was pending is lost.
        """
        self.watermark = None
        self.escrows.clear()
        self.leave_quarantine()
        self.withheld_removals.clear()
        self.delayed.clear()
        self.scope = self.settings.scope
        self.force_deletes = force_deletes
        if not force_deletes:
            self.staged.clear()
        if full:
            self.links.clear()
