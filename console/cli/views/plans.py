"""Held plans as text: who would lose what, before a person decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console.cli.output import Bounded, View
from console.documents import reports as documents
from console.documents.values import page, utc_text
from console.rendering import text
from store.records import HeldPlan
from worker.cycle.held_plans import Decided


def listed(plans: Sequence[HeldPlan]) -> View:
    """Show plans, newest first, one a row."""
    rows = [
        (
            plan.checksum[:12],
            text.status(plan.status),
            _sizes(plan),
            plan.reason,
            utc_text(plan.expires_at),
            plan.id,
        )
        for plan in plans
    ]
    return View(
        page(map(documents.plan, plans)),
        lambda: (
            text.table("Checksum", "Status", "Would", "Why it is held", "Expires", "Id", rows=rows)
            if rows
            else "No plan is held: nothing waits for a person."
        ),
    )


def shown(plan: HeldPlan, *, shows_all: bool = False) -> View:
    """Show one plan: numbers and how to decide first, then its rows."""
    card = _card(plan)
    return View(documents.plan(plan), lambda: card if shows_all else Bounded(card, "All: --all, or --json"))


def applied(decided: Decided) -> View:
    """Show an approved plan, and what became of each of its rows."""
    counts = decided.applied.counts
    done = ", ".join(f"{number} × {action}" for action, number in counts.items()) or "nothing"
    lines = [f"Plan {decided.plan.checksum[:12]} is {decided.plan.status}. Applied: {done}."]
    lines += [f"  Left alone: {row.change.subject.label}: {row.why}" for row in decided.dropped]
    return View(documents.applied_plan(decided), lambda: Text("\n".join(lines)))


def rejected(plan: HeldPlan) -> View:
    """Show a plan that was rejected."""
    line = f"Plan {plan.checksum[:12]} is rejected: nobody loses anything. The next cycle looks again."
    return View(documents.plan(plan), lambda: line)


def _card(plan: HeldPlan) -> RenderableType:
    rows = [
        (
            str(number),
            change["action"],
            change["subject"]["label"],
            (change.get("member") or {}).get("label"),
            change.get("reason") or change["kind"],
        )
        for number, change in enumerate(_changes(plan))
    ]
    return Group(
        text.facts(
            [
                ("Status", text.status(plan.status)),
                ("Why it is held", plan.reason),
                ("Would", _sizes(plan)),
                ("Expires", utc_text(plan.expires_at)),
                ("Checksum", plan.checksum),
            ]
        ),
        f"Decide:  leaver plan approve {plan.checksum[:12]}   or   leaver plan reject {plan.checksum[:12]}",
        text.table("Row", "Action", "Subject", "Member", "Reason", rows=rows),
    )


def _sizes(plan: HeldPlan) -> str:
    counted = Counter(change["action"] for change in _changes(plan))
    return ", ".join(f"{number} × {action}" for action, number in counted.most_common()) or "change nothing"


def _changes(plan: HeldPlan) -> Sequence[Mapping[str, Any]]:
    changes: Any = plan.body.get("changes", [])
    return [change for change in changes if isinstance(change, Mapping)]
