"""Held plans as text: who would lose what, before a person decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console import errors
from console.cli.output import MOST_LINES, Bounded, View, json_text
from console.documents import reports as documents
from console.documents.values import page, plural, utc_text
from console.rendering import text
from console.rendering.log_evidence import plan_csv
from store.records import ConnectionId, HeldPlan, PlanStatus

Names = Mapping[ConnectionId, str]
"""TENANT/NAME of each connection."""


def listed(plans: Sequence[HeldPlan], names: Names, status: PlanStatus | None = PlanStatus.HELD) -> View:
    """Show the plans of a status (None: of all), newest first, one a row."""
    none = "No plan is held: nothing waits for a person."
    if status is not PlanStatus.HELD:
        none = f"No plan is {status}." if status else "No plan was ever held."
    rows = [
        (
            plan.checksum[:12],
            _name(plan, names),
            _status(plan),
            _sizes(plan),
            plan.reason,
            utc_text(plan.expires_at),
            plan.id,
        )
        for plan in plans
    ]
    columns = ("Checksum", "Connection", "Status", "Would", "Why it is held", "Expires", "Id")
    return View(
        page(documents.plan(plan, _name(plan, names)) for plan in plans),
        lambda: text.table(*columns, rows=rows) if rows else none,
    )


def shown(plan: HeldPlan, names: Names, *, shows_all: bool = False) -> View:
    """Show one plan: numbers and how to decide first, then its rows."""

    def card() -> RenderableType:
        if shows_all:
            return _card(plan, names, None)
        left_out = max(len(_changes(plan)) - MOST_LINES, 0)
        return Bounded(_card(plan, names, MOST_LINES), "All: --all, or --json", left_out=left_out)

    return View(documents.plan(plan, _name(plan, names)), card)


def applied(plan: HeldPlan, names: Names) -> View:
    """Show an applied plan, and what became of each of its rows."""
    document: dict[str, Any] = documents.applied_plan(plan, _name(plan, names))
    done = ", ".join(f"{number} × {action}" for action, number in document["applied"].items()) or "nothing"
    said = documents.plan_status(plan).replace("_", " ")
    lines = [f"Plan {plan.checksum[:12]} of {_name(plan, names)} is {said}. Applied: {done}."]
    lines += [f"  Left alone: {row['subject']}: {row['why']}" for row in document["dropped"]]
    return View(document, lambda: Text("\n".join([*lines, *_rest(plan)])))


def exit_code(plan: HeldPlan) -> int:
    """Return 3 where rows of the plan go on waiting, or were left alone."""
    document = documents.applied_plan(plan)
    return errors.ATTENTION if document["waiting"] or document["dropped"] else errors.DONE


def rejected(plan: HeldPlan, names: Names) -> View:
    """Show a plan that was rejected."""
    said = documents.plan_status(plan).replace("_", " ")
    line = (
        f"Plan {plan.checksum[:12]} of {_name(plan, names)} is {said}: nothing of it happens. "
        "No cycle asks again until the facts change."
    )
    return View(documents.plan(plan, _name(plan, names)), lambda: Text("\n".join([line, *_rest(plan)])))


def _rest(plan: HeldPlan) -> list[str]:
    """Return the line that says how many rows wait, and where."""
    rest, decided = plan.body.get("rest"), plan.body.get("rows")
    if not isinstance(rest, str) or not isinstance(decided, list):
        return []
    rows = len(_changes(plan))
    return [f"{rows - len(decided)} of {plural(rows, 'row')} still to decide: leaver plan show {rest[:12]}"]


def _card(plan: HeldPlan, names: Names, most_rows: int | None) -> RenderableType:
    by = f"{plan.decided_by}, {utc_text(plan.decided_at)}" if plan.decided_by else None
    rows = [
        (
            str(change["row"]),
            change["action"],
            change["subject"]["label"],
            (change.get("member") or {}).get("label"),
            change.get("reason") or change["kind"],
            _row_state(change),
        )
        for change in _rows(plan)[:most_rows]
    ]
    checksum = plan.checksum[:12]
    how = f"Decide:  leaver plan approve {checksum}   or   leaver plan reject {checksum}"
    return Group(
        text.facts(
            [
                ("Connection", _name(plan, names)),
                ("Status", _status(plan)),
                ("Decided by", by),
                ("Why it is held", plan.reason),
                ("Would", _sizes(plan)),
                ("Expires", utc_text(plan.expires_at) if plan.status is PlanStatus.HELD else None),
                ("Checksum", plan.checksum),
            ]
        ),
        *([how] if plan.status is PlanStatus.HELD else []),
        *_rest(plan),
        text.table("Row", "Action", "Subject", "Member", "Reason", "State", rows=rows),
    )


def _name(plan: HeldPlan, names: Names) -> str:
    return names.get(plan.connection_id, plan.connection_id)


def _status(plan: HeldPlan) -> Text:
    word = documents.plan_status(plan)
    return Text(word.replace("_", " "), style=text.STATUS_STYLES.get(plan.status, ""))


def _row_state(change: Mapping[str, Any]) -> str:
    word = str(change["state"]).replace("_", " ")
    return f"{word}: {change['why']}" if change["why"] else word


def _sizes(plan: HeldPlan) -> str:
    counted = Counter(change["action"] for change in _changes(plan))
    return ", ".join(f"{number} × {action}" for action, number in counted.most_common()) or "change nothing"


def _rows(plan: HeldPlan) -> Sequence[Mapping[str, Any]]:
    return documents.plan_rows(plan)


def _changes(plan: HeldPlan) -> Sequence[Mapping[str, Any]]:
    changes: Any = plan.body.get("changes", [])
    return [change for change in changes if isinstance(change, Mapping)]


def as_json(plan: HeldPlan, names: Names) -> str:
    """Return the document of `plan show --json`."""
    return json_text(documents.plan(plan, _name(plan, names)))


RENDERINGS: Mapping[str, Callable[[HeldPlan, Names], str]] = {"csv": plan_csv, "json": as_json}
