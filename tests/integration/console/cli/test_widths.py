"""Every view at 80, 100 and 120 columns: no id, URL, kind or other word is broken in two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import RenderableType

from console.cli import output
from simulator.server import Simulator
from tests.builders.company_thread import company_in_a_thread, connect_options
from tests.builders.console_shell import Shell

VIEWS = [
    *("tenant list", "tenant audit fabrikam", "connection list", "connection show entra", "status", "check"),
    *("token list entra", "plan list", "plan show {plan}", "drift list entra", "drift list --all"),
    *("drift show entra", "cycle list entra", "cycle show entra {cycle}", "user list entra"),
    *("user show entra ada@fabrikam.com", "group list entra", "group show entra {group}", "log entra"),
    *("log --all --long", "audit entra", "connection mapping show entra", "connection test entra"),
    *("sync entra --full", "provision entra ada@fabrikam.com bo@fabrikam.com", "token rotate entra"),
]


@pytest.fixture
def company() -> Iterator[Simulator]:
    with company_in_a_thread(users=30) as running:
        yield running


@pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
def test_no_view_breaks_a_word(shell: Shell, company: Simulator) -> None:
    """first-days: "snapshot tests of every view at 80, 100 and 120 columns: no id, URL or kind broken within a word".

    A piece of a word is a word that a very wide terminal does not show.
    """
    names = _furnish(shell, company)
    broken: dict[str, set[str]] = {}
    for view in VIEWS:
        shown: list[RenderableType] = []
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(output, "_print", lambda _console, text, shown=shown: shown.append(text))
            code, _, err = shell.run(*view.format(**names).split())
        assert code in (0, 3, 1), err
        assert shown, view
        for width in (80, 100, 120):
            if pieces := _words(shown[0], width) - _words(shown[0], 2_000):
                broken[f"{view} at {width}"] = pieces
    assert broken == {}


def _words(text: RenderableType, width: int) -> set[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", str(width))
        page = output.plain(text)
    lines = [line for line in page.splitlines() if not line.startswith("…")]
    return {word for line in lines for word in line.split() if set(word) != {"─"}}


def _furnish(shell: Shell, company: Simulator) -> dict[str, str]:
    """A tenant with everything that views show: a held plan, drift, a token that was rotated, a long name."""
    shell.json("tenant", "create", "Fabrikam")
    shell.json(
        "connection", "create", "fabrikam", "--name", "entra", "--mode", "enforce", *connect_options(company)
    )
    shell.json(
        "token", "create", "entra", "--name", "entra", "--expires-days", "20", "--allow-address", "10.0.0.0/8"
    )
    shell.json("sync", "entra")
    for person in sorted(company.directory.entitled())[:9]:
        company.directory.change_user(person, {"accountEnabled": False})
    plan = shell.json("sync", "entra", "--full", status=3)["held_plan"]["checksum"]
    groups = shell.json("group", "list", "entra")["items"]
    cycle = shell.json("cycle", "list", "entra")["items"][0]["cycle_id"]
    return {"plan": plan, "cycle": cycle, "group": groups[0]["id"]}
