"""Docstrings and comments are plain technical English: a newcomer reads each once."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("config", "store", "scim", "worker", "console")

RIDDLES = re.compile(r"\b(whoever|whomever|whom|whatever|nobody|somebody|everybody|anybody)\b", re.IGNORECASE)
"""A person without a noun: name the user, account, administrator, caller or row instead."""

METAPHORS = re.compile(
    r"\b(bury|buried|burying|crowds?|heritage|haste|riddle|glances?|at a glance|troupe|cast of|stage fright"
    r"|patience|patiently|knock(?:s|ed)?|newcomers?|arrivals?|goners?|referee|wish(?:es)?)\b",
    re.IGNORECASE,
)
"""Pictures that a reader has to translate back; the field has words of its own."""


def _prose(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the comments and docstrings of a module, each with the line it begins on.

    A docstring is a string that begins a logical line; messages for users stand inside brackets or after a name.
    """
    depth, begins_line = 0, True
    for token in tokenize.generate_tokens(io.StringIO(module.read_text()).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and begins_line and depth == 0):
            yield token.start[0], token.string
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            begins_line = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def _found(room: str, pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{module.relative_to(ROOT)}:{line}: {match.group()}"
        for module in sorted((ROOT / room).rglob("*.py"))
        for line, text in _prose(module)
        for match in pattern.finditer(text)
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_prose_names_the_person_or_thing_it_speaks_of(room: str) -> None:
    """layout: "no who/whom/whoever/nobody as subject"."""
    assert _found(room, RIDDLES) == []


@pytest.mark.parametrize("room", ROOMS)
def test_prose_uses_no_metaphor(room: str) -> None:
    """layout: "no metaphor"; the words of SCIM, Graph and OpenID are enough."""
    assert _found(room, METAPHORS) == []
