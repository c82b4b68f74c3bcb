"""Provision on demand: people or a group; a dry run first, five steps, the deed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from console.admin import run_now, runs
from console.admin.people import search
from console.admin.people.search import FoundSubjects
from console.admin.run_now import ProvisionRequest
from console.documents.values import plural
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from console.web.wording.explanations import decisive
from worker.jobs.requests import NoWorkerRuns
from worker.on_demand.report import OnDemandReport, OnDemandResult

routes = WebRoutes()
MOST = 20

_DEEDS = {
    OnDemandResult.CREATED: ("create", "would be created"),
    OnDemandResult.UPDATED: ("update", "would be updated"),
    OnDemandResult.DISABLED: ("disable", "would be disabled, and every session would end; history stays"),
    OnDemandResult.ENABLED: ("enable", "would get access again"),
}
_DONE = {
    OnDemandResult.CREATED: "was created",
    OnDemandResult.UPDATED: "was updated",
    OnDemandResult.DISABLED: "was disabled; every session ended, history stays",
    OnDemandResult.ENABLED: "has access again",
    OnDemandResult.UNCHANGED: "is as Entra has it: nothing to do",
    OnDemandResult.SKIPPED: "was left as it is",
    OnDemandResult.FAILED: "could not be provisioned",
}


@routes.page("provision", f"{CONNECTION}/provision", "admin:sync:run")
async def ask(visit: Visit) -> WebAnswer:
    """Ask for the people or the group; a search shows who is meant."""
    subject, wanted = visit.query("subject"), visit.query("q")
    if wanted is None:
        return _page([subject] if subject else [])
    found = await search.search(visit.services, visit.actor, visit.connection_id, wanted)
    return _page([], found=found, wanted=wanted)


@routes.form("provision.run", f"{CONNECTION}/provision", "admin:sync:run", calls="runs.request_provisioning")
async def provision(visit: Visit) -> WebAnswer:
    """Ask a worker; where none runs, do it in this process and show what came of it."""
    subjects = _subjects(visit)
    is_dry_run = visit.sent("deed") != "do"
    request = ProvisionRequest(subjects, is_dry_run, visit.sent("ask_entra") == "yes")
    if not subjects or len(subjects) > MOST:
        problem = (
            f"Name one to {MOST} people, or one group." if subjects else "Name at least one person or group."
        )
        return _page(subjects[:MOST], problem=problem, status=400)
    of = visit.services, visit.actor, visit.connection_id
    try:
        run = await runs.request_provisioning(*of, request)
    except NoWorkerRuns:
        return _page(subjects, await run_now.provision(*of, request), asks_entra=request.asks_entra)
    return SeeOther(f"{visit.base}/runs/{run.id}")


def _subjects(visit: Visit) -> list[str]:
    lines = [line for sent in visit.all_sent("subjects") for line in re.split(r"[\n;]", sent)]
    return list(dict.fromkeys(line.strip()[:320] for line in lines if line.strip()))


def result_page(reports: Sequence[OnDemandReport]) -> WebPage:
    """Return the page of what came of a request."""
    return _page([report.subject for report in reports], reports)


def _page(
    subjects: Sequence[str],
    reports: Sequence[OnDemandReport] = (),
    *,
    problem: str | None = None,
    asks_entra: bool = False,
    found: FoundSubjects | None = None,
    wanted: str = "",
    status: int = 200,
) -> WebPage:
    values: dict[str, Any] = {
        "subjects": subjects,
        "reports": reports,
        "problem": problem,
        "asks_entra": asks_entra,
        "found": found,
        "wanted": wanted,
        "most": MOST,
        "summary": summary,
        "name_of": name_of,
        "would": _deed(reports),
    }
    return WebPage("provision.html", values, status)


def summary(report: OnDemandReport) -> str:
    """Return what came of it, or would, as a sentence."""
    if report.would is not None and report.would in _DEEDS:
        return f"Dry run: the account {_DEEDS[report.would][1]}."
    step = decisive(report.steps)
    if report.result in (OnDemandResult.FAILED, OnDemandResult.SKIPPED) and step is not None:
        return step.detail
    return f"It {_DONE[report.result]}."


def name_of(report: OnDemandReport) -> str | None:
    """Return the name that Entra has for the subject; None where it knows none."""
    found = next((step.data for step in report.steps if step.name == "find"), {})
    names = (found.get("userPrincipalName"), found.get("displayName"))
    return next((name for name in names if isinstance(name, str)), None)


def _deed(reports: Sequence[OnDemandReport]) -> str | None:
    """Return the words of the button that does what a dry run showed."""
    wanted = [report for report in reports if report.would in _DEEDS]
    if not wanted:
        return None
    [first, *others] = wanted
    if not others:
        assert first.would is not None
        return f"{_DEEDS[first.would][0]} {(name_of(first) or first.subject)[:60]}"
    return f"provision {plural(len(wanted), 'person', 'people')}"
