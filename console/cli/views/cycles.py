"""What one cycle found and did, as JSON and as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console import errors
from console.cli.output import View
from console.cli.views import text

HEADLINES: Mapping[str, str] = {
    "applied": "Applied.",
    "reported": "Reported, nothing changed (mode: report, or a dry run).",
    "held": "Held: removals wait for a person.",
    "incomplete": "Incomplete: Graph could not be read whole, so nothing was taken from anybody.",
    "failed": "Failed.",
    "yielded": "Gave way to on-demand work; run it again.",
}

KIND_WORDS: Mapping[str, str] = {
    "missed_deprovision": "left in Entra, still active here",
    "missed_provision": "entitled in Entra, not active here",
    "attribute_mismatch": "attribute differs",
    "membership_missing": "member in Entra, not here",
    "membership_extra": "member here, not in Entra",
    "group_missing": "group assigned in Entra, not here",
    "group_extra": "group here, not assigned in Entra",
    "local_account": "account here that Entra does not know",
    "match_conflict": "more than one possible match",
}


def synced(result: Mapping[str, Any]) -> View:
    """The result of `leaver sync` (design.md §6)."""
    return View(dict(result), lambda: _summary(result))


def exit_code(result: Mapping[str, Any], remaining: int) -> int:
    """0: nothing left to do; 3: drift remains or a plan is held; 1: the cycle did not do its work."""
    if result["status"] in ("failed", "incomplete", "yielded"):
        return errors.FAILED
    return errors.ATTENTION if remaining or result.get("held_plan") else errors.DONE


def failure(result: Mapping[str, Any]) -> str | None:
    """The one line of a cycle that could not do its work at all; None for every other."""
    if result["status"] != "failed":
        return None
    error = result.get("error") or "no reason was given."
    remedy = result.get("remedy") or "The next cycle tries again; `leaver doctor` looks closer."
    return errors.one_line(f"the cycle failed: {error} {'' if remedy in error else remedy}")


def _summary(result: Mapping[str, Any]) -> RenderableType:
    status = result["status"]
    lines: list[RenderableType] = [
        Text(HEADLINES.get(status, status), style=f"bold {text.STATUS_STYLES.get(status, '')}"),
        *(Text(f"  {reason}", style=text.CARE) for reason in _reasons(result)),
        *([Text(f"  {result['remedy']}")] if result.get("remedy") else []),
        text.facts(
            [
                ("Entitled in Entra", _counts(result["counts"])),
                ("Cycle", f"{result['kind']}, {result['duration_s']:.1f} s, id {result['cycle_id']}"),
                *([("Read in full", result["why_full"])] if result.get("why_full") else []),
            ]
        ),
        *_missed(result),
        _drift(result),
        _applied(result),
    ]
    if held := result.get("held_plan"):
        lines.append(_held(held))
    return Group(*lines)


def _reasons(result: Mapping[str, Any]) -> list[str]:
    """Why something was held or not removed, each sentence once."""
    held = result.get("held_plan") or {}
    return list(dict.fromkeys([*result.get("reasons", ()), *([held["reason"]] if held else [])]))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items()) or "nothing was read"


def _missed(result: Mapping[str, Any]) -> list[RenderableType]:
    """Drift that incremental cycles should have found: a full one has put it right, and somebody should know."""
    missed = result.get("increments_missed")
    if not missed:
        return []
    told = f"  {missed} of it the incremental cycles before had missed: please report that, with the log."
    return [Text(told, style=text.CARE)]


def _drift(result: Mapping[str, Any]) -> RenderableType:
    drift = result["drift"]
    if not any(drift.values()):
        said = (
            "what changed is here too"
            if result["kind"] == "incremental"
            else "the store says what Entra says"
        )
        return Text(f"  No drift: {said}.", style=text.GOOD)
    rows = [(kind, str(number), KIND_WORDS.get(kind, "")) for kind, number in drift.items() if number]
    return text.table("Drift", "Found", "Meaning", rows=rows)


def _applied(result: Mapping[str, Any]) -> RenderableType:
    done = ", ".join(f"{number} × {action}" for action, number in result["applied"].items() if number)
    skipped = (
        f"; {result['skipped']} skipped (moved meanwhile, or failed: see leaver log)"
        if result["skipped"]
        else ""
    )
    return Text(f"  Applied: {done or 'nothing'}{skipped}.")


def _held(held: Mapping[str, Any]) -> RenderableType:
    return Group(
        Text(f"  Held plan {held['checksum'][:12]}", style=text.CARE),
        Text(f"  Look:    leaver plan show {held['id']}"),
        Text(f"  Decide:  leaver plan approve {held['checksum'][:12]}   or   leaver plan reject …"),
    )
