"""The steps of the demo, in order: each runs real commands and reports the result."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.demo import departures, verification
from console.demo.departures import Departures
from console.demo.entra_admin import GROUPS, PEOPLE, assign_everyone
from console.demo.environment import Environment, set_up
from console.demo.narration import Narrator
from console.demo.processes import Json
from console.demo.vendor_app import LOCAL_ACCOUNT, RESULTS, SignedIn

DRIFT_REMAINS = 3
"""Exit status of `leaver sync` (design.md §6)."""

JOINER = {
    "displayName": "Robin Neumann",
    "givenName": "Robin",
    "surname": "Neumann",
    "mailNickname": "robin.neumann",
    "jobTitle": "Archivist",
    "accountEnabled": True,
}


def run_demo(*, keep: bool, as_json: bool) -> bool:
    """Run and print the demo; return whether every claim was proven."""
    # However it ends, also with its terminal, its processes end with it.
    # A shell starts background commands with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    narrator = Narrator(as_json=as_json)
    narrator.opening()
    narrator.doing("Starting the simulated tenant and the server")
    with (
        narrator,
        tempfile.TemporaryDirectory(prefix="leaver-demo-") as name,
        set_up(Path(name)) as environment,
    ):
        result = run_scenario(environment, narrator)
        result["duration_s"] = round(time.monotonic() - started, 1)
        if keep:
            _leave_something_to_look_at(environment)
            result["kept"] = {**environment.addresses, "console_url": environment.sign_in_link()}
        narrator.verdict(result)
        if keep:
            narrator.kept(environment, result["kept"])
            with suppress(KeyboardInterrupt):
                signal.pause()
    return bool(result["ok"])


def _leave_something_to_look_at(environment: Environment) -> None:
    """Let two more people leave in mode report, so that drift stands in the console."""
    still_here = [user for user in environment.entra.state()["users"] if user["entitled"]]
    environment.leaver("connection", "mode", "entra", "report")
    for user in still_here[:2]:
        environment.entra.admin("PATCH", f"/users/{user['id']}", {"accountEnabled": False})
    environment.leaver("sync", "entra", accept=(0, DRIFT_REMAINS))


def run_scenario(environment: Environment, narrator: Narrator) -> dict[str, Any]:
    """Run all steps, and return the document of design.md §6.

    Its `doubts` are the claims that could not be proven.
    """
    pushed = _push(environment, narrator)
    doubts = _agree(environment, narrator)
    signed_in, gone = _depart(environment, narrator)
    doubts += _report(environment, narrator, signed_in)
    findings = _enforce(environment, narrator)
    states = _sessions(environment, narrator, signed_in)
    is_told = environment.receiver.has_heard_of([each.session_id for each in signed_in.values()])
    narrator.told(len(signed_in), is_told=is_told)
    doubts += [] if is_told else ["the app was not told by webhook that these sessions ended"]
    on_demand = _provision(environment, narrator)
    doubts += _missed(gone, findings) + _unproven(environment, narrator)
    result = {
        "pushed": pushed,
        "leavers": len(gone.leavers),
        "found": len(findings),
        "repaired": sum(finding["state"] == "repaired" for finding in findings),
        "on_demand": on_demand,
        "session_revoked": not any(s.has_live_session or s.may_sign_in for s in states),
        "history_kept": all(s.results == len(RESULTS) for s in states),
        "doubts": doubts,
    }
    proven = on_demand == "created" and result["session_revoked"] and result["history_kept"]
    return {"ok": bool(proven and not doubts), **result}


def _push(environment: Environment, narrator: Narrator) -> dict[str, Any]:
    """Push every user and group from Entra's provisioning service over HTTP."""
    narrator.doing(f"Entra pushes {PEOPLE} people and {GROUPS} groups over SCIM")
    assign_everyone(environment.entra)
    environment.entra.provisioning("configure", target_url=environment.scim_url, token=environment.token)
    environment.entra.provisioning("start")
    started = time.monotonic()
    counts = environment.entra.cycle()["counts"]
    pushed = {
        "users": counts.get("created", 0),
        "groups": counts.get("groups_created", 0),
        "memberships": counts.get("members_added", 0),
        "duration_s": round(time.monotonic() - started, 1),
    }
    narrator.pushed(pushed)
    return pushed


def _agree(environment: Environment, narrator: Narrator) -> list[str]:
    """Run the first pull, which links every user to its Entra object.

    Later cycles are compared with its counts. The command does it itself: no worker
    runs yet.
    """
    narrator.doing("Leaver reads Microsoft Graph for the first time")
    report = environment.leaver("sync", "entra", accept=(0, DRIFT_REMAINS))
    narrator.agreed(report)
    found = sum(report["drift"].values())
    return [f"{found} differences right after the push"] if found else []


