"""Say from when on a cycle proves that those with access are entitled.

The vendor's app asks how old that proof is (`console.admin.sessions.session_check`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from store.records import Action, CycleStatus, SubjectType
from worker.reconcile.plan import Change, PlanPartition

ENDS_ACCESS = frozenset({Action.DISABLE, Action.DELETE, Action.RELEASE_NAMES})


@dataclass(frozen=True, slots=True)
class EndedCycle:
    """What the proof depends on of a cycle that came to its end."""

    status: CycleStatus
    partition: PlanPartition
    skipped: int
    is_complete: bool
    """The reading proves absence."""
    is_full: bool
    """Every subject was compared, not only those that changed."""


def proof_after(cycle: EndedCycle, began_at: datetime, before: datetime | None) -> datetime | None:
    """Return the moment for which all who have access are proved entitled, or None.

    A reading that is not complete proves nothing new and leaves the proof as it is. A
    person whose access should end and has not (held, rejected, skipped, mode `report`)
    leaves none, until a full cycle finds no such person. An increment compares what
    changed since: it carries on a proof and begins none.
    """
    if not cycle.is_complete:
        return before
    if cycle.status is not CycleStatus.APPLIED and _is_any_left(cycle.partition):
        return None
    if cycle.skipped or any(map(_ends_access, _left(cycle.partition))):
        return None
    return began_at if cycle.is_full or before is not None else None


def _is_any_left(partition: PlanPartition) -> bool:
    """Return whether access of a person should have ended: in mode `report` all is."""
    return any(map(_ends_access, (*partition.apply, *_left(partition))))


def _left(partition: PlanPartition) -> Iterable[Change]:
    """Yield what is due and not applied."""
    yield from partition.hold.changes if partition.hold else ()
    yield from partition.waiting
    for each in (*partition.dropped, *partition.accepted):
        if not each.is_refuted:
            yield each.change


def _ends_access(change: Change) -> bool:
    """Return whether it would end the access of an account whose person is known."""
    is_user = change.subject.type is SubjectType.USER and change.subject.graph_id is not None
    return is_user and change.action in ENDS_ACCESS
