"""Events as text."""

from __future__ import annotations

from rich.console import Group

from console.admin.events.feed import FeedPage
from console.cli.output import View
from console.documents import events as documents
from console.documents.values import page, utc_text
from console.rendering import text


def listed(found: FeedPage) -> View:
    """Show events, the oldest first, and where to go on."""
    document = page((documents.event(each) for each in found.events), found.next)
    rows = [
        (utc_text(each.at), each.type, each.subject_id, str(each.payload.get("reason") or ""), str(each.id))
        for each in found.events
    ]
    table = text.table("At", "Type", "Subject", "Reason", "Id", rows=rows)
    more = f"Go on with: --after {found.next}"
    return View(document, lambda: Group(table, more) if rows else Group("No events.", more))
