"""Checks whether the vendor's app knows of the access that ended."""

from __future__ import annotations

from datetime import datetime

from console.admin.checks.check import Check, CheckStatus, Remedy
from console.admin.checks.connection_checks import CheckedConnection
from console.admin.services import Services
from store.directory import receipts
from store.directory.receipts import ACKNOWLEDGED_WITHIN


async def examine_revocations(services: Services, checked: CheckedConnection, now: datetime) -> list[Check]:
    """Warn of receipts that the app has not acknowledged for five minutes.

    One of a period in which nothing was held needs no acknowledgement.
    """
    found = checked.connection
    async with services.db.reading() as conn:
        late = await receipts.unacknowledged(
            conn, found.tenant_id, now - ACKNOWLEDGED_WITHIN, connection_id=found.id
        )
    waiting = sum(bool(receipt.ended) for receipt in late)
    if not waiting:
        return []
    detail = f"The app has not acknowledged {waiting} ends of access for five minutes and more."
    return [checked.check("revocations", CheckStatus.WARNING, detail, Remedy.DELIVER_EVENTS)]
