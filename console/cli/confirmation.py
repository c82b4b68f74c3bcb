"""Ask the person at the terminal before something far-reaching is done."""

from __future__ import annotations

import sys

from console.errors import WrongUse


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
