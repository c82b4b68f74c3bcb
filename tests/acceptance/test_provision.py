"""Provision on demand as an admin types it: lists, dry runs, Entra asked as well, a cycle that has to give way."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.builders.installation import Installation, installed

STEPS = ["find", "scope", "match", "evaluate", "perform"]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("provision"), users=60, groups=5) as it:
        it.environment.pop("COLUMNS", None)
        it.sync()
        yield it


def _leave(it: Installation, number: int) -> list[str]:
    """That many entitled people are disabled in Entra, and no provisioning cycle runs."""
    people = list(it.entra.entitled().values())[:number]
    for person in people:
        it.entra.admin("PATCH", f"/users/{person['id']}", {"accountEnabled": False})
    return [person["userPrincipalName"].lower() for person in people]


def test_a_list_of_leavers_is_looked_at_first_and_then_done(installation: Installation) -> None:
    """Dry run first: it shows exactly what would be done; then the real run does that."""
    names = _leave(installation, 7)
    (installation.folder / "leavers.csv").write_text("userPrincipalName,left\n" + "\n".join(names))
    look = installation.leaver("provision", "entra", "--file", "leavers.csv", "--dry-run")
    assert set(names) <= installation.active()
    assert {result["would"] for result in look["results"]} == {"disabled"}
    done = installation.leaver("provision", "entra", "--file", "leavers.csv")
    assert not set(names) & installation.active()
    assert (done["counts"]["subjects"], done["counts"]["disabled"]) == (7, 7)
    for before, after in zip(look["results"], done["results"], strict=True):
        assert [step["name"] for step in after["steps"]] == STEPS
        assert before["steps"][4]["data"]["write"] == after["steps"][4]["data"]["written"]


def test_a_list_is_summed_up_in_text_with_every_failure(installation: Installation) -> None:
    """Lists: a summary with numbers and each failure; exit status 1."""
    names = list(installation.entra.entitled())[:6]
    done = installation.run("provision", "entra", *names, "ghost@fabrikam-demo.example")
    assert done.returncode == 1
    assert "7 subjects: 6 unchanged, 1 failed." in done.stdout
    assert "ghost@fabrikam-demo.example: Nobody in the directory" in done.stdout
    assert done.stderr.startswith("leaver: 1 of 7 subjects failed.")


def test_refused_lines_are_named_before_anything_is_done(installation: Installation) -> None:
    """Each refused line is named with its number, and nobody is provisioned."""
    [name] = _leave(installation, 1)
    (installation.folder / "bad.txt").write_text(f"{name}\nada lovelace@x.example\n\n@nobody\n")
    refused = installation.run("provision", "entra", "--file", "bad.txt")
    assert refused.returncode == 2
    assert "bad.txt, line 2:" in refused.stderr
    assert "bad.txt, line 4:" in refused.stderr
    assert refused.stdout == ""
    assert name in installation.active()


def test_entra_is_asked_to_do_the_same_and_pushes_it_here(installation: Installation) -> None:
    """`--ask-entra`: through Graph to the provisioning service, which answers and pushes to our SCIM server."""
    person = min(installation.entra.entitled().values(), key=lambda user: user["userPrincipalName"])
    done = installation.leaver("provision", "entra", person["id"], "--ask-entra")
    assert done["entra"]["result"] in ("success", "skipped"), done["entra"]
    assert [step["name"] for step in done["entra"]["steps"]][:3] == ["job", "import", "scoping"]
    text = installation.run("provision", "entra", person["id"], "--ask-entra").stdout
    assert "Asked Entra: skipped." in text


def test_a_running_cycle_gives_way_and_the_command_says_for_whom_it_waits(installation: Installation) -> None:
    """On demand pre-empts; the message says who works on the connection and since when."""
    [name] = _leave(installation, 1)
    installation.entra.fault(match="appRoleAssignedTo", delay_s=20.0, times=1)
    cycle = installation.start("sync", "entra", "--full")
    try:
        _until_a_cycle_runs(installation)
        done = installation.run("provision", "entra", name)
    finally:
        installation.entra.heal()
    assert done.returncode == 0, done.stderr
    assert "waiting. The full cycle of worker" in done.stderr
    assert "since" in done.stderr
    assert name not in installation.active()
    assert cycle.wait(60) in (0, 3)


def _until_a_cycle_runs(it: Installation) -> None:
    until = time.monotonic() + 30
    while not any(cycle["status"] == "running" for cycle in it.leaver("drift", "list", "entra")["items"]):
        assert time.monotonic() < until, "the cycle never began"


def test_without_a_worker_the_command_does_it_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    """design.md §6: "without, the command takes the connection's lease"."""
    folder = tmp_path_factory.mktemp("provision_alone")
    with installed(folder, users=20, groups=2, worker=False, push=False) as it:
        group = next(g for g in it.entra.state()["groups"] if g["assigned"] and g["members"])
        done = it.leaver("provision", "entra", group["displayName"])
        assert done["result"] == "created"
        entitled = {user["id"] for user in it.entra.entitled().values()} & set(group["members"])
        assert len(it.active()) == len(entitled)
