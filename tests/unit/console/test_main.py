"""The command tree: help, wrong use, one-line errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from console.main import READING_ORDER, app, main


def test_help_loads_none_of_the_heavy_libraries() -> None:
    """issue 2: "msgraph-sdk is loaded only where used"."""
    probe = (
        "import sys; from console.main import main; main(['--help']); "
        "heavy = {'msgraph', 'msal', 'dbos', 'sqlalchemy', 'sqlmodel', 'aiohttp', 'pydantic', 'alembic'}; "
        "sys.exit(f'loaded: {sorted(heavy & set(sys.modules))}' if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_help_page_lists_every_command_once_in_reading_order(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that is registered but not listed could not be found by reading."""
    registered = {command.name for command in app.registered_commands}
    registered |= {group.name for group in app.registered_groups}
    assert set(READING_ORDER) == registered
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    positions = [page.index(f"│ {name} ") for name in READING_ORDER]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["sink"], id="unknown-command"),
        pytest.param(["connection", "create"], id="missing-argument"),
        pytest.param(["connection", "create", "acme"], id="missing-option"),
        pytest.param(
            ["connection", "create", "acme", "--name", "e", "--mode", "maybe"], id="value-out-of-choice"
        ),
        pytest.param(["serve", "--port", "eighty"], id="not-a-number"),
        pytest.param(["sync", "a", "b"], id="too-many"),
    ],
)
def test_wrong_use_is_one_line_on_stderr_and_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """design.md §6: "Exit status: ... 2 wrong use"."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("leaver: ")
    assert "--help" in printed.err


def test_version_names_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("leaver ")
