"""Cycles that ran as text: one a row, or one with its proof."""

from __future__ import annotations

from collections.abc import Mapping

from console.admin.reports.cycles import CyclePage
from console.cli.output import View
from console.documents import cycle_history as documents
from console.documents.values import page, utc_text
from console.rendering import text
from store.records import Cycle, JsonValue


def listed(found: CyclePage, *, is_filtered: bool) -> View:
    """Show cycles, newest first; `next` is the `--before` of the next page."""
    document = page(map(documents.cycle, found.cycles), found.next)
    if not found.cycles:
        return View(
            document,
            lambda: (
                "No cycle is like that. Leave out an option to see more: --kind, --status, --before"
                if is_filtered
                else "No cycle has run yet. Run one: leaver sync CONNECTION"
            ),
        )
    rows = [
        (
            utc_text(cycle.started_at),
            cycle.kind,
            text.status(cycle.status),
            # A cycle that did not end has no number: a zero would say "none".
            "–" if cycle.complete is None else str(sum(cycle.drift.values())),
            str(sum(cycle.applied.values())),
            cycle.id,
        )
        for cycle in found.cycles
    ]
    table = text.table("Started", "Kind", "Status", "Found", "Changed", "Cycle", rows=rows)
    table.caption = f"More: --before {found.next}" if found.next else None
    return View(document, lambda: table)


def shown(cycle: Cycle) -> View:
    """Show one cycle with the numbers of what was read, found and changed."""
    return View(
        documents.cycle(cycle),
        lambda: text.facts(
            [
                ("Cycle", cycle.id),
                ("Kind", cycle.kind),
                ("Status", text.status(cycle.status)),
                ("Started", utc_text(cycle.started_at)),
                ("Ended", utc_text(cycle.finished_at) or "runs now"),
                ("Complete", {True: "yes", False: "no", None: ""}[cycle.complete]),
                ("Read everything", cycle.why_full),
                ("Entitled in Entra", _numbers(cycle.counts)),
                ("Found", _numbers(cycle.drift) or "nothing"),
                ("Changed", _numbers(cycle.applied) or "nothing"),
                ("Passed over", str(cycle.skipped) if cycle.skipped else ""),
                ("Missed by increments", str(cycle.increments_missed) if cycle.increments_missed else ""),
                ("Held plan", cycle.held_plan_id),
                ("Error", cycle.error),
            ]
        ),
    )


def _numbers(counts: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
