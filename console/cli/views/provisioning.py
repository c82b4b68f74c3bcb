"""On-demand provisioning: the five steps of a subject, the summary of a list; as JSON and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from console import errors
from console.cli.output import View
from console.cli.views import text
from store.records import JsonValue

Result = Mapping[str, Any]

MOST_WITH_STEPS = 5
"""Of a longer list every subject gets one line; its steps are in `--json`."""
MOST_CHANGES, MOST_WITH_ATTRIBUTES = 10, 3

RESULTS = ("created", "updated", "disabled", "enabled", "unchanged", "skipped", "failed")

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


def provisioned(result: Result) -> View:
    """The result of `leaver provision` for one subject (design.md §6)."""
    return View(dict(result), lambda: _subject(result))


def listed(results: Sequence[Result], *, repeated: int = 0) -> View:
    """The results of a list: `{"results": [one for each subject], "counts": {"subjects", RESULT: n, ...}}`."""
    words = Counter(result["result"] for result in results)
    counts: dict[str, JsonValue] = {"subjects": len(results), **{word: words[word] for word in RESULTS}}
    document: JsonValue = {"results": [dict(result) for result in results], "counts": counts}
    return View(document, lambda: Group(*_list(results, words, repeated)))


def failure(results: Sequence[Result]) -> str | None:
    """The one line of a run that failed; None for every other."""
    failed = [result for result in results if _has_failed(result)]
    if not failed:
        return None
    if len(results) > 1:
        more = "What failed is listed with its reason" if len(failed) < len(results) else _why(failed[0])
        return errors.one_line(f"{len(failed)} of {len(results)} subjects failed. {more}")
    what = "nothing was provisioned" if failed[0]["result"] == "failed" else "Entra did not do it"
    return errors.one_line(f"{what}: {_why(failed[0])}")


def exit_code(results: Sequence[Result]) -> int:
    """1 where something failed, 3 where something differs that was left as it is, else 0."""
    if any(map(_has_failed, results)):
        return errors.FAILED
    return errors.ATTENTION if any(map(_remains, results)) else errors.DONE


def _has_failed(result: Result) -> bool:
    return result["result"] == "failed" or (result.get("entra") or {}).get("result") == "failed"


def _remains(result: Result) -> bool:
    """A dry run was asked to leave everything as it is."""
    if result.get("would"):
        return False
    undone = any(step["status"] == "warning" for step in result["steps"][3:])
    return result["result"] == "skipped" or undone


def _why(result: Result) -> str:
    """Why it failed, and what to do."""
    if result["result"] != "failed":
        result = result["entra"]
        why, remedy = result["detail"], result.get("remedy") or ""
    else:
        steps = [step for step in result["steps"] if step["status"] == "failure"]
        why = result.get("error") or (steps[0]["detail"] if steps else "a step failed.")
        remedy = result.get("remedy") or ("" if result.get("error") else _LOOK_CLOSER)
    return errors.one_line(f"{errors.one_line(why)} {'' if remedy in why else remedy}")


_LOOK_CLOSER = "The step says why; `leaver drift show CONNECTION` and `leaver log CONNECTION` look closer."

# --- one subject ---


def _subject(result: Result) -> RenderableType:
    parts: list[RenderableType] = [_headline(result), *(_step(step) for step in result["steps"])]
    if entra := result.get("entra"):
        parts += _entra(entra)
    return Group(*parts)


def _headline(result: Result) -> Text:
    line = Text(f"{result['subject']}: ")
    line.append_text(_result(result))
    return line


def _result(result: Result) -> Text:
    word = f"would be {result['would']}" if result.get("would") else result["result"]
    style = text.STATUS_STYLES.get(result.get("would") or result["result"], "")
    return Text(word, style=f"bold {style}".strip())


def _step(step: Result) -> RenderableType:
    return Group(
        _step_line(step, QUESTIONS.get(step["name"], step["name"])),
        *_data(step["name"], step.get("data") or {}),
    )


def _step_line(step: Result, question: str) -> Text:
    mark, style = MARKS.get(step["status"], ("·", ""))
    line = Text(f"  {mark} ", style=style)
    line.append(f"{question:<18}", style="bold default")
    line.append(step["detail"], style="default not bold")
    return line


def _data(step: str, data: Result) -> list[RenderableType]:
    """What was read or decided, under its step; what is nested deeper is left to `--json`."""
    if step == "perform":
        facts = list(_changes(data.get("written") or data.get("write") or []))
    else:
        facts = [(name, text.brief(value)) for name, value in data.items() if _is_shown(name, value)]
    return [Padding(text.facts(facts), (0, 0, 0, 20))] if facts else []


def _is_shown(name: str, value: JsonValue) -> bool:
    return name not in _TOLD and value is not None and not isinstance(value, (dict, list))


_TOLD = frozenset({"entitled", "reason", "accountEnabled"})
"""The step's sentence says it already."""


