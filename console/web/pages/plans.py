"""Held plans: the numbers, why, the names; approved or rejected row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from console.admin import held_plans, runs
from console.admin.errors import Noun, UnknownReference
from console.admin.runs import RequestedRun
from console.documents.reports import plan_rows, plan_status
from console.documents.values import plural
from console.web import live
from console.web.exports import ExportFormat, export
from console.web.refusals import PageRefusal, WebRefused, stale
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import LONGEST_NUMBER, Visit
from store.records import DriftKind, HeldPlan, PlanStatus
from worker.jobs.queue import JobId
from worker.jobs.requests import NoWorkerRuns

routes = WebRoutes()
PLAN = f"{CONNECTION}/plans/{{plan}}"
SHOWN_ROWS = 200
"""More are found by a part of a name, or meant as the rest."""
TYPED_ABOVE = 25
"""Above so many removals the number is typed."""
SUBJECT = {"subject": "label", "subject_id": "local_id", "subject_type": "type"}
"""What an export tells of the subject of a row."""
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
    run = await _applying(visit, plan)
    part = (visit.query("q") or "").casefold()
    shown = [row for row in rows if part in str(row["subject"]["label"]).casefold()][:SHOWN_ROWS]
    values = {
        "plan": plan,
        "plan_status": plan_status,
        "rows": shown,
        "total": len(rows),
        "rest": len(_rest(rows, {row["row"] for row in shown})),
        "part": visit.query("q") or "",
        "waiting": waiting,
        "selected": sum(row["is_selected"] for row in shown),
        "is_held": is_held,
        "run": run,
        "progress": live.progress_words(run.running) if run and run.running else None,
        "may_resume": plan.status is PlanStatus.APPROVED and run is None and visit.may("admin:sync:approve"),
        "may_decide": is_held and waiting > 0 and visit.may("admin:sync:approve"),
        "heading": _heading(rows, is_held=is_held),
        "numbers": _numbers(rows),
        "reasons": Counter(str(row.get("reason") or row["kind"]) for row in rows).most_common(),
    }
    return WebPage("plan.html", values)


async def _applying(visit: Visit, plan: HeldPlan) -> RequestedRun | None:
    """Return the run of a worker that applies the plan; None where none does now."""
    if plan.job_id is None or plan.status is not PlanStatus.APPROVED:
        return None
    of = visit.services, visit.actor, visit.connection_id
    try:
        run = await runs.show(*of, runs.run_id(JobId(plan.job_id)))
    except UnknownReference:  # it ended more than an hour ago
        return None
    return None if run.has_ended else run


@routes.page("plans.export", f"{PLAN}/rows.{{format:csv|json}}", "admin:sync:read")
async def export_rows(visit: Visit) -> WebAnswer:
    """Export every row of a plan with its state, for a ticket or an auditor."""
    columns = ("row", "state", "why", "action", "kind", "reason", "subject", "member", "subject_id")
    plan = await _find(visit)

    async def rows() -> AsyncIterator[Mapping[str, object]]:
        for row in plan_rows(plan):
            about: Any = row
            told = {name: about["subject"].get(key) for name, key in SUBJECT.items()}
            yield {**row, **told, "member": (about.get("member") or {}).get("label")}

    return await export(visit, ExportFormat(visit.part("format")), f"plan-{plan.id}", columns, rows())


@routes.form("plans.ask", f"{PLAN}/ask", "admin:sync:approve", calls="held_plans.show")
async def ask(visit: Visit) -> WebAnswer:
    """Show what approving the selected rows would end: the numbers, then the names."""
    plan, rows = await _selected(visit)
    chosen = [row for row in plan_rows(plan) if row["row"] in rows]
    values = {
        "plan": plan,
        "heading": _would(chosen),
        "numbers": _numbers(chosen),
        "rows": chosen[:SHOWN_ROWS],
        "total": len(chosen),
        "sent": [(name, each) for name in ("row", "listed", "rest") for each in visit.all_sent(name)],
        "is_typed": len(chosen) > TYPED_ABOVE,
        "left": sum(row["state"] == "waits" for row in plan_rows(plan)) - len(chosen),
    }
    return WebPage("plan_ask.html", values)


@routes.form(
    "plans.approve", f"{PLAN}/approve", "admin:sync:approve", calls="held_plans.request_approval", recent=True
)
async def approve(visit: Visit) -> WebAnswer:
    """Apply the approved rows of exactly the plan that was looked at."""
    plan, rows = await _selected(visit)
    if len(rows) > TYPED_ABOVE and visit.sent("typed").strip() != str(len(rows)):
        raise WebRefused(
            _refusal(
                f"Type {len(rows)} to approve",
                f"{plural(len(rows), 'row')} were selected, and another number was typed.",
                "Go back, look at the number, and type it.",
            )
        )
    return await _apply(visit, plan, _chosen(plan, rows))


@routes.form("plans.reject", f"{PLAN}/reject", "admin:sync:approve", calls="held_plans.reject", recent=True)
async def reject(visit: Visit) -> WebAnswer:
    """Reject the selected rows: an accepted risk, until a day or until facts change."""
    plan, rows = await _selected(visit)
    chosen = _chosen(plan, rows)
    await held_plans.reject(visit.services, visit.actor, plan.id, rows=chosen, until=_until(visit))
    return SeeOther(f"{visit.base}/plans/{plan.id}", "plan-rejected")


@routes.form(
    "plans.resume", f"{PLAN}/resume", "admin:sync:approve", calls="held_plans.request_approval", recent=True
)
async def apply_again(visit: Visit) -> WebAnswer:
    """Apply what was approved before, and broke off."""
    plan = await _find(visit)
    if visit.sent("checksum") != plan.checksum or plan.status is not PlanStatus.APPROVED:
        raise WebRefused(stale("The plan is not as you saw it. Nothing was done."))
    return await _apply(visit, plan)


async def _apply(visit: Visit, plan: HeldPlan, rows: Collection[int] = ()) -> SeeOther:
    """Ask a worker, and go where it is watched; where none runs, do it in this
    process.
    """
    of = visit.services, visit.actor, plan.id
    try:
        run = await held_plans.request_approval(*of, rows=rows)
    except NoWorkerRuns:
        await held_plans.approve(*of, rows=rows)
        return SeeOther(f"{visit.base}/plans/{plan.id}", "plan-approved")
    return SeeOther(f"{visit.base}/runs/{run.id}")


async def _selected(visit: Visit) -> tuple[HeldPlan, frozenset[int]]:
    """Return the plan and the rows of a form that was filled in on it as it is now."""
    plan = await _find(visit)
    if visit.sent("checksum") != plan.checksum or plan.status is not PlanStatus.HELD:
        raise WebRefused(stale("The plan waits no longer as you saw it. Nothing was decided by you."))
    rows = _numbers_sent(visit, "row")
    if visit.sent("rest"):
        listed = _numbers_sent(visit, "listed")
        rows |= _rest([dict(row) for row in plan_rows(plan)], listed)
    if not rows:
        raise WebRefused(_refusal("No row was selected", "", "Go back and select the rows."))
    return plan, rows


def _numbers_sent(visit: Visit, name: str) -> frozenset[int]:
    sent = visit.all_sent(name)
    return frozenset(int(each) for each in sent if each.isdecimal() and len(each) <= LONGEST_NUMBER)


def _rest(rows: Sequence[dict[str, Any]], listed: Collection[int]) -> frozenset[int]:
    """Return the rows that wait, are not among the listed, and of which Entra proves
    something.
    """
    return frozenset(
        row["row"]
        for row in rows
        if row["state"] == "waits" and row["kind"] not in WITHOUT_PROOF and row["row"] not in listed
    )


def _refusal(heading: str, what: str, what_to_do: str) -> PageRefusal:
    return PageRefusal(400, heading, f"{what} Nothing was decided.".strip(), what_to_do)


async def _find(visit: Visit) -> HeldPlan:
    plan = await held_plans.show(visit.services, visit.actor, visit.part("plan"))
    if plan.connection_id != (await visit.place()).connection.id:
        raise UnknownReference(Noun.PLAN, visit.part("plan"))
    return plan


def _chosen(plan: HeldPlan, rows: Collection[int]) -> Collection[int]:
    """Return the rows; none where all of them are meant: the plan as a whole."""
    return () if len(rows) == len(plan_rows(plan)) else rows


def _until(visit: Visit) -> datetime | None:
    """Return the end of the day that was chosen, in the viewer's zone."""
    text = visit.sent("until")
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=visit.zone)
        return (day + timedelta(days=1)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise WebRefused(_refusal("That is no date", "", "Choose a day, or leave it empty.")) from error


def _heading(rows: Sequence[dict[str, Any]], *, is_held: bool) -> str:
    if rows and all(row["kind"] == DriftKind.UNMATCHED_ACCOUNT for row in rows):
        return f"{plural(len(rows), 'account')} to which nobody in Entra answers"
    if is_held:
        return _would(rows)
    people = _people(rows)
    return f"{plural(people, 'person', 'people')} were to lose access" if people else "Decided"


def _would(rows: Sequence[Mapping[str, Any]]) -> str:
    people = _people(rows)
    if people:
        return f"{plural(people, 'person', 'people')} would lose access"
    return f"{plural(len(rows), 'change')} {'waits' if len(rows) == 1 else 'wait'}"


def _people(rows: Sequence[Mapping[str, Any]]) -> int:
    return len({row["subject"]["label"] for row in rows if row["action"] == "disable"})


def _numbers(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    counts = Counter(row["action"] for row in rows)
    words = {
        "disable": "People disabled",
        "remove_member": "Memberships removed",
        "delete": "Groups or accounts deleted",
    }
    shown = [(words.get(action, action.replace("_", " ")), number) for action, number in counts.most_common()]
    return [*shown, ("Rows that wait", sum(row["state"] == "waits" for row in rows))]
