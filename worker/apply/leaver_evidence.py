"""What a leaver's finding holds beside Graph's answer: when it happened, and what push
had done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from store.logs import provisioning_log
from store.logs.provisioning_log import LastPush
from store.records import Connection, DriftKind, JsonValue
from store.sync import cycles
from worker.reconcile.plan import Change
from worker.reconcile.snapshot import Evidence


@dataclass(frozen=True, slots=True)
class LeaverFacts:
    """What is known of the leavers of one plan before anything is written."""

    last_read_at: datetime | None = None
    """Start of the last complete reading before this one: no new leaver of the plan
    had left by then.
    """
    pushes: Mapping[str, LastPush] = field(default_factory=dict)
    """The last push for each account, by row id."""


NOTHING_KNOWN = LeaverFacts()


async def load_leaver_facts(
    conn: AsyncConnection, connection: Connection, changes: Iterable[Change]
) -> LeaverFacts:
    """Load what the findings of these changes tell about leavers."""
    ids = {c.subject.local_id for c in changes if c.kind is DriftKind.MISSED_DEPROVISION} - {None}
    if not ids:
        return NOTHING_KNOWN
    scope = conn, connection.tenant_id, connection.id
    last = await cycles.last(*scope, complete=True)
    pushes = await provisioning_log.last_pushes(*scope, [each for each in ids if each])
    return LeaverFacts(last.started_at if last else None, pushes)


def leaver_evidence(
    change: Change, answer: Evidence | None, facts: LeaverFacts, seen_at: datetime, ended_at: datetime | None
) -> dict[str, JsonValue]:
    """Return when the person lost the entitlement (`lost`), when that was seen, when
    access ended here, and the last push.

    `lost` has `at` where Graph says when, else `after` and `before`: two readings. A
    deletion that Graph dates may have followed another loss, which then was seen first:
    the earliest finding keeps its own.
    """
    happened = answer.soft_deleted_at if answer is not None else None
    before = answer.at if answer is not None else seen_at
    lost: dict[str, JsonValue] = (
        {"at": happened.isoformat()}
        if happened
        else {"after": _iso(facts.last_read_at), "before": before.isoformat()}
    )
    return {
        "lost": lost,
        "seen_at": seen_at.isoformat(),
        "ended_at": _iso(ended_at),
        "push": _push_to_json(facts.pushes.get(change.subject.local_id or "")),
    }


def _push_to_json(push: LastPush | None) -> dict[str, JsonValue]:
    if push is None:
        return {"last_at": None, "action": None, "status": None, "detail": "none"}
    detail = push.detail if push.has_failed else ""
    return {
        "last_at": push.at.isoformat(),
        "action": push.action,
        "status": push.status,
        "detail": f"failed with: {detail}" if push.has_failed else "",
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
