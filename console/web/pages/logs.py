"""The provisioning logs, with Entra's columns and filters, and each entry as a page;
the audit log: who changed what of the set-up, with the values before and after.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from console.admin import audit
from console.admin.errors import Noun, UnknownReference
from console.admin.reports import provisioning_log
from console.admin.reports.provisioning_log import LogQuery
from console.documents.logs import audit_entry, log_entry
from console.documents.values import JsonDocument
from console.web.exports import ExportFormat, export
from console.web.routes import CONNECTION, WebAnswer, WebPage, WebRoutes
from console.web.visit import MOST_EXPORTED, PAGE, Visit, read_cursor, write_cursor
from console.web.wording.explanations import ORIGINS, decisive
from store.keys import utc_now
from store.logs.recent_entries import MOST_LOOKED_AT
from store.records import Action, AuditEntry, JsonValue, LogEntry, LogStatus, Origin

routes = WebRoutes()
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*\Z")

DATES: Mapping[str, str] = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last month", "all": "All"}


@routes.page("logs", f"{CONNECTION}/logs", "admin:report:read")
async def list_entries(visit: Visit) -> WebAnswer:
    """List entries; what was skipped is hidden at first."""
    of = visit.services, visit.actor, visit.connection_id
    query = _query(visit)
    found = await provisioning_log.log(*of, query)
    last = None
    if not found.entries:
        latest = await provisioning_log.log(*of, LogQuery(limit=1))
        last = next(iter(latest.entries), None)
    values = {
        "found": found,
        "last": last,
        "next": write_cursor(found.next),
        "is_short": found.next is not None and len(found.entries) < PAGE,
        "looked_at": MOST_LOOKED_AT,
        "dates": DATES,
        "days": _days(visit),
        "status": query.status,
        "statuses": list(LogStatus),
        "action": query.action,
        "actions": list(Action),
        "origin": query.origin,
        "origins": ORIGINS,
        "shows_skipped": not query.hides_skipped,
    }
    return WebPage("logs.html", values)


@routes.page("logs.export", f"{CONNECTION}/logs.{{format:csv|json}}", "admin:report:read")
async def export_entries(visit: Visit) -> WebAnswer:
    """Export the entries of the filter."""
    columns = ("at", "subject", "subject_type", "action", "status", "origin", "actor", "correlation_id")
    return await export(
        visit, ExportFormat(visit.part("format")), "provisioning-logs", columns, _every(visit)
    )


@routes.page("logs.show", f"{CONNECTION}/logs/{{entry}}", "admin:report:read")
async def show(visit: Visit) -> WebAnswer:
    """Show one entry: steps, properties, summary, and the entry as it is."""
    number = visit.part("entry")
    if not number.isdecimal() or len(number) > 18:
        raise UnknownReference(Noun.LOG_ENTRY, number)
    entry = await provisioning_log.entry(visit.services, visit.actor, visit.connection_id, int(number))
    values = {"entry": entry, "origins": ORIGINS, "remedy": _remedy(entry), "raw": log_entry(entry)}
    return WebPage("log_entry.html", values)


async def _every(visit: Visit) -> AsyncIterator[JsonDocument]:
    query, sent = replace(_query(visit), before=None, limit=500), 0
    while sent < MOST_EXPORTED:
        found = await provisioning_log.log(visit.services, visit.actor, visit.connection_id, query)
        for entry in found.entries:
            yield log_entry(entry)
        sent += len(found.entries)
        if found.next is None:
            return
        query = replace(query, before=found.next)


def _query(visit: Visit) -> LogQuery:
    before, days = read_cursor(visit.query("after")) or "", _days(visit)
    status = visit.choice("status", LogStatus)
    return LogQuery(
        user=visit.query("q"),
        status=status,
        correlation=visit.query("correlation"),
        before=int(before) if before.isdecimal() else None,
        limit=PAGE,
        action=visit.choice("action", Action),
        origin=visit.choice("origin", Origin),
        since=None if days == "all" else utc_now() - timedelta(days=int(days)),
        looks_at_most=MOST_LOOKED_AT,
        hides_skipped=visit.query("skipped") != "show" and status is not LogStatus.SKIPPED,
    )


def _days(visit: Visit) -> str:
    wanted = visit.query("days") or "1"
    return wanted if wanted in DATES else "1"


def _remedy(entry: LogEntry) -> str | None:
    """Return what to do about an entry that did not succeed: what its step says."""
    if entry.status is LogStatus.SUCCESS:
        return None
    step = decisive(entry.steps)
    if step is None:
        return None
    remedy = step.data.get("remedy")
    return str(remedy) if remedy else step.detail


@routes.page("audit", f"{CONNECTION}/audit", "admin:report:read")
async def list_audit(visit: Visit) -> WebAnswer:
    """List the changes of a connection, the newest first."""
    before = visit.query("before")
    number = int(before) if before is not None and before.isdecimal() and len(before) < 18 else None
    found = await audit.entries(visit.services, visit.actor, visit.connection_id, before=number, limit=PAGE)
    rows = [(each, differences(each), others(each)) for each in found.entries]
    return WebPage("audit.html", {"rows": rows, "next": found.next})


@routes.page("audit.export", f"{CONNECTION}/audit.{{format:csv|json}}", "admin:report:read")
async def export_audit(visit: Visit) -> WebAnswer:
    """Export the changes of a connection, the newest first."""
    columns = ("at", "actor", "action", "subject", "detail")

    async def rows() -> AsyncIterator[JsonDocument]:
        before, sent = None, 0
        of = visit.services, visit.actor, visit.connection_id
        while sent < MOST_EXPORTED:
            found = await audit.entries(*of, before=before, limit=500)
            for each in found.entries:
                yield audit_entry(each)
            before, sent = found.next, sent + len(found.entries)
            if before is None:
                return

    return await export(visit, ExportFormat(visit.part("format")), "audit", columns, rows())


def differences(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Return what changed: name, value before, value after. A form sends every field;
    those that stayed are left out.
    """
    before, after = entry.detail.get("before"), entry.detail.get("after")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return [] if "before" not in entry.detail else [("", _text(before), _text(after))]
    names = [each for each in sorted({*before, *after}) if before.get(each) != after.get(each)]
    return [(each, _text(before.get(each)), _text(after.get(each))) for each in names]


def others(entry: AuditEntry) -> str:
    """Return the other values of an entry as one line."""
    told = {"before", "after"} | ({"what"} if isinstance(entry.detail.get("before"), Mapping) else set())
    rest = {name: value for name, value in entry.detail.items() if name not in told}
    return ", ".join(f"{name.replace('_', ' ')}: {_text(value)}" for name, value in rest.items())


def _text(value: JsonValue) -> str:
    if isinstance(value, str) and _TIME.match(value):
        return f"{datetime.fromisoformat(value).astimezone(UTC):%d %b %Y %H:%M} UTC".lstrip("0")
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
