"""Where code may lie and what it may be called: rules of the repository that no linter checks."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOMS = ("config", "store", "scim", "worker", "console")
PRODUCT = (*ROOMS, "simulator")
MIGRATIONS = ROOT / "store" / "migrations" / "versions"
MOST_MODULES, MOST_LINES = 14, 400
MIRRORED_ERRORS = {"NotFound", "TryAgain", "Terminal", "NeedsHuman"}
"""Errors of a lower room that a higher room repeats for its own callers."""

SHORT_LINES, MOST_SHORT_MODULES = 60, 34
"""A module of fewer lines stands alone where nothing beside it is its neighbour."""


def test_tests_import_neither_tests_nor_conftests_nor_benchmarks() -> None:
    """What tests share is in tests/builders and tests/databases."""
    found = {
        f"{module.relative_to(ROOT)} imports {imported}"
        for module in (ROOT / "tests").rglob("*.py")
        for imported in _imports(module)
        if imported.startswith(("tests.", "benchmarks"))
        and any(
            part.startswith("test_") or part in ("conftest", "benchmarks") for part in imported.split(".")
        )
    }
    assert found == set()


def test_a_folder_of_the_product_holds_few_modules() -> None:
    """At most 14 modules beside `__init__.py`; migrations are a series and have no limit."""
    counts: dict[Path, int] = defaultdict(int)
    for module in _modules(*ROOMS, "benchmarks"):
        counts[module.parent] += module.name != "__init__.py" and module.parent != MIGRATIONS
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_a_module_of_the_product_is_short() -> None:
    """At most 400 lines; migrations are written once and never changed."""
    lengths = {
        str(module.relative_to(ROOT)): len(module.read_text().splitlines())
        for module in _modules(*PRODUCT)
        if module.parent != MIGRATIONS
    }
    assert {name for name, lines in lengths.items() if lines > MOST_LINES} == set()


def test_few_modules_are_very_short() -> None:
    """A reader who follows a call should not have to open a file for every ten lines."""
    short = [
        str(module.relative_to(ROOT))
        for module in _modules(*PRODUCT)
        if module.name != "__init__.py" and len(module.read_text().splitlines()) < SHORT_LINES
    ]
    assert len(short) <= MOST_SHORT_MODULES, sorted(short)


def test_a_class_name_means_one_class() -> None:
    """The simulator is left out: it knows nothing of the product and its names."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in _modules(*ROOMS):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(module.relative_to(ROOT)))
    assert {
        name: found for name, found in places.items() if len(found) > 1 and name not in MIRRORED_ERRORS
    } == {}


def _modules(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from (ROOT / room).rglob("*.py")


def _imports(module: Path) -> Iterator[str]:
    """Yield the dotted names of all that a module imports, names out of modules included."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
