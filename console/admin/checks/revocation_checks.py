"""Checks whether the vendor's app knows of the access that ended."""

from __future__ import annotations

from datetime import datetime

from console.admin.checks.check import Check, CheckStatus, Remedy
from console.admin.checks.connection_checks import CheckedConnection
from console.admin.services import Services
from store.directory import receipts
from store.directory.receipts import ACKNOWLEDGED_WITHIN

MOST_SHOWN = 100


async def examine_revocations(services: Services, checked: CheckedConnection, now: datetime) -> list[Check]:
    """Warn of receipts that the app has not acknowledged for five minutes.

    One of a period in which nothing was held needs no acknowledgement.
    """
    found = checked.connection
    async with services.db.reading() as conn:
        late = await receipts.unacknowledged(
            conn,
            found.tenant_id,
            now - ACKNOWLEDGED_WITHIN,
            connection_id=found.id,
            limit=MOST_SHOWN,
        )
    if not late:
        return []
    number = f"{len(late)}{' or more' if len(late) == MOST_SHOWN else ''}"
    detail = f"The app has not acknowledged {number} ends of access for five minutes and more."
    return [checked.check("revocations", CheckStatus.WARNING, detail, Remedy.DELIVER_EVENTS)]
