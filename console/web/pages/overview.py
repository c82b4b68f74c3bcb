"""The start; the overview of a connection: its state in a sentence, numbers, trend."""

from __future__ import annotations

from urllib.parse import quote

from console.admin import runs
from console.admin.connections import overview as connections
from console.admin.errors import UnknownReference
from console.admin.people import groups, users
from console.admin.reports import connection_report, provisioning_log
from console.admin.reports.connection_report import ConnectionReport
from console.admin.reports.provisioning_log import LogQuery
from console.web import live
from console.web.pages.users import counted
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from console.web.wording.charts import TrendChart, trend
from console.web.wording.explanations import ORIGINS
from console.web.wording.verdict import verdict_of
from worker.cycle.run import CycleRequest

routes = WebRoutes()


@routes.page("home", "/", "admin:connection:read")
async def home(visit: Visit) -> WebAnswer:
    """Go to the only connection, or to the list of all; say so where there is none."""
    found = await connections.list_all(visit.services, visit.actor)
    if len(found.connections) > 1 or visit.may("admin:operator:read"):
        return SeeOther("/operator")
    if len(found.connections) == 1:
        first = "" if visit.may("admin:user:read") else "/setup"
        return SeeOther(f"/connections/{found.connections[0].id}{first}")
    return WebPage("home.html")


@routes.page("overview", CONNECTION, "admin:connection:read")
async def overview(visit: Visit) -> WebAnswer:
    """Show where the connection stands."""
    found = await connection_report.report(visit.services, visit.actor, visit.connection_id)
    values = {
        "found": found,
        "verdict": verdict_of(found),
        "chart": _chart(visit, found),
        "counted": counted,
        "origins": ORIGINS,
        "progress": live.progress_words(found.running) if found.running else None,
        "drift": (found.status.standing.findings or {}).get("open", 0),
    }
    return WebPage("overview.html", values)


@routes.page("overview.events", f"{CONNECTION}/live", "admin:sync:read")
async def watch(visit: Visit) -> WebAnswer:
    """Stream the cycle that runs now, until it ends."""

    async def look() -> tuple[str, bool]:
        running = await connection_report.running(visit.services, visit.actor, visit.connection_id)
        values = {"progress": live.progress_words(running) if running else None, "zone": visit.zone}
        return live.fragment("progress.html", values), running is None

    return await live.stream(visit, "cycle", look)


@routes.form("overview.sync", f"{CONNECTION}/sync", "admin:sync:run", calls="runs.request_cycle")
async def sync_now(visit: Visit) -> WebAnswer:
    """Ask a worker for a cycle."""
    request = CycleRequest(is_full=visit.sent("full") == "yes")
    run = await runs.request_cycle(visit.services, visit.actor, visit.connection_id, request)
    return SeeOther(f"{visit.base}/runs/{run.id}")


@routes.page("search", f"{CONNECTION}/search", "admin:user:read")
async def search(visit: Visit) -> WebAnswer:
    """Go to the person, the group or the log entries of a name or an id."""
    wanted = visit.query("q")
    if wanted is None:
        return SeeOther(f"{visit.base}/users")
    of = visit.services, visit.actor, visit.connection_id
    try:
        return SeeOther(f"{visit.base}/users/{(await users.show(*of, wanted)).user.id}")
    except UnknownReference:
        pass
    try:
        return SeeOther(f"{visit.base}/groups/{(await groups.show(*of, wanted)).group.id}")
    except UnknownReference:
        pass
    if (await provisioning_log.log(*of, LogQuery(correlation=wanted, limit=1))).entries:
        return SeeOther(f"{visit.base}/logs?correlation={quote(wanted)}&days=all")
    return SeeOther(f"{visit.base}/users?q={quote(wanted)}")


def _chart(visit: Visit, found: ConnectionReport) -> TrendChart | None:
    days = [
        (
            f"{(cycle.finished_at or cycle.started_at).astimezone(visit.zone):%d %b}".lstrip("0"),
            sum(cycle.drift.values()),
        )
        for cycle in found.trend
    ]
    return trend(days)
