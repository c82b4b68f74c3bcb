"""Carry out a form once, however often it is sent.

A form holds a number that was never used. It is claimed before the deed, and the page
that followed is kept, so that a second sending leads there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from console.admin.services import Services
from store.errors import VersionMoved
from store.integration import idempotency_keys

LOOKS = 20
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class SentForm:
    """A form of one browser, by the number that it holds."""

    services: Services
    browser: str
    """The browser's session: others have their own numbers."""
    number: str

    async def claim(self, form: str) -> bool:
        """Claim the number; False if it was claimed before."""
        try:
            await self.services.db.write(
                lambda conn: idempotency_keys.claim(conn, self.browser, self.number, form)
            )
        except VersionMoved:
            return False
        return True

    async def keep(self, location: str) -> None:
        """Keep where the form led to."""
        headers = {"Location": location}
        await self.services.db.write(
            lambda conn: idempotency_keys.keep(conn, self.browser, self.number, 303, None, headers)
        )

    async def led_to(self) -> str | None:
        """Return where the first sending led to; None if that is not known after a
        moment: it still runs, or was refused.
        """
        for _ in range(LOOKS):
            async with self.services.db.reading(single_statement=True) as conn:
                kept = await idempotency_keys.find(conn, self.browser, self.number)
            if kept is not None and kept.headers is not None:
                return kept.headers["Location"]
            await asyncio.sleep(LOOK_EVERY_S)
        return None
