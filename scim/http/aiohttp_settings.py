"""Settings of aiohttp for applications with SCIM endpoints."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError

_log = logging.getLogger(__name__)

HANDLER_ARGS: dict[str, Any] = {"auto_decompress": False, "logger": _log}
"""For every application with SCIM endpoints.

aiohttp's own decoding logs a traceback for each garbled body, so `scim.http.body`
decodes. Its log repeats what it cannot parse, so the logger has a filter.
"""


def _repeat_nothing(record: logging.LogRecord) -> bool:
    """Log that a malformed HTTP request came, without its content.

    The content may be a token or a name (design.md §7, I9).
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = (
            "What came was no HTTP request: %s, answered %d",
            (type(error).__name__, error.code),
        )
        record.exc_info = record.exc_text = None
    return True


_log.addFilter(_repeat_nothing)
