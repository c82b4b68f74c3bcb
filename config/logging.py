"""Structured logs on standard error, without secrets or personal data."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from config.settings import LogFormat, Settings
from config.visible_text import exception_text, visible_value, write_exception

# Event keys that hold a secret or personal data.
SECRET_KEYS = frozenset(
    {
        "access_token", "assertion", "authorization", "certificate", "client_assertion", "client_secret",
        "cookie", "credential", "key", "password", "private_key", "refresh_token", "secret", "secret_key",
        "set_cookie", "token",
    }
)  # fmt: skip
PERSONAL_KEYS = frozenset(
    {
        "body", "display_name", "document", "email", "emails", "mail", "name", "phone", "properties",
        "resource", "subject_label", "upn", "user_name", "user_principal_name", "username",
    }
)  # fmt: skip
_DROPPED = SECRET_KEYS | PERSONAL_KEYS

EventDict = MutableMapping[str, Any]


def drop_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace values that must not be in a log, at every depth."""
    for key in [key for key in event if _normal(key) in _DROPPED]:
        event[key] = "[dropped]"
    for key, value in event.items():
        if isinstance(value, dict):
            event[key] = drop_secrets(_logger, _method, dict(value))
    return event


def show_hidden_characters(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Escape control and bidi characters, by which a client could forge lines."""
    for key, value in event.items():
        if isinstance(value, str | dict | list | tuple) and key != "exc_info":
            event[key] = visible_value(value)
    return event


def _normal(key: str) -> str:
    """Return a key in snake case: `userName`, `user-name` and `user_name` are the same
    key.
    """
    snake = "".join("_" + letter.lower() if letter.isupper() else letter for letter in key).lstrip("_")
    return snake.replace("-", "_").lower()


def configure_logging(settings: Settings) -> None:
    """Set up structlog, and Python's logging of the libraries, for this process."""
    json = settings.log_format is LogFormat.JSON or (
        settings.log_format is LogFormat.AUTO and not sys.stderr.isatty()
    )
    level = getattr(logging, settings.log_level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        drop_secrets,
        show_hidden_characters,
    ]
    final: list[Any] = (
        [structlog.processors.ExceptionRenderer(exception_text), structlog.processors.JSONRenderer()]
        if json
        else [
            # Not the pretty traceback: it prints local variables, and with them secrets
            # and people.
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=write_exception)
        ]
    )
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(shared, final, level)


def _configure_libraries(shared: list[Any], final: list[Any], level: int) -> None:
    """Log warnings of libraries in the same form.

    Their lower levels are dropped: these contain URLs with ids.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))
