"""Errors of the process that a person started: one line, "what: why. What to do"."""

from __future__ import annotations

import re

from config.errors import SettingsError

DONE = 0
FAILED = 1
WRONG_USE = 2
ATTENTION = 3
"""Done, but drift remains or a plan is held."""

OUR_ROOMS = frozenset({"config", "store", "scim", "worker", "console"})


class CommandError(Exception):
    """The command cannot go on. `str()` is the whole line that a person reads."""

    exit_code = FAILED

    def __init__(self, what: str, why: str, remedy: str, code: str = "") -> None:
        self.what, self.why, self.remedy, self.code = what, why, remedy, code
        super().__init__(f"{what}: {_sentence(why)} {_sentence(remedy)}")


class WrongUse(CommandError):
    """The command line is refused: an unknown reference, or a value that cannot be."""

    exit_code = WRONG_USE


def explain(error: Exception) -> str:
    """Return the one line for any error that ends a command.

    Errors declared by one of our rooms are written for people. Any other error is a
    defect of ours, and the line says so.
    """
    if _is_ours(error):
        remedy = getattr(error, "remedy", "")
        return one_line(str(error) if remedy in str(error) else f"{one_line(str(error))} {remedy}")
    return (
        f"unexpected {type(error).__name__}: {one_line(str(error))} "
        "This is a defect in Leaver; run the same command with --debug and report what it prints."
    )


def document(error: Exception) -> dict[str, dict[str, str]]:
    """Return the error for a program: a code, a message, and what to do.

    The code is the name of the typed error, `defect` for any other.
    """
    if isinstance(error, CommandError):
        code = error.code or ("wrong_use" if error.exit_code == WRONG_USE else "failed")
        message, remedy = f"{error.what}: {_sentence(error.why)}", _sentence(error.remedy)
    else:
        code = _code_of(error) if _is_ours(error) else "defect"
        remedy = str(getattr(error, "remedy", "") or "")
        message = explain(error)
    return {"error": {"code": code, "message": message, "remedy": remedy}}


def _code_of(error: Exception) -> str:
    return _WORD.sub("_", type(error).__name__).lower()


def with_code(error: Exception, cause: Exception) -> Exception:
    """Return an error of a command with the code of the use case's error behind it."""
    if isinstance(error, CommandError) and not error.code and error is not cause:
        error.code = _code_of(cause)
    return error


_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def exit_code(error: Exception) -> int:
    """Return the exit status for an error that ends a command.

    A wrong setting is wrong use, like a wrong option.
    """
    if isinstance(error, SettingsError):
        return WRONG_USE
    return error.exit_code if isinstance(error, CommandError) else FAILED


def one_line(text: str) -> str:
    """Return the text as one sentence on one line; empty stays empty."""
    return _sentence(" ".join(text.split())) if text.strip() else ""


def _is_ours(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in OUR_ROOMS


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."
