"""The audit log as JSON and as text."""

from __future__ import annotations

from collections.abc import Sequence

from console.cli.output import View
from console.cli.views import text
from store.records import AuditEntry, JsonValue


def document(entry: AuditEntry) -> dict[str, JsonValue]:
    return {
        "at": text.iso(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject_label,
        "subject_id": entry.subject_id,
        "connection_id": entry.connection_id,
        "detail": dict(entry.detail),
    }


def listed(entries: Sequence[AuditEntry], limit: int) -> View:
    """Entries, newest first; `next` is the `--before` of the next page, null on the last."""
    following = entries[-1].id if len(entries) == limit else None
    whole: dict[str, JsonValue] = {"entries": [document(entry) for entry in entries], "next": following}
    if not entries:
        return View(whole, lambda: "Nothing was set up or changed here yet.")
    rows = [
        (text.when(entry.at), entry.actor, entry.action, entry.subject_label, _detail(entry))
        for entry in entries
    ]
    return View(whole, lambda: text.table("When", "Who", "What", "On", "Detail", rows=rows))


def _detail(entry: AuditEntry) -> str:
    return "; ".join(f"{name}: {text.brief(value)}" for name, value in entry.detail.items())
