"""The guides are true: every command, option, variable and link in them exists."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from config.environment import FILE, is_secret, variable_of
from config.settings import Settings
from console.main import app, main
from scim.limits import ScimLimits, setting_of

ROOT = Path(__file__).parents[3]
GUIDES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("tenant", "admin", "operator", "safety", "simulator")),
]
GROUPS = {group.name for group in app.registered_groups}
WITHIN = {
    (group.name, inner.name)
    for group in app.registered_groups
    if group.typer_instance is not None
    for inner in group.typer_instance.registered_groups
}
"""Groups of commands inside another: `connection mapping`."""
CODE = re.compile(r"```\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def _code(guide: Path) -> list[str]:
    """Every line of code in a guide, blocks and inline."""
    found = CODE.findall(guide.read_text())
    return [line.strip() for block, inline in found for line in (block or inline).splitlines()]


def _commands() -> list[tuple[str, str]]:
    lines = [(guide.name, line) for guide in GUIDES for line in _code(guide)]
    return [(name, line) for name, line in lines if re.match(r"(\.venv/bin/)?leaver \S", line)]


@pytest.mark.parametrize(("guide", "line"), _commands())
def test_every_command_in_a_guide_exists_with_its_options(
    guide: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A guide that tells people to type what does not exist costs more than none."""
    words = line.partition("#")[0].partition(" > ")[0].split()[1:]
    if words[0].startswith("-"):
        return
    depth = 3 if tuple(words[:2]) in WITHIN else 2
    verbs = words[:depth] if words[0] in GROUPS and len(words) > 1 else words[:1]
    assert main([*verbs, "--help"]) == 0
    page = capsys.readouterr().out
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    assert [option for option in options if option not in page] == []


def test_the_operators_guide_explains_every_variable_and_invents_none() -> None:
    """design.md §6: "Environment variables `LEAVER_…`": an operator can set only what is written down."""
    text = (ROOT / "docs" / "operator.md").read_text()
    known = {variable_of(name) for name in Settings.model_fields}
    twins = {variable_of(name) + FILE for name, field in Settings.model_fields.items() if is_secret(field)}
    assert set(re.findall(r"`(LEAVER_[A-Z_]+)`", text)) == known | twins | {"LEAVER_MEMORY"}


def test_one_table_has_every_limit_with_what_it_bounds_and_how_to_raise_it() -> None:
    """issue 10: "docs say what is limited, how to see it and how to raise it"."""
    text = (ROOT / "docs" / "operator.md").read_text()
    section = text.partition("### Limits\n")[2].partition("\n**Keep the secret key.**")[0]
    rows = [row for row in section.splitlines() if row.startswith("|")]
    told = {name for row in rows for name in re.findall(r"`(LEAVER_[A-Z_]+)`", row.split("|")[1])}
    limits = {field.name for field in fields(ScimLimits)} - {"access_token_s"}
    assert told == {setting_of(name) for name in limits} | {"LEAVER_INTROSPECTIONS_PER_S"}
    assert {row.count("|") for row in rows} == {6}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_every_link_in_a_guide_leads_to_a_file(guide: Path) -> None:
    """A newcomer follows the links of the README first."""
    links = re.findall(r"\]\(([^)#]+)\)", guide.read_text())
    local = [link for link in links if not link.startswith("https://")]
    assert [link for link in local if not (guide.parent / link).exists()] == []


def test_the_readme_fits_on_one_screen() -> None:
    """issue 2: "README tells a newcomer in one screen what Leaver is, why, and the two commands"."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 65
    assert "make demo" in "\n".join(lines[:40])
    assert "make test" in "\n".join(lines[:40])


SAFETY = ROOT / "docs" / "safety.md"


def test_each_of_the_fifteen_disasters_has_its_test() -> None:
    """Issue 3: "All fifteen disasters of `field.md` are acceptance tests": the table names tests that exist."""
    written = "".join(path.read_text() for path in (ROOT / "tests" / "acceptance").glob("test_disasters*.py"))
    exist = set(re.findall(r"^def (test_disaster_\w+)\(", written, re.MULTILINE))
    rows = re.findall(r"^\| (\d+) \|.*\|([^|]+)\|$", SAFETY.read_text(), re.MULTILINE)
    named = {int(number): re.findall(r"`(\w+)`", tests) for number, tests in rows}
    assert sorted(named) == list(range(1, 16))
    for number, tests in named.items():
        assert tests
        assert all(test.startswith(f"test_disaster_{number}_") for test in tests)
    assert {test for tests in named.values() for test in tests} == exist


def test_every_place_the_safety_page_points_at_exists() -> None:
    """docs/safety.md: "the names in `code` let you check that the page is true"."""
    places = re.findall(r"`((?:worker|store|tests)/[\w./]+)`", SAFETY.read_text())
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []
