"""Held plans: the numbers, why, the names; approved or rejected row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from console.admin import held_plans
from console.admin.errors import Noun, UnknownReference
from console.documents.reports import plan_rows, plan_status
from console.documents.values import plural
from console.web.refusals import PageRefusal, WebRefused, stale
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import LONGEST_NUMBER, Visit
from store.records import DriftKind, HeldPlan, PlanStatus

routes = WebRoutes()
PLAN = f"{CONNECTION}/plans/{{plan}}"
TYPED_ABOVE = 25
"""Above so many removals the number is typed."""
WITHOUT_PROOF = frozenset({DriftKind.UNMATCHED_ACCOUNT, DriftKind.HOLDER_CHANGED})
"""Rows that a person selects: no answer of Entra proves that someone left."""


@routes.page("plans", f"{CONNECTION}/plans", "admin:sync:read")
async def list_plans(visit: Visit) -> WebAnswer:
    """List the plans that wait, then those that were decided."""
    found = await held_plans.list_all(visit.services, visit.actor, visit.connection_id, all_states=True)
    found = sorted(found, key=lambda plan: plan.status is not PlanStatus.HELD)
    values = {
        "plans": [(plan, len(plan_rows(plan))) for plan in found],
        "waiting": sum(plan.status is PlanStatus.HELD for plan in found),
        "plan_status": plan_status,
    }
    return WebPage("plans.html", values)


@routes.page("plans.show", PLAN, "admin:sync:read")
async def show(visit: Visit) -> WebAnswer:
    """Show a plan with every change that it would make."""
    plan = await _find(visit)
    rows: list[dict[str, Any]] = [dict(row) for row in plan_rows(plan)]
    waiting = sum(row["state"] == "waits" for row in rows)
    for row in rows:
        row["is_selected"] = row["state"] == "waits" and row["kind"] not in WITHOUT_PROOF
    is_held = plan.status is PlanStatus.HELD
    values = {
        "plan": plan,
        "plan_status": plan_status,
        "rows": rows,
        "waiting": waiting,
        "selected": sum(row["is_selected"] for row in rows),
        "is_held": is_held,
        "may_decide": is_held and waiting > 0 and visit.may("admin:sync:approve"),
        "heading": _heading(rows, is_held=is_held),
        "numbers": _numbers(rows),
        "reasons": Counter(str(row.get("reason") or row["kind"]) for row in rows).most_common(),
    }
    return WebPage("plan.html", values)


@routes.form("plans.decide", f"{PLAN}/decide", "admin:sync:approve", calls="held_plans.approve", recent=True)
async def decide(visit: Visit) -> WebAnswer:
    """Approve or reject the selected rows of exactly the plan that was looked at."""
    plan = await _find(visit)
    if visit.sent("checksum") != plan.checksum or plan.status is not PlanStatus.HELD:
        raise WebRefused(stale("The plan waits no longer as you saw it. Nothing was decided by you."))
    rows = [int(each) for each in visit.all_sent("row") if each.isdecimal() and len(each) <= LONGEST_NUMBER]
    if not rows:
        raise WebRefused(
            PageRefusal(400, "No row was selected", "Nothing was decided.", "Go back and select the rows.")
        )
    of = visit.services, visit.actor, plan.id
    back = f"{visit.base}/plans/{plan.id}"
    if visit.sent("decision") == "approve":
        _check_typed(visit, plan, rows)
        await held_plans.approve(*of, rows=_chosen(plan, rows))
        return SeeOther(back, "plan-approved")
    if visit.sent("decision") == "reject":
        await held_plans.reject(*of, rows=_chosen(plan, rows), until=_until(visit))
        return SeeOther(back, "plan-rejected")
    raise WebRefused(
        PageRefusal(400, "No decision was sent", "Nothing was decided.", "Choose approve or reject.")
    )


async def _find(visit: Visit) -> HeldPlan:
    plan = await held_plans.show(visit.services, visit.actor, visit.part("plan"))
    if plan.connection_id != (await visit.place()).connection.id:
        raise UnknownReference(Noun.PLAN, visit.part("plan"))
    return plan


def _chosen(plan: HeldPlan, rows: Sequence[int]) -> Sequence[int]:
    """Return the rows; none where all of them are meant: the plan as a whole."""
    return () if len(set(rows)) == len(plan_rows(plan)) else rows


def _check_typed(visit: Visit, plan: HeldPlan, rows: Sequence[int]) -> None:
    waiting = sum(row["state"] == "waits" for row in plan_rows(plan))
    if waiting > TYPED_ABOVE and visit.sent("typed").strip() != str(len(set(rows))):
        raise WebRefused(
            PageRefusal(
                400,
                f"Type {len(set(rows))} to approve",
                f"{plural(len(set(rows)), 'row')} of {waiting} were selected, and another number was typed. "
                "Nothing was decided.",
                "Go back, look at the number, and type it.",
            )
        )


def _until(visit: Visit) -> datetime | None:
    """Return the end of the day that was chosen, in the viewer's zone."""
    text = visit.sent("until")
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=visit.zone)
        return (day + timedelta(days=1)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise WebRefused(
            PageRefusal(400, "That is no date", "Nothing was decided.", "Choose a day, or leave it empty.")
        ) from error


def _heading(rows: Sequence[dict[str, Any]], *, is_held: bool) -> str:
    people = {row["subject"]["label"] for row in rows if row["action"] == "disable"}
    would = "would lose" if is_held else "were to lose"
    if people:
        return f"{plural(len(people), 'person', 'people')} {would} access"
    return f"{plural(len(rows), 'change')} {'waits' if len(rows) == 1 else 'wait'}" if is_held else "Decided"


def _numbers(rows: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    counts = Counter(row["action"] for row in rows)
    words = {
        "disable": "People disabled",
        "remove_member": "Memberships removed",
        "delete": "Groups or accounts deleted",
    }
    shown = [(words.get(action, action.replace("_", " ")), number) for action, number in counts.most_common()]
    return [*shown, ("Rows that wait", sum(row["state"] == "waits" for row in rows))]
