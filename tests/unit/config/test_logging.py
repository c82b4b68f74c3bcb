"""Logs: events on standard error, without secrets or people."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from config.logging import configure_logging, drop_secrets
from config.settings import LogFormat, LogLevel, Settings


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "client_secret",
        "clientSecret",
        "Authorization",
        "set-cookie",
        "userName",
        "user_name",
        "mail",
    ],
)
def test_secrets_and_people_are_dropped_however_they_are_spelt(key: str) -> None:
    """Invariant I9: no secret or personal data in logs."""
    event = drop_secrets(
        None, "info", {"event": "request", key: "hunter2", "inner": {key: "hunter2", "count": 1}}
    )

    assert "hunter2" not in str(event)
    assert event["event"] == "request"
    assert event["inner"]["count"] == 1


def test_an_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """For machines: time, level, action and fields; standard output stays free for results."""
    configure_logging(Settings(log_format=LogFormat.JSON))

    structlog.get_logger().info("cycle finished", cycle_id="c1", removed=3)

    captured = capsys.readouterr()
    event = json.loads(captured.err)
    assert captured.out == ""
    assert (event["event"], event["level"], event["cycle_id"], event["removed"]) == (
        "cycle finished",
        "info",
        "c1",
        3,
    )
    assert event["timestamp"].endswith("Z")


def test_libraries_speak_the_same_way_and_less(capsys: pytest.CaptureFixture[str]) -> None:
    """Records of libraries have the same form; below warnings they are not heard."""
    configure_logging(Settings(log_format=LogFormat.JSON, log_level=LogLevel.DEBUG))

    logging.getLogger("httpx").info("GET https://graph/users/ann")
    logging.getLogger("httpx").warning("retrying %s", "soon")

    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "retrying soon"


def test_the_level_silences_what_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    """LEAVER_LOG_LEVEL."""
    configure_logging(Settings(log_format=LogFormat.CONSOLE, log_level=LogLevel.WARNING))

    structlog.get_logger().info("not heard")
    structlog.get_logger().warning("heard")

    assert "heard" in (err := capsys.readouterr().err)
    assert "not heard" not in err
