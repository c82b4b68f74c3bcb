"""The provisioning log as JSON and as text."""

from __future__ import annotations

from rich.console import RenderableType

from console.cli.output import View
from console.cli.views import text
from store.logs.provisioning_log import LogPage
from store.records import JsonValue, LogEntry, LogStatus


def document(entry: LogEntry) -> dict[str, JsonValue]:
    return {
        "at": text.iso(entry.at),
        "action": entry.action,
        "status": entry.status,
        "subject": entry.subject_label,
        "subject_type": entry.subject_type,
        "subject_id": entry.subject_id,
        "origin": entry.origin,
        "actor": entry.actor,
        "steps": [
            {"name": step.name, "status": step.status, "detail": step.detail, "data": dict(step.data)}
            for step in entry.steps
        ],
        "modified": [{"attribute": m["attribute"], "old": m["old"], "new": m["new"]} for m in entry.modified],
        "correlation_id": entry.correlation_id,
    }


def listed(page: LogPage, *, is_filtered: bool = False) -> View:
    """Entries, newest first; `next` is the `--before` of the next page, null on the last."""
    return View(
        {"entries": [document(entry) for entry in page.entries], "next": page.next},
        lambda: _table(page, is_filtered=is_filtered),
    )


def _table(page: LogPage, *, is_filtered: bool) -> RenderableType:
    if not page.entries and is_filtered:
        return "No entry is like that. Leave out an option to see more: --user, --status, --correlation, --before"
    if not page.entries:
        return "No entries. Entra's first cycle can take 40 minutes; a pull runs with: leaver sync CONNECTION"
    rows = [
        (
            text.when(entry.at),
            entry.action,
            text.status(entry.status),
            entry.subject_label,
            entry.origin,
            _what(entry),
        )
        for entry in page.entries
    ]
    table = text.table("When", "Action", "Status", "Subject", "By", "What", rows=rows)
    table.caption = f"More: --before {page.next}" if page.next else None
    return table


def _what(entry: LogEntry) -> str:
    """The changed attributes, or else what the step said that failed, or the last one."""
    if entry.modified:
        return "; ".join(
            f"{m['attribute']}: {text.brief(m['old'], 30)} → {text.brief(m['new'], 30)}"
            for m in entry.modified
        )
    failed = [step for step in entry.steps if step.status is LogStatus.FAILURE]
    return (failed or entry.steps)[-1].detail if entry.steps else ""
