"""Delete rows that are older than the operator's limits, in small batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeAlias

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from config.settings import Settings
from store.logs import retention
from store.logs.retention import Pruned
from worker.services import WorkerServices

BATCHES_AT_ONCE = 10
"""Batches of one table in one round, each in its own transaction.

The rest is left to the next round.
"""

IDEMPOTENCY_DAYS = 1
"""How long a repeated request of the admin API is known."""

Prune: TypeAlias = Callable[..., Awaitable[Pruned]]

log = structlog.get_logger(__name__)


async def prune(services: WorkerServices) -> None:
    """Delete old rows of all tables that grow with time.

    Cheap if there are none.
    """
    now = services.clock()
    for name, prune_some, days in _kept(services.settings):
        work = partial(_older_than, prune_some, now - timedelta(days=days))
        rows = 0
        for _ in range(BATCHES_AT_ONCE):
            pruned = await services.db.write(work)
            rows += pruned.rows
            if pruned.is_done:
                break
        if rows:
            log.info("retention.pruned", what=name, rows=rows, older_than_days=days)


def _kept(settings: Settings) -> list[tuple[str, Prune, int]]:
    kept: list[tuple[str, Prune, int]] = [
        ("provisioning log", retention.prune_provisioning_log, settings.provisioning_log_days),
        ("audit log", retention.prune_audit_log, settings.audit_log_days),
        ("events", retention.prune_events, settings.event_days),
        ("sessions", retention.prune_sessions, settings.ended_session_days),
        ("keys of the app", retention.prune_app_keys, settings.ended_session_days),
        ("sign-ins", retention.prune_sign_ins, 1),
        ("sign-in codes", retention.prune_sign_in_codes, 1),
        ("console sessions", retention.prune_console_sessions, settings.ended_session_days),
        ("access links", retention.prune_access_links, settings.ended_session_days),
        ("receipts", retention.prune_receipts, settings.receipt_days),
        ("cycles", retention.prune_cycles, settings.drift_days),
        ("idempotency keys", retention.prune_idempotency_keys, IDEMPOTENCY_DAYS),
    ]
    if settings.history_days is not None:
        kept.append(("assessment results", retention.prune_assessment_results, settings.history_days))
    return kept


async def _older_than(prune_some: Prune, older_than: object, conn: AsyncConnection) -> Pruned:
    return await prune_some(conn, older_than)
