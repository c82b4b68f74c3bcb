"""Documents of cycles that ran, with all that was kept of them."""

from __future__ import annotations

from console.documents.values import JsonDocument, iso
from store.records import Cycle


def cycle(record: Cycle) -> JsonDocument:
    """Return the document of one cycle, its proof of completeness included."""
    return {
        "cycle_id": record.id,
        "kind": record.kind,
        "status": record.status,
        "started_at": iso(record.started_at),
        "finished_at": iso(record.finished_at),
        "complete": record.complete,
        "why_full": record.why_full,
        "counts": dict(record.counts),
        "drift": None if record.complete is None else dict(record.drift),
        "findings": None if record.complete is None else dict(record.findings),
        "applied": dict(record.applied),
        "skipped": record.skipped,
        "increments_missed": record.increments_missed,
        "held_plan_id": record.held_plan_id,
        "error": record.error,
        "completeness": dict(record.completeness),
    }
