"""The command line on a running installation, from `doctor` to a plan that a person approves."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.builders.installation import Installation, installed, wait_for

REPORT = {
    *(
        "cycle_id",
        "kind",
        "status",
        "complete",
        "counts",
        "drift",
        "applied",
        "skipped",
        "held_plan",
        "duration_s",
    ),
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("command_line"), users=60, groups=5) as it:
        it.environment.pop("COLUMNS", None)  # the test run's own width would break lines
        it.sync()
        yield it


def _leave(it: Installation, number: int) -> list[str]:
    """That many entitled people are disabled in Entra, and no provisioning cycle runs."""
    people = list(it.entra.entitled().values())[:number]
    for person in people:
        it.entra.admin("PATCH", f"/users/{person['id']}", {"accountEnabled": False})
    return [person["userPrincipalName"].lower() for person in people]


def test_doctor_finds_a_whole_installation_well(installation: Installation) -> None:
    """design.md §6: "configuration, credentials, permissions, connectivity: each with its remedy"."""
    examined = installation.leaver("doctor")
    assert examined["ok"], examined
    found = {check["name"]: check["status"] for check in examined["checks"]}
    for name in ("settings", "secret key", "schema", "worker", "SCIM URL", "API token"):
        assert found[name] == "ok", examined
    for name in ("credential", "permissions", "application", "assignments", "users", "last cycle"):
        assert found[name] == "ok", examined
    unwell = [check for check in examined["checks"] if check["status"] != "ok"]
    assert all(check["remedy"] for check in unwell)


def test_doctor_names_a_missing_permission_and_who_gives_it(installation: Installation) -> None:
    """graph-api: lost consent is an admin's to mend; the exact permission has to be said."""
    installation.entra.admin("PUT", "/consent", {"roles": ["User.Read.All", "GroupMember.Read.All"]})
    try:
        examined = installation.leaver("doctor", "entra", expect=(1,))
        [failed] = [check for check in examined["checks"] if check["status"] == "failed"]
        assert "Application.Read.All" in failed["detail"] + failed["remedy"]
        assert "admin consent" in failed["remedy"]
    finally:
        installation.entra.admin("PUT", "/consent")


def test_a_cycle_that_leaves_nothing_open_exits_0_and_has_the_shape(installation: Installation) -> None:
    """design.md §6: the shape of `sync`, and "0 done"."""
    report = installation.leaver("sync", "entra", expect=(0,))
    assert set(report) >= REPORT
    assert report["status"] == "applied"
    assert set(report["counts"]) == {"users", "groups", "memberships"}


def test_a_dry_run_finds_a_leaver_and_changes_nothing_then_sync_repairs(installation: Installation) -> None:
    """design.md §6: "3 done but drift remains"; the same drift repaired is 0."""
    [name] = _leave(installation, 1)
    dry = installation.leaver("sync", "entra", "--dry-run", expect=(3,))
    assert dry["status"] == "reported"
    assert dry["drift"]["missed_deprovision"] == 1
    assert name in installation.active()
    installation.leaver("sync", "entra", expect=(0,))
    assert name not in installation.active()
    [finding] = [
        f
        for f in installation.leaver("drift", "show", "entra")["findings"]
        if f["kind"] == "missed_deprovision"
    ]
    assert (finding["subject"].lower(), finding["reason"], finding["state"]) == (name, "disabled", "repaired")
    [entry] = [
        e for e in installation.leaver("log", "entra", "--user", name)["items"] if e["action"] == "disable"
    ]
    assert entry["origin"] == "graph"
    assert {"attribute": "active", "old": True, "new": False} in entry["modified"]


def test_provisioning_somebody_prints_five_steps(installation: Installation) -> None:
    """design.md §6: the steps `find|scope|match|evaluate|perform` of `provision`."""
    [name] = _leave(installation, 1)
    look = installation.leaver("provision", "entra", name, "--dry-run")
    assert name in installation.active()
    result = installation.leaver("provision", "entra", name)
    for document in (look, result):
        steps = [step["name"] for step in document["steps"]]
        assert steps == ["find", "scope", "match", "evaluate", "perform"]
    assert result["result"] == "disabled"
    assert name not in installation.active()


