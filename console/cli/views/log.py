"""The provisioning log and the audit log as text."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from console.admin.audit import AuditPage
from console.admin.reports.provisioning_log import LogList
from console.cli.output import View
from console.documents.logs import audit_entry, log_entry
from console.documents.values import page, utc_text
from console.rendering import text
from store.records import UNATTENDED, AuditEntry, LogEntry, LogStatus, Modified

MOST_MODIFIED = 5
"""Attributes and members that one entry names; the others are in `--json`."""


def listed(found: LogList, *, is_filtered: bool = False, shows_values: bool = False) -> View:
    """Show log entries, newest first; `next` is the `--before` of the next page."""
    names = found.names
    entries = (
        log_entry(entry, names.get(entry.connection_id, "") if names else None) for entry in found.entries
    )
    return View(
        page(entries, found.next),
        lambda: _table(found, is_filtered=is_filtered, shows_values=shows_values),
    )


def audited(found: AuditPage) -> View:
    """Show audit entries, newest first; `next` is the `--before` of the next page."""
    document = page(map(audit_entry, found.entries), found.next)
    if not found.entries:
        return View(document, lambda: "Nothing was set up or changed here yet.")
    rows = [
        (utc_text(entry.at), entry.actor, entry.action, entry.subject_label, _detail(entry))
        for entry in found.entries
    ]
    return View(document, lambda: text.table("When", "Who", "What", "On", "Detail", rows=rows))


def _detail(entry: AuditEntry) -> str:
    return "; ".join(f"{name}: {text.brief(value)}" for name, value in entry.detail.items())


def _table(found: LogList, *, is_filtered: bool, shows_values: bool) -> RenderableType:
    if not found.entries and is_filtered:
        return "No entry is like that. Leave out an option to see more: --user, --status, --correlation, --before"
    if not found.entries:
        return "No entries. Entra's first cycle can take 40 minutes; a pull runs with: leaver sync CONNECTION"
    names = found.names
    rows: list[list[Text | str]] = [
        [
            utc_text(entry.at),
            *([names.get(entry.connection_id, "")] if names else []),
            entry.action,
            text.status(entry.status),
            entry.subject_label,
            _by(entry),
            _what(entry, shows_values=shows_values),
        ]
        for entry in found.entries
    ]
    columns = ("When", *(["Connection"] if names else []), "Action", "Status", "Subject", "By", "What")
    table = text.table(*columns, rows=rows)
    table.caption = f"More: --before {found.next}" if found.next else None
    return table


def _by(entry: LogEntry) -> str:
    """Return the origin, with the person or token behind it."""
    is_unattended = entry.actor in (None, UNATTENDED)
    return entry.origin if is_unattended else f"{entry.origin}, {entry.actor}"


def _what(entry: LogEntry, *, shows_values: bool) -> str:
    """Return the changed attributes, or the detail of the failed or the last step."""
    if entry.modified:
        shown = [_changed(change, shows_values=shows_values) for change in entry.modified[:MOST_MODIFIED]]
        hidden = len(entry.modified) - len(shown)
        joined = ("; " if shows_values else ", ").join(dict.fromkeys(shown))
        return f"{joined} and {hidden:,} more (--json)" if hidden else joined
    failed = [step for step in entry.steps if step.status is LogStatus.FAILURE]
    return (failed or entry.steps)[-1].detail if entry.steps else ""


def _changed(change: Modified, *, shows_values: bool) -> str:
    """Return the name of an attribute, or the member; with values, before and after."""
    if shows_values:
        return f"{change['attribute']}: {text.brief(change['old'], 30)} → {text.brief(change['new'], 30)}"
    is_member = change["attribute"] == "members"
    return text.brief(change["new"] or change["old"], 40) if is_member else change["attribute"]
