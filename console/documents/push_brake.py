"""The document of a connection's brakes on removals by push."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from console.documents.values import JsonDocument, iso
from store.records import Connection, PushRemoval
from store.tenancy.push_brakes import PushBrake


def released(
    connection: Connection,
    braked: Sequence[PushBrake],
    removed: Mapping[PushRemoval, int],
    until: datetime | None,
) -> JsonDocument:
    """Return what was released, and until when the push removes without a limit."""
    return {
        "connection_id": connection.id,
        "released": [
            {
                "kind": brake.kind,
                "braked_at": iso(brake.braked_at),
                "reason": brake.reason,
                "refused": brake.refused,
            }
            for brake in braked
        ],
        "removed": {kind.value: number for kind, number in removed.items()},
        "released_until": iso(until),
    }
