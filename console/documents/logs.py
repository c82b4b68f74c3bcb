"""Documents of log entries, the doctor's checks, and the database with its backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from console.documents.values import JsonDocument, iso
from store.backup import CopiedFile
from store.records import AuditEntry, JsonValue, LogEntry, Origin


def log_entry(entry: LogEntry, name: str | None = None) -> JsonDocument:
    """Return the document of one attempted change; `name` of its connection, in a list
    of several.
    """
    return {
        **({} if name is None else {"connection": name, "connection_id": entry.connection_id}),
        "at": iso(entry.at),
        "action": entry.action,
        "status": entry.status,
        "subject": entry.subject_label,
        "subject_type": entry.subject_type,
        "subject_id": entry.subject_id,
        "origin": entry.origin,
        "actor": entry.actor,
        "steps": [
            {"name": step.name, "status": step.status, "detail": step.detail, "data": dict(step.data)}
            for step in entry.steps
        ],
        "modified": [{"attribute": m["attribute"], "old": m["old"], "new": m["new"]} for m in entry.modified],
        "correlation_id": entry.correlation_id,
        "cycle_id": entry.correlation_id if entry.origin is Origin.GRAPH else None,
        "finding": structs.asdict(entry.finding) if entry.finding else None,
    }


def audit_entry(entry: AuditEntry) -> JsonDocument:
    """Return the document of one deed of a person or a program."""
    return {
        "at": iso(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject_label,
        "subject_id": entry.subject_id,
        "connection_id": entry.connection_id,
        "detail": dict(entry.detail),
    }


def check(area: str, name: str, status: str, detail: str, remedy: str) -> JsonDocument:
    """Return the document of one check; the face has worded the remedy."""
    return {"area": area, "name": name, "status": status, "detail": detail, "remedy": remedy}


def checks(documents: Sequence[JsonDocument], *, ok: bool) -> JsonDocument:
    """Return the document of all checks; `ok` says that none failed."""
    listed: list[JsonValue] = list(documents)
    return {"ok": ok, "checks": listed}


def database(dialect: str, revision: str) -> JsonDocument:
    """Return the document of a database with this version's schema."""
    return {"database": dialect, "revision": revision, "up_to_date": True}


def backed_up(copied: Sequence[CopiedFile]) -> JsonDocument:
    """Return the document of a backup: its files."""
    return {"files": [{"path": str(each.path), "size_bytes": each.size_bytes} for each in copied]}


def restored(connections: int) -> JsonDocument:
    """Return the document of a restore: the connections whose removals are held."""
    return {"restored": True, "connections_held": connections}


def resealed(before: Mapping[str, int], after: Mapping[str, int]) -> JsonDocument:
    """Return the document of a change of key: the counts before and after."""
    return {
        "before": dict(before),
        "after": dict(after),
        "resealed": before["earlier"] - after["earlier"],
    }
