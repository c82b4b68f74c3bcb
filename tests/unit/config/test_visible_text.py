"""Text of others as it is shown: no control character, no value that an error quotes."""

from __future__ import annotations

import json
import sys

import pytest
import structlog

from config.logging import configure_logging
from config.settings import LogFormat, Settings
from config.visible_text import exception_text, visible, visible_lines

NAME = " ".join(("Ada", "Marsh"))  # a traceback quotes lines of code too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ada\x1b[2Jx", "Ada\\u001b[2Jx"),
        ("a\u202eb\x9bc", "a\\u202eb\\u009bc"),
        ("a\nb", "a\\u000ab"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("José 👨\u200d👩", "José 👨\u200d👩"),
    ],
)
def test_what_a_terminal_obeys_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_json_that_is_made_visible_is_the_same_json() -> None:
    document = {"name": "a\u202eb\x9b\U000e0041 é", "n": [1, "\n"]}
    shown = visible_lines(json.dumps(document, indent=2, ensure_ascii=False))
    assert "\u202e" not in shown
    assert json.loads(shown) == document


def test_a_traceback_names_the_place_and_no_value() -> None:
    """Invariant I9: PostgreSQL and Python quote the value that they refuse."""
    messages = []
    for error in (
        ValueError(f"invalid literal: {NAME!r}"),
        KeyError(NAME),
        RuntimeError(f"duplicate key\nDETAIL:  Key (user_name_key)=({NAME}) already exists."),
        RuntimeError(f"Key (user_name_key)=({NAME}) already exists"),
    ):
        try:
            try:
                raise error
            except Exception as cause:
                raise LookupError(f'no "{NAME}"') from cause
        except LookupError:
            messages.append(exception_text(sys.exc_info()))
    assert "Marsh" not in "".join(messages)
    assert all("test_visible_text.py" in each and "LookupError" in each for each in messages)
    assert "ValueError: invalid literal" in messages[0]


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.CONSOLE])
def test_a_log_line_holds_no_control_character(form: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format=form))
    log = structlog.get_logger()
    log.warning("scim\nforged", path="/Users/\u202e\x1b[2J", inner={"a": ["\x9b"]})
    try:
        raise ValueError(f"name {NAME!r} \x1b[2J")
    except ValueError:
        log.exception("failed")
    err = capsys.readouterr().err
    assert [each for each in ("\x1b[2J", "\u202e", "\x9b") if each in err] == []
    assert "Marsh" not in err
    assert "ValueError" in err
