"""Held plans as JSON and as text: who would lose what, before anybody agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console.cli.output import View
from console.cli.views import text
from store.records import HeldPlan, JsonValue
from worker.cycle.held_plans import Decided


def document(plan: HeldPlan) -> dict[str, JsonValue]:
    """The plan with every change it would make (design.md §6)."""
    return {
        "id": plan.id,
        "checksum": plan.checksum,
        "status": plan.status,
        "reason": plan.reason,
        "expires_at": text.iso(plan.expires_at),
        "connection_id": plan.connection_id,
        "cycle_id": plan.cycle_id,
        "created_at": text.iso(plan.created_at),
        "decided_at": text.iso(plan.decided_at),
        "decided_by": plan.decided_by,
        "changes": plan.body.get("changes", []),
    }


def listed(plans: Sequence[HeldPlan]) -> View:
    """Plans, newest first, one a row."""
    rows = [
        (
            plan.checksum[:12],
            text.status(plan.status),
            _sizes(plan),
            plan.reason,
            text.when(plan.expires_at),
            plan.id,
        )
        for plan in plans
    ]
    return View(
        [document(plan) for plan in plans],
        lambda: (
            text.table("Checksum", "Status", "Would", "Why it is held", "Expires", "Id", rows=rows)
            if rows
            else "No plan is held: nothing waits for a person."
        ),
    )


def shown(plan: HeldPlan) -> View:
    """One plan with numbers first, then every row."""
    return View(document(plan), lambda: _card(plan))


def applied(decided: Decided) -> View:
    """An approved plan, and what became of each of its rows."""
    counts = {action.value: number for action, number in decided.applied.counts.items()}
    dropped: list[JsonValue] = [
        {"subject": row.change.subject.label, "why": row.why} for row in decided.dropped
    ]
    body = {**document(decided.plan), "applied": counts, "dropped": dropped}
    done = ", ".join(f"{number} × {action}" for action, number in counts.items()) or "nothing"
    lines = [f"Plan {decided.plan.checksum[:12]} is {decided.plan.status}. Applied: {done}."]
    lines += [f"  Left alone: {row.change.subject.label}: {row.why}" for row in decided.dropped]
    return View(body, lambda: Text("\n".join(lines)))


def rejected(plan: HeldPlan) -> View:
    """A plan of which nothing happens."""
    line = f"Plan {plan.checksum[:12]} is rejected: nobody loses anything. The next cycle looks again."
    return View(document(plan), lambda: line)


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
                ("Expires", text.when(plan.expires_at)),
                ("Checksum", plan.checksum),
            ]
        ),
        text.table("Row", "Action", "Subject", "Member", "Reason", rows=rows),
        f"Decide:  leaver plan approve {plan.checksum[:12]}   or   leaver plan reject {plan.checksum[:12]}",
    )


def _sizes(plan: HeldPlan) -> str:
    counted = Counter(change["action"] for change in _changes(plan))
    return ", ".join(f"{number} × {action}" for action, number in counted.most_common()) or "change nothing"


def _changes(plan: HeldPlan) -> Sequence[Mapping[str, Any]]:
    changes: Any = plan.body.get("changes", [])
    return [change for change in changes if isinstance(change, Mapping)]
