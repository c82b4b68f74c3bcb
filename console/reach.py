"""Does our own SCIM endpoint answer at its public URL?"""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

from config.settings import Settings
from console.checks import Check, Found

TIMEOUT_S = 5.0


async def scim_answers(settings: Settings, area: str) -> Check:
    """Asks without a token: a Leaver at the public URL answers 401, as Entra's Test Connection would see."""
    url = f"{settings.base_url}/api/scim/v2/Users"
    status = await asyncio.to_thread(_status_of, url)
    if status == 401:
        return Check(
            area, "SCIM URL", Found.OK, f"{settings.base_url}/api/scim/v2 answers and asks for a token."
        )
    detail = f"{url} does not answer." if status is None else f"{url} answers {status}; that is not Leaver."
    remedy = "Start leaver serve, and check that LEAVER_PUBLIC_URL leads to it"
    return Check(area, "SCIM URL", Found.WARNING, detail, remedy)


def _status_of(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the operator's own setting
            status: int = answer.status
            return status
    except urllib.error.HTTPError as refused:
        return refused.code
    except (OSError, ValueError):
        return None
