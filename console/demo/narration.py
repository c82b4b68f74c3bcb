"""The output of the demo: a page for a person, or one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.status import Status
from rich.text import Text

from console.demo.departures import Departures
from console.demo.processes import Json
from console.demo.vendor_app import RemainingAccess
from console.rendering import text
from console.rendering.reports import differences, entra_says, provisioned_subject

if TYPE_CHECKING:
    from console.demo.environment import Environment

WIDTH = 118

WHY: Mapping[str, str] = {
    "attribute_mismatch": "edited by hand",
    "membership_extra": "removal never sent",
    "local_account": "unknown to Entra",
}


class Narrator:
    """Prints every step on stdout as it happens.

    With `as_json` only the final document.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._page = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else WIDTH)
        self._status: Status | None = None
        self._step = 0
        self._names: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_status()

    def doing(self, what: str) -> None:
        """Show what is being done until the next output; at a terminal only."""
        self._stop_status()
        if self._page.is_terminal:
            self._status = self._page.status(f"[bright_black]{what} …")
            self._status.start()

    def introduce(self, names: Mapping[str, str]) -> None:
        """Keep display names by userPrincipalName in lower case, to print these."""
        self._names = names

    # --- the steps ---

    def opening(self) -> None:
        """Print what the demo is."""
        self._say(
            Text("SCIM tells your app who joined. Leaver makes sure that who left is gone.", style="bold")
        )
        self._say(
            "Everything below is real: a simulated Entra tenant, Leaver's server and worker, each its own\n"
            "process, on SQLite in a temporary folder."
        )

    def pushed(self, pushed: Mapping[str, Any]) -> None:
        """Print what Entra pushed."""
        self._heading("Entra pushes", "POST and PATCH on /api/scim/v2, as Entra sends them")
        self._say(
            f"{pushed['users']} people, {pushed['groups']} groups, {pushed['memberships']} memberships "
            f"in {pushed['duration_s']} s. Everybody is signed in and at work."
        )

    def agreed(self, report: Json) -> None:
        """Print the result of the first pull."""
        self._command("leaver sync entra")
        drift = sum(report["drift"].values())
        self._say(
            f"Leaver reads Microsoft Graph and recognises {report['counts']['users']} entitled people, "
            f"{drift or 'no'} drift: push and pull agree."
        )

    def departed(self, gone: Departures) -> None:
        """Print who left, and why the push missed it."""
        self._heading("Seven people leave", "and Entra's push says nothing")
        rows = [(self._called(leaver.name), leaver.what, leaver.why_missed) for leaver in gone.leavers]
        self._say(text.table("Who", "In Entra", "Why the app is not told", rows=rows))
        self._say("Three more things the push cannot see:")
        rows = [(self._called(mishap.name), mishap.what, mishap.why_missed) for mishap in gone.mishaps]
        self._say(text.table("Who", "What", "Why nobody notices", rows=rows))

    def reported(self, report: Json, still_in: int, leavers: int) -> None:
        """Print the result of the cycle in mode report."""
        self._heading("Look, do not touch", "mode: report")
        self._command("leaver connection mode entra report")
        self._command("leaver sync entra")
        found = ", ".join(f"{number} {kind}" for kind, number in report["drift"].items() if number)
        self._say(
            f"Found: {found}.\nChanged: nothing. {still_in} of {leavers} leavers still have a live session."
        )

    def enforced(self, report: Json, findings: Sequence[Json]) -> None:
        """Print the result of the cycle in mode enforce."""
        self._heading("Enforce", "done by the worker, within the safety limits")
        self._command("leaver connection mode entra enforce")
        self._command("leaver sync entra")
        self._say(
            text.table(
                "Drift",
                "Who",
                "Why",
                "Entra, asked about this one alone",
                "State",
                rows=[self._finding(finding) for finding in sorted(findings, key=_leavers_first)],
            )
        )
        applied = ", ".join(f"{number} × {action}" for action, number in report["applied"].items() if number)
        self._say(
            f"Applied: {applied}.\n"
            "The local account is reported and left alone: policy says so, unless you change it."
        )

    def sessions(self, states: Mapping[str, RemainingAccess]) -> None:
        """Print whether sessions are live and sign-in is accepted."""
        self._heading("Gone means gone", "the next request of each of them")
        rows = [
            (
                self._called(name),
                Text("live", style=text.BAD) if state.has_live_session else Text("dead", style=text.GOOD),
                Text("allowed", style=text.BAD) if state.may_sign_in else Text("refused", style=text.GOOD),
                f"{state.results} results kept",
            )
            for name, state in states.items()
        ]
        self._say(text.table("Who", "Session", "Sign-in", "History", rows=rows))

    def told(self, sessions: int, *, is_told: bool) -> None:
        """Print whether the app's own sessions died by webhook."""
        if is_told:
            self._say(
                f"The app did not have to ask: {sessions} webhooks session.revoked, signed by Leaver, ended its own "
                "sessions, and its answers acknowledged it."
            )

    def provisioned(self, result: Json) -> None:
        """Print the steps of the on-demand provisioning."""
        self._heading("On demand", "somebody starts today and cannot wait 40 minutes")
        self._command(f"leaver provision entra {result['subject']}")
        self._say(provisioned_subject(result))

    def proven(self, state: Json, left: Mapping[str, int], doubts: Sequence[str]) -> None:
        """Print the comparison with the simulator's own state."""
        self._heading("Proof", "compared with the simulator's own account of itself")
        entitled = sum(user["entitled"] for user in state["users"])
        members = sum(len(group["members"]) for group in state["groups"])
        if not doubts and not left:
            self._say(
                f"A further cycle finds nothing to do. All {entitled} entitled people have access with the "
                f"attributes Entra has, all {members} memberships agree, and nobody else is in but the local "
                "account."
            )
        for doubt in doubts:
            self._say(Text(f"✗ {doubt}", style=text.BAD))

    def verdict(self, result: Mapping[str, Any]) -> None:
        """Print the result; with `as_json` as the only document."""
        self._stop_status()
        if self._as_json:
            sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        elif result["ok"]:
            words = "Seven people left and Entra's push stopped none of them. Leaver did."
            self._say(Text(f"{words} ({result['duration_s']} s)", style=f"bold {text.GOOD}"))
        else:
            self._say(Text("Not proven: " + "; ".join(result["doubts"] or ["see above"]), style=text.BAD))

    def kept(self, environment: Environment, addresses: Json) -> None:
        """Print where everything is, for a person who goes on by hand."""
        self._heading("It keeps running", "Ctrl-C ends it and removes the folder")
        variables = environment.processes.environment
        self._say(
            text.facts(
                [
                    ("Console, signs you in once", addresses["console_url"]),
                    ("SCIM base URL", addresses["scim_url"]),
                    ("API token", addresses["token"]),
                    ("Simulated Entra", addresses["admin_url"]),
                    ("Folder", addresses["folder"]),
                ]
            )
        )
        names = sorted(name for name in variables if name.startswith("LEAVER_"))
        self._say("In another shell, for leaver log entra, leaver drift show entra, leaver doctor …:")
        for name in names if not self._as_json else ():
            self._page.print(f"   export {name}='{variables[name]}'", soft_wrap=True)

    # --- rendering ---

    def _heading(self, title: str, remark: str) -> None:
        self._step += 1
        self._say(Text.assemble((f"{self._step}  {title}", "bold cyan"), (f"   {remark}", text.QUIET)))

    def _command(self, line: str) -> None:
        self._stop_status()
        if not self._as_json:
            self._page.print(Text(f"   $ {line}", style=text.QUIET))

    def _say(self, what: RenderableType) -> None:
        self._stop_status()
        if not self._as_json:
            indent = 0 if isinstance(what, Text) else 3
            self._page.print(Padding(what, (0, 0, 1, indent), expand=False))

    def _stop_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _finding(self, finding: Json) -> tuple[Text | str, ...]:
        who = self._called(finding["subject"])
        why = finding["reason"] or WHY.get(finding["kind"], "")
        return finding["kind"], who, why, _seen(finding), text.status(finding["state"])

    def _called(self, subject: str) -> str:
        """Return the subject with a display name in place of the userPrincipalName."""
        address, space, rest = subject.partition(" ")
        return f"{self._names.get(address.lower(), address)}{space}{rest}"


def _seen(finding: Json) -> str:
    """Return Entra's answer about a user who left, else what differs."""
    answer = entra_says(finding["evidence"])
    if finding["kind"] == "missed_deprovision":
        return answer
    return differences(finding["before"], finding["after"]) or answer


def _leavers_first(finding: Json) -> tuple[bool, str]:
    return finding["kind"] != "missed_deprovision", finding["kind"]
