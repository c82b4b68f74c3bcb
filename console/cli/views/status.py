"""All connections in short, and the one line of `leaver check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.text import Text

from console import errors
from console.admin.reports.status import ConnectionStatus, InstallationStatus, Level
from console.cli.output import View
from console.documents import connections as documents
from console.documents.connections import connection_state
from console.documents.values import JsonDocument, page, plural
from console.rendering import text

NAMED = 10
"""Connections that `leaver check` names."""

EXIT_CODES = {Level.OK: errors.DONE, Level.WARNING: errors.ATTENTION, Level.FAILED: errors.FAILED}
STYLES = {Level.OK: text.GOOD, Level.WARNING: text.CARE, Level.FAILED: text.BAD}
MARKS = {Level.OK: "✓", Level.WARNING: "!", Level.FAILED: "✗"}
NO_WORKER = "No worker runs: nothing happens by itself. Start one: leaver worker"


def listed(found: InstallationStatus) -> View:
    """Show one line a connection, the worst first."""
    document = page(_document(each, found.at) for each in found.connections)
    document["worker"] = found.has_worker
    return View(document, lambda: _table(found))


def _table(found: InstallationStatus) -> RenderableType:
    if not found.connections:
        return "No connection is like that. All of them: leaver status"
    columns = ("Connection", "State", "Last cycle", "Read", "Open", "Held", "Credential", "Push", "Why")
    rows = [_row(each, found.at) for each in found.connections]
    remarks = [] if found.has_worker else [Text(NO_WORKER, style=text.CARE)]
    return Group(text.table(*columns, rows=rows), *remarks, _summary(found))


def _row(each: ConnectionStatus, now: datetime) -> list[Text | str]:
    connection, standing = each.connection, each.standing
    ends = connection.credential_expires_at
    findings = standing.findings
    return [
        Text.assemble((f"{MARKS[each.level]} ", STYLES[each.level]), f"{each.tenant}/{connection.name}"),
        text.status(connection_state(connection)),
        text.status(standing.last.status) if standing.last else "never",
        _age(connection.last_complete_at, now),
        "–" if findings is None else f"{findings.get('open', 0):,}",
        f"{standing.held_rows:,}",
        _days(ends, now) if connection.has_credential else "none",
        _age(standing.last_push_at, now),
        each.concerns[0].sentence if each.concerns else "",
    ]


def _summary(found: InstallationStatus) -> Text:
    counts = Counter(each.level for each in found.connections)
    return Text(
        f"{plural(len(found.connections), 'connection')}: {counts[Level.FAILED]:,} failed, "
        f"{counts[Level.WARNING]:,} to look at, {counts[Level.OK]:,} well.",
        style=STYLES[found.level],
    )


def checked(found: InstallationStatus) -> View:
    """Show one line for a monitor, with the connections that want a look."""
    concerned = [each for each in found.connections if each.concerns]
    counts = Counter(each.level for each in found.connections)
    return View(
        {
            "level": found.level.name.lower(),
            "worker": found.has_worker,
            "connections": len(found.connections),
            "failed": counts[Level.FAILED],
            "warning": counts[Level.WARNING],
            "concerned": [_document(each, found.at) for each in concerned],
        },
        lambda: Group(_summary(found), *_named(found, concerned)),
    )


def _named(found: InstallationStatus, concerned: list[ConnectionStatus]) -> Iterator[RenderableType]:
    if not found.has_worker and found.connections:
        yield text.hanging(f"  {MARKS[Level.WARNING]} ", NO_WORKER)
    for each in concerned[:NAMED]:
        name = f"  {MARKS[each.level]} {each.tenant}/{each.connection.name}: "
        yield text.hanging(name, " ".join(concern.sentence for concern in each.concerns))
    if len(concerned) > NAMED:
        yield Text(f"  and {len(concerned) - NAMED:,} more: leaver status")


def exit_code(found: InstallationStatus) -> int:
    """Return 1 where a connection failed, 3 where something waits, 0 if all is well."""
    return EXIT_CODES[found.level]


def _document(each: ConnectionStatus, now: datetime) -> JsonDocument:
    why = [concern.sentence for concern in each.concerns]
    level = each.level.name.lower()
    return documents.connection_status(each.tenant, each.connection, each.standing, level, why, now)


def _age(at: datetime | None, now: datetime) -> str:
    """Return how long ago it was in the largest unit that fits."""
    if at is None:
        return "never"
    age = max(now - at, timedelta(0))
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if age >= length:
            return f"{age // length} {unit}"
    return "now"


def _days(ends: datetime | None, now: datetime) -> str:
    return "" if ends is None else f"{(ends - now).days} d"
