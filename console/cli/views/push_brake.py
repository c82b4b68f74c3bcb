"""The brake on removals by push as text: numbers first."""

from __future__ import annotations

from console.admin.connections.push_brake import BrakeDetails
from console.cli.output import View
from console.documents import push_brake as documents
from console.documents.values import utc_text


def asked(details: BrakeDetails, for_minutes: int | None) -> str:
    """Say in numbers what was removed and refused, and what a release does."""
    then = (
        f"For {for_minutes} minutes the push may then remove without a limit."
        if for_minutes
        else "Removals by push are then counted anew, under the same limits."
    )
    return f"{_state(details)} {_removed(details)} {then}"


def released(details: BrakeDetails) -> View:
    """Say what was released."""
    until = details.released_until
    ends = f" Until {utc_text(until)} the push removes without a limit." if until else ""
    return View(
        documents.released(details.connection, details.braked, details.removed, until),
        lambda: f"{_state(details)} {_removed(details)} Released: Entra sends again by itself.{ends}",
    )


def _state(details: BrakeDetails) -> str:
    if not details.braked:
        return f"Connection {details.connection.name}: no brake holds back removals by push."
    brakes = " ".join(
        f"Stopped since {utc_text(brake.braked_at)}: {brake.reason} {brake.refused:,} requests were refused since."
        for brake in details.braked
    )
    return f"Connection {details.connection.name}: {brakes}"


def _removed(details: BrakeDetails) -> str:
    numbers = ", ".join(f"{number:,} {kind}" for kind, number in details.removed.items()) or "nothing"
    when = "since 10 minutes before" if details.braked else "in the last 10 minutes"
    return f"Removed {when}: {numbers}."
