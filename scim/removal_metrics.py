"""Count and log removals by push that the brake of a connection refused."""

from __future__ import annotations

import prometheus_client
import structlog

from store.errors import PushBraked
from store.records import Connection

BRAKES = prometheus_client.Counter("leaver_push_brakes_total", "Brakes on removals by push that were put on.")
REFUSED = prometheus_client.Counter(
    "leaver_push_removals_refused_total", "Requests of a push that a brake refused."
)

log = structlog.get_logger()


def note_refused(connection: Connection, braked: PushBraked) -> None:
    """Note a refused request; log once for each brake that is put on."""
    REFUSED.inc()
    if not braked.is_new:
        return
    BRAKES.inc()
    log.error(
        "push.braked",
        connection_id=connection.id,
        why=braked.reason,
        remedy=f"leaver connection release-brake {connection.id}",
    )
