"""Carry out a form once, however often it is sent.

A form holds a number that was never used. It is claimed before the deed, and the page
that followed is kept, so that a second sending leads there.
"""

from __future__ import annotations

import asyncio

from console.admin.services import Services
from store.errors import VersionMoved
from store.integration import idempotency_keys

LOOKS = 20
LOOK_EVERY_S = 0.1


async def claim(services: Services, session_id: str, key: str, form: str) -> bool:
    """Claim the number of a form for its session; False if it was claimed before."""
    try:
        await services.db.write(lambda conn: idempotency_keys.claim(conn, session_id, key, form))
    except VersionMoved:
        return False
    return True


async def keep(services: Services, session_id: str, key: str, location: str) -> None:
    """Keep where the form led to."""
    await services.db.write(
        lambda conn: idempotency_keys.keep(conn, session_id, key, 303, None, {"Location": location})
    )


async def led_to(services: Services, session_id: str, key: str) -> str | None:
    """Return where the first sending led to; None if that is not known after a moment:
    it still runs, or was refused.
    """
    for _ in range(LOOKS):
        async with services.db.reading(single_statement=True) as conn:
            kept = await idempotency_keys.find(conn, session_id, key)
        if kept is not None and kept.headers is not None:
            return kept.headers["Location"]
        await asyncio.sleep(LOOK_EVERY_S)
    return None
