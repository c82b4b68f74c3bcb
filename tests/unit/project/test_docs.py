"""Every dotted name and every path of ours in the documentation exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if page.name != "CHANGELOG.md"  # history: it names what was
)
ROOMS = "config|store|scim|worker|console|simulator|tests|benchmarks"
CODE = re.compile(r"```\n.*?```|`[^`\n]+`", re.DOTALL)
DOTTED = re.compile(rf"(?<![\w./-])(?:{ROOMS})(?:\.[A-Za-z_]\w*)+(?![\w/])")
PATH = re.compile(rf"(?<![\w./-])(?:{ROOMS}|docs|locks)/[\w/.-]*\w/?")

LOG_EVENTS = {
    event
    for room in ("scim", "worker", "console", "store")
    for module in (ROOT / room).rglob("*.py")
    for event in re.findall(r'"([a-z_]+\.[a-z_]+)"', module.read_text())
}
"""Log lines have dotted names too; the guides tell operators what to look for."""


def _names(page: str, pattern: re.Pattern[str]) -> set[str]:
    code = "\n".join(CODE.findall((ROOT / page).read_text()))
    return set(pattern.findall(code))


def _resolves(dotted: str) -> bool:
    """Return whether the longest importable module of a dotted name holds the rest of it."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            if not hasattr(found, name) and name not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, name, None)
        return True
    return False


@pytest.mark.parametrize("page", PAGES)
def test_every_dotted_name_in_the_documentation_resolves(page: str) -> None:
    """issue 8: "a test resolves every dotted name in docs/"."""
    names = {name for name in _names(page, DOTTED) if not name.endswith((".py", ".md", ".txt"))}
    assert sorted(name for name in names if not _resolves(name) and name not in LOG_EVENTS) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_in_the_documentation_exists(page: str) -> None:
    """A newcomer opens what a page points at."""
    paths = {path for path in _names(page, PATH) if "000N" not in path}
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []
