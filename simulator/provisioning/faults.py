"""Switches for what goes wrong between Entra and an application in real life, to show
and to test it.

Gaps that are simply how the service works (nothing after unassign-then-delete, lost
removals at a restart, no replay of memberships …) need no switch: they are the default
of `cycle`, `decide` and `references`.
"""

import random
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Gap(StrEnum):
    """Each is documented or was seen in the wild."""

    DROP_UNASSIGN = "drop_unassign"
    """The end of an assignment is never noticed."""
    DROP_CHANGE = "drop_change"
    """What happened to a user since the last cycle (disabled, deleted, renamed) is
    never noticed."""
    DROP_MEMBER_REMOVAL = "drop_member_removal"
    """A removal from a group is not sent until something else about the group
    changes."""
    NOT_EFFECTIVELY_ENTITLED = "not_effectively_entitled"
    """Leaving an assigned group is logged as skipped, and neither the user nor the
    membership is touched."""
    FROZEN_JOB = "frozen_job"
    """No cycle does anything until disarmed, while the job still looks active."""
    SILENCE = "silence"
    """The same for some time (a day by default); then everything is caught
    up."""
    STALE_READ = "stale_read"
    """A new assignment becomes visible only minutes after the first cycle that could
    have seen it."""
    DEAD_ANCHOR = "dead_anchor"
    """The remembered target id of a user is one the application does not know."""
    DUPLICATE_PATCH = "duplicate_patch"
    """A PATCH is sent twice."""
    OUT_OF_ORDER = "out_of_order"
    """Parallel membership PATCHes go out in any order."""
    STRING_BOOLEANS = "string_booleans"
    """`active` is a text everywhere, on create and under the flag too."""
    BOOLEAN_ACTIVE = "boolean_active"
    """`active` is a boolean in the default dialect too, as one of Microsoft's two pages
    shows it."""
    LEGACY_CREATE = "legacy_create"
    """Users are created in the older form: nulls, and a colon missing in the
    extension's URN."""
    LEGACY_MANAGER = "legacy_manager"
    """A manager is sent in the older form: path `manager`, an array with one
    reference."""
    SECRET_EXPIRED = "secret_expired"  # noqa: S105 - the name of a switch
    """The stored token is no longer good."""


@dataclass(slots=True)
class Armed:
    """One armed gap."""

    gap: Gap
    principal: str | None = None
    """Only for this user or group; None: for all."""
    probability: float = 1.0
    times: int | None = None
    """How often it still fires; None: until disarmed."""
    minutes: float | None = None
    """For SILENCE and STALE_READ: how long."""
    since: datetime | None = None


class Faults:
    """What is armed on one job; the dice are seeded."""

    def __init__(self, seed: int = 1) -> None:
        self.armed: list[Armed] = []
        self.dice = random.Random(f"faults {seed}")

    def arm(self, fault: Armed) -> None:
        self.armed.append(fault)

    def disarm(self, gap: Gap | None = None) -> None:
        """Disarm one gap, or all."""
        self.armed = [a for a in self.armed if gap is not None and a.gap is not gap]

    def find(self, gap: Gap) -> Armed | None:
        """Return the first arming of a gap, without using it up."""
        return next((a for a in self.armed if a.gap is gap), None)

    def fires(self, gap: Gap, *principals: str) -> bool:
        """Return whether a gap strikes now, for any of these objects; uses up one of
        its times if it does.
        """
        for fault in self.armed:
            if fault.gap is not gap or (fault.principal is not None and fault.principal not in principals):
                continue
            if fault.probability < 1 and self.dice.random() >= fault.probability:
                continue
            self._use(fault)
            return True
        return False

    def _use(self, fault: Armed) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times <= 0:
            self.armed.remove(fault)