def test_too_many_leavers_wait_for_a_person_who_approves_exactly_them(installation: Installation) -> None:
    """design.md §5: above a ceiling "the plan is held", and "approved ... by checksum"."""
    names = _leave(installation, 15)
    report = installation.leaver("sync", "entra", expect=(3,))
    assert report["status"] == "held"
    assert set(names) <= installation.active()
    [held] = installation.leaver("plan", "list")["items"]
    assert held["checksum"] == report["held_plan"]["checksum"]
    page = installation.run("plan", "show", held["checksum"][:12]).stdout
    assert all(name in page for name in names)
    decided = installation.leaver("plan", "approve", held["checksum"][:12], "--by", "Ada")
    assert (decided["status"], decided["decided_by"]) == ("applied", "Ada")
    assert decided["applied"]["disable"] == len(names)
    assert not set(names) & installation.active()
    assert installation.leaver("plan", "list")["items"] == []


def test_json_is_all_there_is_on_standard_output(installation: Installation) -> None:
    """design.md §6: "one JSON document on stdout and nothing else (progress and logs go to stderr)"."""
    for words in (["sync", "entra"], ["doctor"], ["log", "entra"], ["connection", "list"], ["plan", "list"]):
        done = installation.run(*words, "--json")
        json.loads(done.stdout)
        assert "\x1b" not in done.stdout


def test_text_is_for_people_and_has_no_colours_in_a_pipe(installation: Installation) -> None:
    """A table in a file or a mail must not be full of escape sequences."""
    for words in (["connection", "show", "entra"], ["drift", "show", "entra"], ["log", "entra"]):
        done = installation.run(*words)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        assert not any(line != line.rstrip() for line in done.stdout.splitlines())


def _get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read().decode()


def test_the_server_tells_an_operators_tools_how_it_is(installation: Installation) -> None:
    """design.md §6: "`/healthz` `/readyz` `/metrics` operations"."""
    base = installation.operations_url
    assert _get(f"{base}/healthz")[0] == 200
    assert _get(f"{base}/readyz")[0] == 200
    status, metrics = _get(f"{base}/metrics")
    assert status == 200
    assert "leaver_http_requests_total{method=" in metrics
    named = {line.partition("{")[0] for line in metrics.splitlines() if installation.connection in line}
    assert named <= {"leaver_connection_info"}, "a path holds ids; a metric of requests must not"
    service = f"http://127.0.0.1:{installation.port}"
    assert _get(f"{service}/healthz")[0] == _get(f"{service}/readyz")[0] == 200
    with pytest.raises(HTTPError, match="404"):  # figures are for the operator alone
        _get(f"{service}/metrics")


def test_one_process_can_serve_and_work(tmp_path_factory: pytest.TempPathFactory) -> None:
    """design.md §6: `serve --worker`: a scheduled cycle runs without a second process."""
    with installed(tmp_path_factory.mktemp("one_process"), users=20, groups=2, worker=False) as it:
        other = it.start("serve", "--port", "0", "--operations-port", "0", "--worker", "--json")
        log = it.folder / f"serve-{len(it.processes) - 1}.log"
        _until_ready(log)
        ready: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
        wait_for(f"{ready['operations_url']}/readyz", other)
        examined = it.leaver("doctor", expect=(0, 1, 3))
        [worker] = [check for check in examined["checks"] if check["name"] == "worker"]
        assert worker["status"] == "ok"
        report = it.sync()
        assert report["status"] == "applied"


def _until_ready(log: Any) -> None:
    import time

    until = time.monotonic() + 30
    while '"scim_url"' not in log.read_text():
        assert time.monotonic() < until
        time.sleep(0.1)
