"""Findings of drift in a few words, and the five steps of on-demand provisioning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console.rendering import text
from store.records import DriftKind, JsonValue

ReportDocument = Mapping[str, Any]
"""The document of an on-demand report (design.md §6)."""

MOST_CHANGES, MOST_WITH_ATTRIBUTES = 10, 3

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
    "state_unknown": "Microsoft Graph does not say enough",
}

_COUNT_WORDS: Mapping[str, str] = {
    "open": "open",
    "new": "new",
    "held": "held",
    "repaired": "repaired",
    "accepted": "accepted risks",
    "resolved": "resolved",
}

_IN_THE_SENTENCE = frozenset({"entitled", "reason", "accountEnabled"})
"""Data that the sentence of its step says already."""


def finding_counts(findings: Mapping[str, int]) -> str:
    """Return the numbers of a report: what is open and new always, the others if there
    are any.
    """
    always = ("open", "new")
    return ", ".join(
        f"{findings.get(name, 0):,} {words}"
        for name, words in _COUNT_WORDS.items()
        if name in always or findings.get(name)
    )


def differences(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> str:
    """Return `attribute: here → in Entra` for each attribute that differs."""
    names = sorted({*before, *after})
    return "; ".join(f"{n}: {text.brief(before.get(n), 30)} → {text.brief(after.get(n), 30)}" for n in names)


def entra_says(evidence: Mapping[str, Any], kind: DriftKind | None = None) -> str:
    """Return what Entra answered about this one user, or else why nothing was done.

    For an unmatched account it was a search, which proves no absence.
    """
    answer = evidence.get("graph")
    if not answer:
        return str(evidence.get("why") or evidence.get("note") or evidence.get("detail") or "")
    if not answer["readable"]:
        return f"no usable answer: {answer['detail']}"
    if answer["soft_deleted_at"]:
        return "in the recycle bin"
    if not answer["user_found"]:
        return "no one was found" if kind is DriftKind.UNMATCHED_ACCOUNT else "does not exist"
    if answer["account_enabled"] is False:
        return "account disabled"
    is_assigned = answer["assigned_directly"] or answer["assigned_by_group"]
    return "entitled" if is_assigned else "not assigned"


def lost_when(evidence: Mapping[str, Any]) -> str:
    """Return when a leaver lost the entitlement in Entra: at a time, or between two
    readings.
    """
    lost = evidence.get("lost")
    if not lost:
        return ""
    if at := lost.get("at"):
        return f"at {_to_the_second(at)}"
    after, before = lost.get("after"), _to_the_second(lost["before"])
    return f"between {_to_the_second(after)} and {before}" if after else f"before {before}"


def last_push(evidence: Mapping[str, Any]) -> str:
    """Return what the push had done for a leaver before."""
    push = evidence.get("push")
    if not push:
        return ""
    if not push["last_at"]:
        return "none"
    detail = f", {push['detail']}" if push["detail"] else ""
    return f"{push['action']} {push['status']} at {_to_the_second(push['last_at'])}{detail}"


def _to_the_second(moment: str) -> str:
    return f"{moment[:19].replace('T', ' ')}Z"


def provisioned_subject(report: ReportDocument) -> RenderableType:
    """Return the result, every step with its data, and Entra's own answer."""
    parts: list[RenderableType] = [_headline(report), *(_step(step) for step in report["steps"])]
    if entra := report.get("entra"):
        parts += _entra(entra)
    return Group(*parts)


def result_word(report: ReportDocument) -> Text:
    """Return the result in its colour; of a dry run, what it would have been."""
    word = f"would be {report['would']}" if report.get("would") else report["result"]
    style = text.STATUS_STYLES.get(report.get("would") or report["result"], "")
    return Text(word, style=f"bold {style}".strip())


def _headline(report: ReportDocument) -> Text:
    line = Text(f"{report['subject']}: ")
    line.append_text(result_word(report))
    return line


def _step(step: ReportDocument) -> RenderableType:
    return Group(
        _step_line(step, QUESTIONS.get(step["name"], step["name"])),
        *_data(step["name"], step.get("data") or {}),
    )


def _step_line(step: ReportDocument, question: str) -> RenderableType:
    mark, style = MARKS.get(step["status"], ("·", ""))
    first = Text.assemble((f"  {mark} ", style), (f"{question:<18}", "bold default"))
    return text.hanging(first, step["detail"])


def _data(step: str, data: ReportDocument) -> list[RenderableType]:
    """Return what was read or decided, under its step.

    Nested values are in `--json` only.
    """
    if step == "perform":
        facts = list(_changes(data.get("written") or data.get("write") or []))
    else:
        facts = [(name, text.brief(value)) for name, value in data.items() if _is_shown(name, value)]
    return [text.facts(facts, indent=22)] if facts else []


def _is_shown(name: str, value: JsonValue) -> bool:
    return name not in _IN_THE_SENTENCE and value is not None and not isinstance(value, (dict, list))


def _changes(written: Sequence[ReportDocument]) -> Iterator[tuple[str, str]]:
    """Yield every attribute of a few changes, and one line each of many."""
    for change in written[:MOST_CHANGES]:
        yield change["action"].replace("_", " "), text.brief(change["member"] or change["subject"])
        if len(written) <= MOST_WITH_ATTRIBUTES:
            for path, value in change["attributes"].items():
                yield f"  {path.rpartition(':')[2]}", _from_to(value)
    if len(written) > MOST_CHANGES:
        yield "…", "and more; --json lists them"


def _from_to(value: ReportDocument) -> str:
    new = text.brief(value["new"])
    return new if value["old"] is None else f"{text.brief(value['old'])} → {new}"


def _entra(entra: ReportDocument) -> Iterator[RenderableType]:
    line = Text("Asked Entra: ")
    line.append(entra["result"], style=f"bold {text.STATUS_STYLES.get(entra['result'], '')}".strip())
    line.append(f". {entra['detail']}")
    yield line
    for step in entra["steps"]:
        yield _step_line(step, step["name"])
    if remedy := entra.get("remedy"):
        yield text.hanging("    ", remedy)