def _changes(written: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """What is written: of a few changes every attribute, of many one line each."""
    for change in written[:MOST_CHANGES]:
        who = change["member"] or change["subject"]
        yield change["action"].replace("_", " "), text.brief(who)
        if len(written) <= MOST_WITH_ATTRIBUTES:
            for path, value in change["attributes"].items():
                yield f"  {path.rpartition(':')[2]}", _from_to(value)
    if len(written) > MOST_CHANGES:
        yield "…", "and more; --json lists them"


def _from_to(value: Result) -> str:
    new = text.brief(value["new"])
    return new if value["old"] is None else f"{text.brief(value['old'])} → {new}"


def _entra(entra: Result) -> Iterator[RenderableType]:
    line = Text("Asked Entra: ")
    line.append(entra["result"], style=f"bold {text.STATUS_STYLES.get(entra['result'], '')}".strip())
    line.append(f". {entra['detail']}")
    yield line
    for step in entra["steps"]:
        yield _step_line(step, step["name"])
    if remedy := entra.get("remedy"):
        yield Padding(remedy, (0, 0, 0, 4))


# --- a list ---


def _list(results: Sequence[Result], words: Mapping[str, int], repeated: int) -> Iterator[RenderableType]:
    if len(results) <= MOST_WITH_STEPS:
        for result in results:
            yield _subject(result)
            yield ""
    else:
        yield text.table("subject", "result", "why", rows=map(_row, results))
    yield _summary(results, words, repeated)
    for result in filter(_has_failed, results):
        yield Text.assemble(("  ✗ ", text.BAD), f"{result['subject']}: {_why(result)}")


def _row(result: Result) -> Sequence[RenderableType]:
    return _named(result), _result(result), _reason(result)


def _named(result: Result) -> str:
    """As it was asked for, with the name that Entra knows it by where that is another."""
    asked: str = result["subject"]
    found = result["steps"][0].get("data") or {}
    name = found.get("userPrincipalName") or found.get("displayName") or ""
    return asked if name.casefold() in ("", asked.casefold()) else f"{name} ({asked})"


def _reason(result: Result) -> str:
    """The detail of the step that decided."""
    steps = {step["name"]: step for step in result["steps"]}
    bad = [step for step in result["steps"] if step["status"] in ("failure", "warning")]
    detail: str = (bad[-1] if bad else steps["scope"])["detail"]
    return detail


def _summary(results: Sequence[Result], words: Mapping[str, int], repeated: int) -> Text:
    would = Counter(result["would"] for result in results if result.get("would"))
    parts = [f"{would[word]} would be {word}" for word in RESULTS if would[word]]
    parts += [
        f"{number} {word}"
        for word in RESULTS
        if (number := words[word] - (word == "skipped") * would.total())
    ]
    again = f" ({repeated} named more than once)" if repeated else ""
    return Text(f"{len(results)} subjects{again}: {', '.join(parts)}.", style="bold")
