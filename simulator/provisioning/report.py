"""What one cycle did, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from simulator.provisioning.log import timestamp

State = Literal["Succeeded", "Failed", "EntryLevelErrors"]

_OBJECTS = (
    "created",
    "updated",
    "enabled",
    "disabled",
    "deleted",
    "groups_created",
    "groups_updated",
    "groups_deleted",
)
_REFERENCES = ("members_added", "members_removed", "managers_set")


@dataclass(frozen=True, slots=True)
class CycleReport:
    """The outcome of a cycle; `counts` holds only what happened at all."""

    cycle_id: str
    kind: str
    state: State
    began: datetime
    ended: datetime
    counts: Mapping[str, int]
    requests: int
    entitled: int
    """Objects linked to the target and in scope."""
    code: str | None = None
    message: str | None = None
    """Why the cycle failed as a whole."""

    @property
    def exported(self) -> int:
        return sum(self.counts.get(name, 0) for name in _OBJECTS)

    @property
    def references(self) -> int:
        return sum(self.counts.get(name, 0) for name in _REFERENCES)

    def to_json(self) -> dict[str, Any]:
        error = None if self.code is None else {"code": self.code, "message": self.message}
        return {
            "cycleId": self.cycle_id,
            "kind": self.kind,
            "state": self.state,
            "began": timestamp(self.began),
            "ended": timestamp(self.ended),
            "counts": dict(self.counts),
            "requests": self.requests,
            "error": error,
        }
