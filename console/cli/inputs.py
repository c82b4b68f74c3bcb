"""Read what a person gives: a yes; secrets and files by value, `@FILE` or stdin."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from console.cli import output
from console.errors import WrongUse
from store.records.connections import MOST_SECRET_BYTES


def one_or_all(connection: str | None, *, all_: bool) -> str | None:
    """Return the connection that was named, or None for all of them.

    Raises `WrongUse` where both or neither was said.
    """
    if (connection is None) != all_:
        why = "both CONNECTION and --all were given" if all_ else "neither CONNECTION nor --all was given"
        raise WrongUse("which connection", why, "Name one, or say --all: leaver connection list")
    return connection


def secret(value: str, option: str) -> str:
    """Return the secret: the value, a file's text (`@FILE`), or standard input (`-`).

    A file or standard input keeps it out of the shell's history and the process list.
    Raises `WrongUse`.
    """
    if value and value != "-" and not value.startswith("@"):
        output.complain(
            f"{option} was typed as it is: it is in the shell's history and in the list of processes. "
            f"{option} @FILE or {option} - (standard input) keep it out of both."
        )
    try:
        text = content(value, option).decode().strip()
    except UnicodeDecodeError:
        raise WrongUse(f"{option} {value}", "this is not text", "Check which file was given") from None
    if not text:
        raise WrongUse(
            f"{option} is empty", "there is nothing to store", "Give a value, @FILE, or - for standard input"
        )
    return text


def content(value: str, option: str) -> bytes:
    """Return the bytes: of the value, of a file (`@FILE`), or of standard input (`-`).

    At a terminal `-` reads one line and does not show what is typed. Raises `WrongUse`.
    """
    if value == "-" and sys.stdin.isatty():
        return getpass.getpass(f"{option.removeprefix('--')}: ").encode()
    if value == "-":
        return _capped(sys.stdin.buffer.read(MOST_SECRET_BYTES + 1), option)
    if not value.startswith("@"):
        return _capped(value.encode(), option)
    try:
        with Path(value[1:]).open("rb") as file:
            return _capped(file.read(MOST_SECRET_BYTES + 1), option)
    except OSError as error:
        why = f"the file cannot be read ({error.strerror})"
        raise WrongUse(f"{option} {value}", why, "Check path and permissions") from None


def _capped(read: bytes, option: str) -> bytes:
    if len(read) > MOST_SECRET_BYTES:
        why = f"it is longer than {MOST_SECRET_BYTES:,} bytes"
        raise WrongUse(option, why, "Check which file was given")
    return read


def confirm(effect: str) -> None:
    """Show the effect on stderr and ask.

    Raises `WrongUse` where standard input is no terminal, or the answer is no: nothing
    was changed.
    """
    lines = effect.rstrip()
    if not sys.stdin.isatty():
        raise WrongUse("this needs a yes", lines, "Nothing was changed; to do it, add --yes")
    sys.stderr.write(f"{lines}\nGo on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise WrongUse("not confirmed", "the answer was no", "Nothing was changed")
