"""The provisioning log as JSON and as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from console.output import View
from console.views import text
from store.records import JsonValue, LogEntry


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
        "modified": [{"attribute": m.attribute, "old": m.old, "new": m.new} for m in entry.modified],
        "correlation_id": entry.correlation_id,
    }


def listed(entries: Sequence[LogEntry], following: str | None) -> View:
    """Entries, newest first; `following` is the cursor of the next page, None on the last."""
    return View(
        {"entries": [document(entry) for entry in entries], "next": following},
        lambda: _table(entries, following),
    )


def _table(entries: Sequence[LogEntry], following: str | None) -> RenderableType:
    if not entries:
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
        for entry in entries
    ]
    caption = f"More: --before {following}" if following else None
    table = text.table("When", "Action", "Status", "Subject", "By", "What", rows=rows)
    table.caption = caption
    return table


def _what(entry: LogEntry) -> str:
    """The changed attributes, or else what the last step said."""
    if entry.modified:
        return "; ".join(
            f"{m.attribute}: {text.brief(m.old, 30)} → {text.brief(m.new, 30)}" for m in entry.modified
        )
    return entry.steps[-1].detail if entry.steps else ""
