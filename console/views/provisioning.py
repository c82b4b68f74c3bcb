"""On-demand provisioning: the five steps, as JSON and as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from console import errors
from console.output import View
from console.views import text

MARKS: Mapping[str, tuple[str, str]] = {
    "success": ("✓", text.GOOD),
    "skipped": ("–", text.QUIET),
    "warning": ("!", text.CARE),
    "failure": ("✗", text.BAD),
}

QUESTIONS: Mapping[str, str] = {
    "find": "Find in Entra",
    "scope": "In scope?",
    "match": "Match here",
    "evaluate": "What must change",
    "perform": "Do it",
}


def provisioned(result: Mapping[str, Any]) -> View:
    """The result of `leaver provision` (design.md §6)."""
    return View(dict(result), lambda: Group(_headline(result), *(_step(step) for step in result["steps"])))


def failure(result: Mapping[str, Any]) -> str | None:
    """The one line of a run that failed; None for every other."""
    if result["result"] != "failed":
        return None
    error = result.get("error") or "a step failed."
    remedy = result.get("remedy") or "Try again; `leaver doctor` looks closer."
    return errors.one_line(f"nothing was provisioned: {error} {'' if remedy in error else remedy}")


def exit_code(result: Mapping[str, Any]) -> int:
    return errors.FAILED if result["result"] == "failed" else errors.DONE


def _headline(result: Mapping[str, Any]) -> Text:
    line = Text(f"{result['subject']}: ")
    line.append(result["result"], style=f"bold {text.STATUS_STYLES.get(result['result'], '')}")
    return line


def _step(step: Mapping[str, Any]) -> RenderableType:
    mark, style = MARKS.get(step["status"], ("·", ""))
    line = Text(f"  {mark} ", style=style)
    line.append(f"{QUESTIONS.get(step['name'], step['name']):<18}", style="bold default")
    line.append(step["detail"], style="default not bold")
    return Group(line, *_data(step.get("data") or {}))


def _data(data: Mapping[str, Any]) -> list[RenderableType]:
    """What was read or decided, under its step; nested values are left to `--json`."""
    simple = [
        (name, text.brief(value)) for name, value in data.items() if not isinstance(value, (dict, list))
    ]
    return [Padding(text.facts(simple), (0, 0, 0, 20))] if simple else []
