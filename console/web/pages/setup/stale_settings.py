"""What changed of the settings since a form was opened: shown, before it is replaced.

A form holds beside each field the value that the page had when it was opened, as
`was.NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.web.visit import Visit
from store.records import Connection
from worker.reconcile.mapping.scoping_filters import print_clause

LABELS: Mapping[str, str] = {
    "scope": "Scope",
    "membership": "Members of assigned groups",
    "filters": "Filters",
    "interval_minutes": "Minutes between cycles",
    "full_every_hours": "Hours between full readings",
    "ceiling_percent": "Ceiling: percent of the people",
    "ceiling_count": "Ceiling: number of removals",
    "ceiling_floor": "Never held up to",
    "held_plan_days": "Days a held plan waits",
    "brake_push": "Brake on the push",
    "protect_from_push": "Protection from the push",
    "clear_emptied_attributes": "Emptied attributes",
}


@dataclass(frozen=True, slots=True)
class MovedField:
    """A setting that another person changed while a form was open."""

    label: str
    was: str
    now: str
    sent: str


def shown_values(connection: Connection) -> Mapping[str, str]:
    """Return the settings as the forms show them, by the name of the field."""
    policy, ceilings = connection.policy, connection.policy.ceilings
    filters = ("\n".join(print_clause(clause) for clause in clauses) for clauses in policy.scoping_filters)
    return {
        "scope": policy.scope.value,
        "membership": policy.membership.value,
        "filters": "\n\n".join(filters),
        "interval_minutes": str(connection.interval_minutes),
        "full_every_hours": str(policy.full_every_hours),
        "ceiling_percent": f"{ceilings.percent:g}",
        "ceiling_count": str(ceilings.count),
        "ceiling_floor": str(ceilings.floor),
        "held_plan_days": str(policy.held_plan_days),
        "brake_push": _tick(policy.brake_push),
        "protect_from_push": _tick(policy.protect_from_push),
        "clear_emptied_attributes": _tick(policy.clear_emptied_attributes),
    }


def _tick(is_set: bool) -> str:
    return "yes" if is_set else ""


def moved_fields(visit: Visit, connection: Connection) -> list[MovedField]:
    """Return the fields of a sent form that changed since the page showed them."""
    moved = []
    for name, now in shown_values(connection).items():
        if f"was.{name}" not in visit.form:
            continue
        was, sent = visit.sent(f"was.{name}"), visit.sent(name).strip()
        if was != now and sent != now:
            moved.append(MovedField(LABELS[name], *(each or "none" for each in (was, now, sent))))
    return moved


class SettingsMoved(Exception):
    """Settings changed since the form that was sent showed them: nothing is saved."""

    def __init__(self, connection: Connection, fields: Sequence[MovedField]) -> None:
        super().__init__("the settings are not as they were shown")
        self.connection = connection
        self.fields = fields


def check_shown(visit: Visit, connection: Connection) -> None:
    """Raise `SettingsMoved` if a field of the form that was sent moved."""
    if moved := moved_fields(visit, connection):
        raise SettingsMoved(connection, moved)


def filled(visit: Visit, connection: Connection) -> Mapping[str, str]:
    """Return what the form that was sent holds, in place of the settings."""
    values = dict(shown_values(connection))
    for name in values:
        if f"was.{name}" in visit.form:
            values[name] = visit.sent(name).strip()
    return values
