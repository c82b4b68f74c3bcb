"""The examples are as small as the guide says, and the one-file client keeps to the API that is served."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from console.api.contract import BASE
from console.api.routes import OPERATIONS

EXAMPLES = Path(__file__).parents[3] / "examples"
APPS = ("python/vendor_app.py", "typescript/app.ts")


def test_an_example_has_sixty_lines_of_which_few_are_about_leaver() -> None:
    """Issue 11: "each under 60 lines with at most 15 about Leaver"."""
    for name in APPS:
        lines = (EXAMPLES / name).read_text().splitlines()
        about = [
            line
            for line in lines
            if re.search(r"leaver\b|leaver[.(]|Leaver\(", line) and "//" not in line[:2]
        ]
        assert len(lines) < 60, name
        assert len(about) <= 15, (name, about)


def test_the_client_needs_the_standard_library_alone() -> None:
    tree = ast.parse((EXAMPLES / "python/leaver_client.py").read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_every_path_of_the_client_is_an_operation() -> None:
    """A path that the document does not have would fail in the vendor's app first."""
    text = (EXAMPLES / "python/leaver_client.py").read_text()
    paths = {path.partition("?")[0] for path in re.findall(r'f"{API}(/[^"]*)"', text)}
    known = {re.sub(r"\{\w+\}", "*", each.path) for each in OPERATIONS}
    assert BASE in text
    for path in paths:
        shape = re.sub(r"\{[^}]*\}", "*", path)
        assert any(each.startswith(shape) or shape.startswith(each) for each in known), path
