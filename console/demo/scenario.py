"""The demo's acts, in their order. Each does one thing with real commands, and tells what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from console.demo import company, departures, verification
from console.demo.departures import Departures
from console.demo.environment import Environment
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


def run_scenario(stage: Environment, teller: Narrator) -> dict[str, Any]:
    """Plays all acts and gives the result (design.md §6); `doubts` are claims that could not be proven."""
    pushed = _push(stage, teller)
    doubts = _agree(stage, teller)
    signed_in, gone = _depart(stage, teller)
    doubts += _look(stage, teller, signed_in)
    findings = _enforce(stage, teller)
    standings = _sessions(stage, teller, signed_in)
    on_demand = _join(stage, teller)
    doubts += _missed(gone, findings) + _settled(stage, teller)
    result = {
        "pushed": pushed,
        "leavers": len(gone.leavers),
        "found": len(findings),
        "repaired": sum(finding["state"] == "repaired" for finding in findings),
        "on_demand": on_demand,
        "session_revoked": not any(s.has_live_session or s.may_sign_in for s in standings),
        "history_kept": all(s.results == len(RESULTS) for s in standings),
        "doubts": doubts,
    }
    proven = on_demand == "created" and result["session_revoked"] and result["history_kept"]
    return {"ok": bool(proven and not doubts), **result}


def _push(stage: Environment, teller: Narrator) -> dict[str, Any]:
    """Entra's provisioning service sends everybody, over HTTP, to the SCIM endpoint of a running server."""
    teller.doing(f"Entra pushes {company.PEOPLE} people and {company.GROUPS} groups over SCIM")
    company.move_in(stage.entra)
    stage.entra.provisioning("configure", target_url=stage.scim_url, token=stage.token)
    stage.entra.provisioning("start")
    started = time.monotonic()
    counts = stage.entra.cycle()["counts"]
    pushed = {
        "users": counts.get("created", 0),
        "groups": counts.get("groups_created", 0),
        "memberships": counts.get("members_added", 0),
        "duration_s": round(time.monotonic() - started, 1),
    }
    teller.pushed(pushed)
    return pushed


def _agree(stage: Environment, teller: Narrator) -> list[str]:
    """The first pull recognises everybody by their Entra object; later cycles are held against its counts.

    The command does it itself: no worker runs yet.
    """
    teller.doing("Leaver reads Microsoft Graph for the first time")
    report = stage.leaver("sync", "entra", accept=(0, DRIFT_REMAINS))
    teller.agreed(report)
    found = sum(report["drift"].values())
    return [f"{found} differences right after the push"] if found else []


def _depart(stage: Environment, teller: Narrator) -> tuple[Mapping[str, SignedIn], Departures]:
    """Everybody is at work and signed in; then seven leave, and Entra's own cycles go on."""
    teller.doing("Seven people leave; Entra runs its cycles")
    stage.troupe.start("worker")
    cast = departures.PeoplePicker(stage.entra.state())
    teller.introduce(cast.names())
    signed_in = stage.app.sign_in(cast.everybody())
    stage.app.pass_assessments(signed_in.values())
    gone = departures.perform_departures(stage.entra, stage.app, cast)
    teller.departed(gone)
    leavers = {leaver.name: signed_in[leaver.name] for leaver in gone.leavers}
    # The one whom Entra's push did disable, and a colleague let in again, comes back at once.
    came_back = stage.app.sign_in(leavers.keys() - stage.app.still_in(leavers))
    return {**leavers, **came_back}, gone


def _look(stage: Environment, teller: Narrator, signed_in: Mapping[str, SignedIn]) -> list[str]:
    """Mode `report`: everything is found, nothing is changed."""
    teller.doing("A cycle in mode report")
    stage.leaver("connection", "mode", "entra", "report")
    report = stage.leaver("sync", "entra", accept=(DRIFT_REMAINS,))
    still_in = stage.app.still_in(signed_in)
    teller.looked(report, len(still_in), len(signed_in))
    is_untouched = report["status"] == "reported" and still_in == set(signed_in)
    return [] if is_untouched else ["mode report changed something"]


def _enforce(stage: Environment, teller: Narrator) -> Sequence[Json]:
    """Mode `enforce`, done by the running worker. The local account is left alone, as policy says."""
    teller.doing("A cycle in mode enforce, done by the worker")
    stage.leaver("connection", "mode", "entra", "enforce")
    report = stage.leaver("sync", "entra", accept=(0, DRIFT_REMAINS))
    findings: Sequence[Json] = stage.leaver("drift", "show", "entra", "--cycle", report["cycle_id"])[
        "findings"
    ]
    teller.enforced(report, findings)
    return findings


def _sessions(stage: Environment, teller: Narrator, signed_in: Mapping[str, SignedIn]) -> Sequence[Any]:
    teller.doing("Do their sessions still open anything?")
    standings = {name: stage.app.standing(person) for name, person in signed_in.items()}
    teller.sessions(standings)
    return list(standings.values())


def _join(stage: Environment, teller: Narrator) -> str:
    """Somebody starts today and cannot wait for the next cycle of anything."""
    teller.doing("Somebody starts today: provision on demand")
    domain = stage.entra.state()["users"][0]["userPrincipalName"].partition("@")[2]
    address = f"{JOINER['mailNickname']}@{domain}"
    person = stage.entra.admin("POST", "/users", {**JOINER, "userPrincipalName": address, "mail": address})
    stage.entra.assign(person["id"])
    result = stage.leaver("provision", "entra", address)
    teller.provisioned(result)
    outcome: str = result["result"]
    return outcome


def _missed(gone: Departures, findings: Sequence[Json]) -> list[str]:
    """Every leaver with the true reason, every mishap by its kind."""
    found = {(f["kind"], f["reason"], f["subject"].lower()) for f in findings}
    leavers = [
        f"{leaver.name} was not found as missed_deprovision ({leaver.reason})"
        for leaver in gone.leavers
        if ("missed_deprovision", leaver.reason, leaver.name.lower()) not in found
    ]
    kinds = {finding["kind"] for finding in findings}
    return leavers + [f"{mishap.kind} was not found" for mishap in gone.mishaps if mishap.kind not in kinds]


def _settled(stage: Environment, teller: Narrator) -> list[str]:
    """A last cycle finds only the local account; then everything is compared with Entra's own state."""
    teller.doing("Comparing every person and every membership with Entra's own state")
    report = stage.leaver("sync", "entra", accept=(0, DRIFT_REMAINS))
    left = {kind: number for kind, number in report["drift"].items() if number and kind != "local_account"}
    state = stage.entra.state()
    doubts = verification.differences(stage.scim_url, stage.token, state, {LOCAL_ACCOUNT})
    teller.proven(state, left, doubts)
    return doubts + [f"still {number} x {kind} after repair" for kind, number in left.items()]