def _depart(environment: Environment, narrator: Narrator) -> tuple[Mapping[str, SignedIn], Departures]:
    """Sign every user in; then seven people leave, and Entra's own cycles go on."""
    narrator.doing("Seven people leave; Entra runs its cycles")
    environment.processes.start("worker")
    people = departures.PeoplePicker(environment.entra.state())
    narrator.introduce(people.names())
    signed_in = environment.app.sign_in(people.user_names())
    environment.app.pass_assessments(signed_in.values())
    gone = departures.perform_departures(environment.entra, environment.app, people)
    narrator.departed(gone)
    leavers = {leaver.name: signed_in[leaver.name] for leaver in gone.leavers}
    # One user was disabled by the push and enabled again by hand: signed in anew.
    came_back = environment.app.sign_in(leavers.keys() - environment.app.still_in(leavers))
    return {**leavers, **came_back}, gone


def _report(environment: Environment, narrator: Narrator, signed_in: Mapping[str, SignedIn]) -> list[str]:
    """Run a cycle in mode `report`: everything is found, and nothing is changed."""
    narrator.doing("A cycle in mode report")
    environment.leaver("connection", "mode", "entra", "report")
    report = environment.leaver("sync", "entra", accept=(DRIFT_REMAINS,))
    still_in = environment.app.still_in(signed_in)
    narrator.reported(report, len(still_in), len(signed_in))
    is_untouched = report["status"] == "reported" and still_in == set(signed_in)
    return [] if is_untouched else ["mode report changed something"]


def _enforce(environment: Environment, narrator: Narrator) -> Sequence[Json]:
    """Run a cycle in mode `enforce` on the worker.

    The local account is left alone, as policy says.
    """
    narrator.doing("A cycle in mode enforce, done by the worker")
    environment.leaver("connection", "mode", "entra", "enforce")
    report = environment.leaver("sync", "entra", accept=(0, DRIFT_REMAINS))
    findings: Sequence[Json] = environment.leaver("drift", "show", "entra", "--cycle", report["cycle_id"])[
        "findings"
    ]
    narrator.enforced(report, findings)
    return findings


def _sessions(
    environment: Environment, narrator: Narrator, signed_in: Mapping[str, SignedIn]
) -> Sequence[Any]:
    narrator.doing("Do their sessions still open anything?")
    states = {name: environment.app.account_state(person) for name, person in signed_in.items()}
    narrator.sessions(states)
    return list(states.values())


def _provision(environment: Environment, narrator: Narrator) -> str:
    """Provision a new user on demand, without waiting for a cycle."""
    narrator.doing("Somebody starts today: provision on demand")
    domain = environment.entra.state()["users"][0]["userPrincipalName"].partition("@")[2]
    address = f"{JOINER['mailNickname']}@{domain}"
    person = environment.entra.admin(
        "POST", "/users", {**JOINER, "userPrincipalName": address, "mail": address}
    )
    environment.entra.assign(person["id"])
    result = environment.leaver("provision", "entra", address)
    narrator.provisioned(result)
    outcome: str = result["result"]
    return outcome


def _missed(gone: Departures, findings: Sequence[Json]) -> list[str]:
    """Return leavers without a finding of the true reason, and missing kinds."""
    found = {(f["kind"], f["reason"], f["subject"].lower()) for f in findings}
    leavers = [
        f"{leaver.name} was not found as missed_deprovision ({leaver.reason})"
        for leaver in gone.leavers
        if ("missed_deprovision", leaver.reason, leaver.name.lower()) not in found
    ]
    kinds = {finding["kind"] for finding in findings}
    return leavers + [f"{mishap.kind} was not found" for mishap in gone.mishaps if mishap.kind not in kinds]


def _unproven(environment: Environment, narrator: Narrator) -> list[str]:
    """Run a last cycle, and compare users and memberships with Entra's own state."""
    narrator.doing("Comparing every person and every membership with Entra's own state")
    report = environment.leaver("sync", "entra", accept=(0, DRIFT_REMAINS))
    left = {kind: number for kind, number in report["drift"].items() if number and kind != "local_account"}
    state = environment.entra.state()
    doubts = verification.differences(environment.scim_url, environment.token, state, {LOCAL_ACCOUNT})
    narrator.proven(state, left, doubts)
    return doubts + [f"still {number} x {kind} after repair" for kind, number in left.items()]
