"""A run that a worker carries out: its progress live, then what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.admin import runs
from console.admin.runs import RequestedRun
from console.documents import reports as documents
from console.documents.values import plural
from console.web import live
from console.web.pages.provision import result_page
from console.web.routes import CONNECTION, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from worker.jobs.queue import JobKind
from worker.on_demand.report import OnDemandReport

routes = WebRoutes()
WHAT = {
    JobKind.CYCLE: "The cycle",
    JobKind.ON_DEMAND: "The provisioning",
    JobKind.PLAN: "Applying the plan",
}
DONE = {"disable": "disabled", "delete": "deleted", "remove_member": "memberships removed"}
RUN = f"{CONNECTION}/runs/{{run}}"


@routes.page("overview.run", RUN, "admin:sync:read")
async def show(visit: Visit) -> WebAnswer:
    """Show how far the run is, or what came of it."""
    run = await _find(visit)
    document: dict[str, Any] = documents.run(run.id, run.kind.value, run.state.value, run.result, None)
    if run.has_ended and document["reports"]:
        return result_page([OnDemandReport.from_json(each) for each in document["reports"]])
    report = document["report"] or {}
    values = {
        "run": run,
        "heading": _heading(run, document),
        "document": report,
        "facts": _of_plan(report) if run.kind is JobKind.PLAN else _facts(report),
        "error": document["error"],
        "remedy": document["remedy"],
        **_progress(run),
    }
    return WebPage("run.html", values)


@routes.page("overview.run.events", f"{RUN}/live", "admin:sync:read")
async def watch(visit: Visit) -> WebAnswer:
    """Stream how far the run is, until its end."""

    async def look() -> tuple[str, bool]:
        run = await _find(visit)
        values = {"run": run, "zone": visit.zone, **_progress(run)}
        return live.fragment("run_progress.html", values), run.has_ended

    return await live.stream(visit, f"run {visit.part('run')}", look)


async def _find(visit: Visit) -> RequestedRun:
    return await runs.show(visit.services, visit.actor, visit.connection_id, visit.part("run"))


def _progress(run: RequestedRun) -> dict[str, Any]:
    return {"progress": live.progress_words(run.running) if run.running else None}


def _heading(run: RequestedRun, document: dict[str, Any]) -> str:
    what = WHAT[run.kind]
    if not run.has_ended:
        return f"{what} is under way"
    return f"{what} did not come to its end" if document["error"] else f"{what} is done"


def _of_plan(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the numbers of a plan that was applied."""
    if not report:
        return []
    done = {DONE.get(action, action): number for action, number in report["applied"].items()}
    shown = [("Applied", _counted(done))]
    if report["left_alone"]:
        shown.append(("Left as it is", f"{plural(report['left_alone'], 'row')}: the plan says why"))
    if report["waiting"]:
        shown.append(("Goes on waiting", plural(report["waiting"], "row")))
    return shown


def _counted(parts: Mapping[str, int]) -> str:
    words = ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in parts.items() if number)
    return words or "none"


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the numbers of a cycle's report."""
    shown = []
    for label, name in (("Read in Entra", "counts"), ("Differences", "drift"), ("Applied", "applied")):
        shown.append((label, _counted(report.get(name) or {})))
    if report.get("held_plan"):
        shown.append(("Held", str(report["held_plan"]["reason"])))
    return [*shown, ("Took", f"{report.get('duration_s', 0):.1f} s")] if report else []
