"""Audit: who changed what of the set-up, with the values before and after."""

from __future__ import annotations

from collections.abc import Mapping

from console.admin import audit
from console.web.routes import CONNECTION, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from store.records import AuditEntry, JsonValue

routes = WebRoutes()
PAGE = 50


@routes.page("audit", f"{CONNECTION}/audit", "admin:report:read")
async def show(visit: Visit) -> WebAnswer:
    """List the changes of a connection, the newest first."""
    before = visit.query("before")
    number = int(before) if before is not None and before.isdecimal() and len(before) < 18 else None
    found = await audit.entries(visit.services, visit.actor, visit.connection_id, before=number, limit=PAGE)
    rows = [(each, differences(each), others(each)) for each in found.entries]
    return WebPage("setup/audit.html", {"rows": rows, "next": found.next})


def differences(entry: AuditEntry) -> list[tuple[str, JsonValue, JsonValue]]:
    """Return what changed: name, value before, value after."""
    before, after = entry.detail.get("before"), entry.detail.get("after")
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = sorted({*before, *after})
        return [(each, before.get(each), after.get(each)) for each in names]
    return [] if "before" not in entry.detail else [("", before, after)]


def others(entry: AuditEntry) -> str:
    """Return the other values of an entry as one line."""
    rest = {name: value for name, value in entry.detail.items() if name not in ("before", "after")}
    return ", ".join(f"{name.replace('_', ' ')}: {_text(value)}" for name, value in rest.items())


def _text(value: JsonValue) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value) or "none"
    return "none" if value is None else str(value)
