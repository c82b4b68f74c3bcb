"""Every command that a message of Leaver's names can be typed: verbs and options exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from console.main import app

ROOT = Path(__file__).parents[3]
ROOMS = ("config", "store", "scim", "worker", "console")
TREE: Any = typer.main.get_command(app)
NAMED = re.compile(r"(?<![\w/.-])leaver ((?:[a-z][a-z-]*)(?: [^\s`'\"]+)*)")
OPTION = re.compile(r"(?<=\s)--[a-z][a-z-]*")
ENDS = re.compile(r"[,;:()]|\. |\.$|  | or | and | then | → ")
"""Where a command in a sentence is over."""


def _texts(module: Path) -> Iterator[tuple[int, str]]:
    """Every string of a module; the values in it are X."""
    tree = ast.parse(module.read_text())
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(_part(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def _part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "X"


def _commands() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for module in sorted((ROOT / room).rglob("*.py")):
            for line, text in _texts(module):
                flat = " ".join(text.split())
                for found in NAMED.finditer(flat):
                    said = ENDS.split(found.group(1))[0]
                    if said.split()[0] in TREE.commands:
                        yield f"{module.relative_to(ROOT)}:{line}", said


COMMANDS = sorted(set(_commands()))


def test_there_are_such_messages() -> None:
    """Else the tests below would test nothing."""
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("where", sorted({where.partition(":")[0] for where, _ in COMMANDS}))
def test_a_command_that_a_message_names_can_be_typed(where: str) -> None:
    """first-days: "each remedy that a message names can be followed"."""
    wrong = [
        f"{place}: leaver {said}: {fault}"
        for place, said in COMMANDS
        if place.partition(":")[0] == where and (fault := _fault(said))
    ]
    assert wrong == []


def _fault(said: str) -> str:
    """Why a command cannot be typed; empty if it can. A group alone stands for its help."""
    words, command = said.split(), TREE
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands") and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        return f"there is no {words[0]}"
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    known |= {"--help", "--debug"}
    unknown = [option for option in OPTION.findall(f" {said}") if option not in known]
    return f"there is no {', '.join(unknown)}" if unknown else ""
