"""A command whose streams are closed, full or of another encoding: one plain line, never a defect."""

from __future__ import annotations

import errno
import io
import json
import os
import sys

import pytest

from console import streams
from console.cli.output import View, show
from console.main import main


class Full(io.TextIOWrapper):
    """Standard output on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(streams, "give_up_output", lambda: None)


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["secret-key"]])
def test_a_full_disk_behind_standard_output_is_no_defect(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """first-days: "errors of the outside world are not a defect in Leaver"."""
    monkeypatch.setattr(sys, "stdout", Full(io.BytesIO(), encoding="utf-8"))
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("leaver: standard output cannot be written: No space left on device.")


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["secret-key"], ["secret-key", "--json"]])
def test_a_reader_that_has_seen_enough_is_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """`leaver … | true`: nothing is said, and the exit status is that of a command that is done."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8", buffering=1) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(words) == 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_as_before")
def test_closed_streams_are_told_and_take_no_file_of_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`leaver … >&- <&-`: Python has None in their place, and the next file would get their number."""
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["secret-key"]) == 1
    assert "standard output cannot be written: it is closed" in capsys.readouterr().err
    assert sys.stdin.read() == ""
    assert not sys.stdin.isatty()
    sys.stdin.close()
    sys.stdout.close()


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_a_terminal_has_no_letters_for_is_escaped(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """JSON stays JSON, and says the same."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    streams.prepare_streams()
    view = View({"name": "Zoë ✓"}, lambda: "Zoë ✓")
    show(view, as_json=True)
    sys.stdout.flush()
    assert json.loads(raw.getvalue()) == {"name": "Zoë ✓"}
    show(view, as_json=False)
    sys.stdout.flush()
    assert raw.getvalue().endswith(b"\\u2713\n")


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize(("given", "used"), [("5", "60"), ("0", "60"), ("wide", "60"), ("100", "100")])
def test_fewer_columns_than_a_table_needs_are_as_many_as_it_needs(
    monkeypatch: pytest.MonkeyPatch, given: str, used: str
) -> None:
    """first-days: "`COLUMNS` below 60"."""
    monkeypatch.setenv("COLUMNS", given)
    streams.prepare_streams()
    assert os.environ["COLUMNS"] == used
