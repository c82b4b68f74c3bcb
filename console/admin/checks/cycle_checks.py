"""Checks of what waits for a person or the vendor's app: readings, drift, held plans,
ends of access that the app has not acknowledged.
"""

from __future__ import annotations

from datetime import datetime

from console.admin.checks.check import Check, CheckStatus, Remedy
from console.admin.checks.connection_checks import CheckedConnection
from console.admin.services import Services
from console.documents.values import plural, utc_text
from store.directory import receipts
from store.directory.receipts import ACKNOWLEDGED_WITHIN
from store.records import Cycle, CycleStatus, HeldPlan, PlanStatus
from store.sync import cycles, held_plans

MOST_SHOWN = 100


async def examine_cycles(services: Services, checked: CheckedConnection) -> list[Check]:
    """Check the last cycle over the whole connection, and what waits.

    On-demand runs read one subject each: they say nothing about the connection.
    """
    scope = checked.connection.tenant_id, checked.connection.id
    async with services.db.reading() as conn:
        ended = await cycles.latest(conn, *scope, limit=1, finished=True, on_demand=False)
        complete = await cycles.last(conn, *scope, complete=True)
        reported = await cycles.last(conn, *scope, reported=True)
        waiting = await held_plans.list_for(conn, *scope, status=PlanStatus.HELD)
    if not ended:
        return [
            checked.check("last cycle", CheckStatus.WARNING, "None has run yet.", Remedy.RUN_CYCLE),
            _held(checked, waiting),
        ]
    return [
        _last_cycle(checked, ended[0]),
        _reading(checked, ended[0], complete),
        _drift(checked, reported),
        _held(checked, waiting),
    ]


def _last_cycle(checked: CheckedConnection, cycle: Cycle) -> Check:
    detail = f"{cycle.kind} at {utc_text(cycle.started_at)}: {cycle.status}."
    if cycle.status is CycleStatus.FAILED:
        detail = f"{detail} {cycle.error or ''}".strip()
        return checked.check("last cycle", CheckStatus.FAILED, detail, Remedy.SEE_ABOVE)
    return checked.check("last cycle", CheckStatus.OK, detail)


def _reading(checked: CheckedConnection, last: Cycle, complete: Cycle | None) -> Check:
    """Check whether the directory was read whole: else no removal is judged."""
    if complete is None:
        detail = "No reading was complete yet: removals are not judged."
        return checked.check("reading", CheckStatus.WARNING, detail, Remedy.RUN_CYCLE)
    since = utc_text(complete.started_at)
    if last.complete is False:
        detail = f"The last was incomplete: removals wait. The last complete one began {since}."
        return checked.check("reading", CheckStatus.WARNING, detail, Remedy.READ_WHOLE)
    return checked.check("reading", CheckStatus.OK, f"The last complete one began {since}.")


def _drift(checked: CheckedConnection, reported: Cycle | None) -> Check:
    if reported is None:
        return checked.check("drift", CheckStatus.SKIPPED, "No cycle has reported yet.")
    findings = reported.findings
    detail = f"{findings.get('open', 0):,} open, {findings.get('new', 0):,} new."
    if reported.findings.get("open"):
        return checked.check("drift", CheckStatus.WARNING, detail, Remedy.SHOW_DRIFT)
    return checked.check("drift", CheckStatus.OK, detail)


def _held(checked: CheckedConnection, waiting: list[HeldPlan]) -> Check:
    if not waiting:
        return checked.check("held plans", CheckStatus.OK, "None waits for a person.")
    rows = sum(_rows_of(plan) for plan in waiting)
    oldest = min(plan.created_at for plan in waiting)
    detail = (
        f"{plural(len(waiting), 'plan')} with {plural(rows, 'row')}, the oldest since {utc_text(oldest)}."
    )
    return checked.check("held plans", CheckStatus.WARNING, detail, Remedy.DECIDE_PLANS)


def _rows_of(plan: HeldPlan) -> int:
    changes = plan.body.get("changes")
    return len(changes) if isinstance(changes, list) else 0


async def examine_revocations(services: Services, checked: CheckedConnection, now: datetime) -> list[Check]:
    """Warn of receipts that the app has not acknowledged for five minutes.

    One of a period in which nothing was held needs no acknowledgement.
    """
    found = checked.connection
    async with services.db.reading() as conn:
        late = await receipts.unacknowledged(
            conn,
            found.tenant_id,
            now - ACKNOWLEDGED_WITHIN,
            connection_id=found.id,
            limit=MOST_SHOWN,
        )
    if not late:
        return []
    number = f"{len(late)}{' or more' if len(late) == MOST_SHOWN else ''}"
    detail = f"The app has not acknowledged {number} ends of access for five minutes and more."
    return [checked.check("revocations", CheckStatus.WARNING, detail, Remedy.DELIVER_EVENTS)]
