"""Checks and their remedies, as JSON and as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from console import errors
from console.admin.check import Check, CheckStatus
from console.cli.output import View
from console.cli.views import text
from store.records import JsonValue

MARKS = {
    CheckStatus.OK: ("✓", text.GOOD),
    CheckStatus.WARNING: ("!", text.CARE),
    CheckStatus.FAILED: ("✗", text.BAD),
    CheckStatus.SKIPPED: ("–", text.QUIET),
}


def shown(checks: Sequence[Check]) -> View:
    """All checks, by area, with what to do under each that needs it."""
    document: dict[str, JsonValue] = {
        "ok": exit_code(checks) == errors.DONE,
        "checks": [
            {
                "area": check.area,
                "name": check.name,
                "status": check.found,
                "detail": check.detail,
                "remedy": check.remedy,
            }
            for check in checks
        ],
    }
    return View(document, lambda: Group(*_lines(checks)))


def exit_code(checks: Sequence[Check]) -> int:
    """1 when something failed; warnings are no failure."""
    return errors.FAILED if any(check.found is CheckStatus.FAILED for check in checks) else errors.DONE


def _lines(checks: Sequence[Check]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    area = None
    for check in checks:
        if check.area != area:
            area = check.area
            lines.append(Text(area, style="bold"))
        mark, style = MARKS[check.found]
        lines.append(Text.assemble((f"  {mark} ", style), (f"{check.name:<20}", "default"), check.detail))
        if check.remedy:
            lines.append(Text(f"    {'':<20}→ {check.remedy}", style=text.CARE))
    lines.append(_verdict(checks))
    return lines


def _verdict(checks: Sequence[Check]) -> Text:
    failed = sum(check.found is CheckStatus.FAILED for check in checks)
    warned = sum(check.found is CheckStatus.WARNING for check in checks)
    if failed:
        return Text(f"{failed} of {len(checks)} checks failed: do what the arrows say.", style=text.BAD)
    if warned:
        return Text(f"Works; {warned} of {len(checks)} checks want a look.", style=text.CARE)
    return Text(f"All {len(checks)} checks are well.", style=text.GOOD)
