"""Documents of runs that a worker was asked for."""

from __future__ import annotations

from collections.abc import Mapping

from console.documents.connections import running_cycle
from console.documents.values import JsonDocument
from store.records import Cycle, JsonValue
from store.sync.cycles import Progress


def run(
    run_id: str,
    kind: str,
    state: str,
    result: Mapping[str, JsonValue] | None,
    running: tuple[Cycle, Progress | None] | None,
) -> JsonDocument:
    """Return the document of a run: its progress, then its report or its error."""
    found = result or {}
    error = found.get("error") or found.get("skipped") or found.get("yielded")
    return {
        "run_id": run_id,
        "kind": kind,
        "state": "failed" if found.get("error") else state,
        "progress": running_cycle(*running) if running else None,
        "report": found.get("report"),
        "reports": found.get("reports"),
        "error": error,
        "remedy": found.get("remedy"),
    }
