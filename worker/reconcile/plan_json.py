"""Read plans back from JSON: a held plan is stored, shown and approved that way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from store.records import Action, ConnectionId, DriftKind, GraphId, Reason, SubjectType
from worker.reconcile.plan import Absentee, Change, Finding, Plan, Subject

Json = Mapping[str, Any]


class PlanUnreadable(ValueError):
    """Stored JSON is not a plan, or does not match its checksum."""


def plan_from_json(data: Json) -> Plan:
    """Read a plan back.

    Raises `PlanUnreadable` if it is damaged: what is applied is what was approved.
    """
    try:
        plan = _plan(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanUnreadable(
            f"The stored plan cannot be read ({error!r}); let the next cycle make a new one."
        ) from error
    if plan.checksum != data["checksum"]:
        raise PlanUnreadable(
            f"The stored plan is {plan.checksum}, and says it is {data['checksum']}; "
            "let the next cycle make a new one."
        )
    return plan


def due_rows_from_json(data: Json) -> tuple[Plan, tuple[tuple[Change, str], ...]]:
    """Read a held plan back with its rows that have not ended, each with its removal
    key.

    Raises `PlanUnreadable` like `plan_from_json`, and where the keys are not those of
    the rows.
    """
    plan = plan_from_json(data)
    keys, ended = _texts(data, "keys"), frozenset(_texts(data, "ended"))
    if len(keys) != len(plan.changes):
        raise PlanUnreadable(
            f"The stored plan has {len(plan.changes)} rows and {len(keys)} removal keys; "
            "let the next cycle make a new one."
        )
    rows = zip(plan.changes, keys, strict=True)
    return plan, tuple((change, key) for change, key in rows if key not in ended)


def _texts(data: Json, name: str) -> tuple[str, ...]:
    found = data.get(name) or ()
    if isinstance(found, list | tuple) and all(isinstance(each, str) for each in found):
        return tuple(found)
    raise PlanUnreadable(
        f"`{name}` of the stored plan is {type(found).__name__}, not a list of removal keys; "
        "let the next cycle make a new one."
    )


def _plan(data: Json) -> Plan:
    made_at = data["made_at"]
    return Plan(
        ConnectionId(data["connection_id"]),
        tuple(_change(change) for change in data["changes"]),
        tuple(_finding(finding) for finding in data["findings"]),
        tuple(_absentee(absentee) for absentee in data["absentees"]),
        datetime.fromisoformat(made_at) if made_at else None,
    )


def _change(data: Json) -> Change:
    return Change(
        DriftKind(data["kind"]),
        Action(data["action"]),
        _subject(data["subject"]),
        _reason(data["reason"]),
        _subject(data["member"]) if data["member"] else None,
        dict(data["before"]),
        dict(data["after"]),
        data["expected_version"],
        data["note"],
        tuple(GraphId(claimant) for claimant in data["claimants"]),
        data["hold_reason"],
    )


def _finding(data: Json) -> Finding:
    return Finding(
        DriftKind(data["kind"]),
        _subject(data["subject"]),
        data["detail"],
        tuple(data["candidates"]),
        _reason(data["reason"]),
    )


def _absentee(data: Json) -> Absentee:
    lookups: Sequence[Sequence[str]] = data["lookups"]
    return Absentee(_subject(data["subject"]), tuple((name, value) for name, value in lookups))


def _subject(data: Json) -> Subject:
    graph_id = data["graph_id"]
    return Subject(
        SubjectType(data["type"]),
        GraphId(graph_id) if graph_id else None,
        data["local_id"],
        data["label"],
    )


def _reason(value: str | None) -> Reason | None:
    return Reason(value) if value else None
