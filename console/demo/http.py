"""One HTTP exchange by the standard library, as any client of the processes has it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from console.errors import CommandError

TIMEOUT_S = 120.0


def call(method: str, url: str, body: object = None, token: str | None = None) -> Any:
    """Return the JSON of a successful response, None where it is empty.

    Raises `CommandError` for any other response.
    """
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own loopback processes
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            raw = answer.read()
    except urllib.error.HTTPError as refused:
        raise _broken(
            method, url, f"{refused.code} {refused.read(300).decode(errors='replace')}"
        ) from refused
    except OSError as error:
        raise _broken(method, url, str(error)) from error
    return json.loads(raw) if raw else None


def _broken(method: str, url: str, why: str) -> CommandError:
    return CommandError(
        f"the demo stopped at: {method} {url}", why, "Please report this; it should not happen"
    )
