"""Standard streams as a shell may hand them over: closed, full, narrow, not UTF-8."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import TextIO

FEWEST_COLUMNS = 60
"""Tables and ids need as much; in less a page is columns of single letters."""


_OF_OUTPUT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def prepare_streams() -> None:
    """Put a stream in the place of each that is closed, and let none fail on a letter.

    A closed descriptor would be given to the next file that is opened, such as the
    database, and `print` would write into it.
    """
    if sys.stdin is None:
        sys.stdin = _empty()
    if sys.stdout is None:
        sys.stdout = _empty()  # not to be written to: `output_error` says so
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not is_utf8(stream):
            stream.reconfigure(errors="backslashreplace")
    columns = os.environ.get("COLUMNS", "")
    if columns and not (columns.isdecimal() and int(columns) >= FEWEST_COLUMNS):
        os.environ["COLUMNS"] = str(FEWEST_COLUMNS)


def _empty() -> TextIO:
    return Path(os.devnull).open(encoding="utf-8")


def is_utf8(stream: TextIO) -> bool:
    """Whether every text can be written to the stream as it is."""
    return (stream.encoding or "").lower().replace("-", "") in ("utf8", "utf8sig")


def output_error() -> OSError | None:
    """Return why standard output does not take what was printed, or None if it does."""
    try:
        if not sys.stdout.writable():
            return OSError(0, "it is closed")
        sys.stdout.flush()
    except OSError as error:
        return error
    return None


def is_of_output(error: Exception) -> bool:
    """Whether a write to standard output failed: no file of ours is named."""
    if isinstance(error, BrokenPipeError | io.UnsupportedOperation):
        return True
    return isinstance(error, OSError) and error.filename is None and error.errno in _OF_OUTPUT


def give_up_output() -> None:
    """Send what is still to be written to nowhere, so that the end of the process does
    not complain again.
    """
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
