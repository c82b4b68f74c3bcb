"""The doctor's checks with their remedies, and the state of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

from rich.console import Group, RenderableType
from rich.text import Text

from console import errors
from console.admin.checks.check import Advice, Check, CheckStatus, Remedy
from console.cli.output import View
from console.documents import logs as documents
from console.rendering import text

MARKS = {
    CheckStatus.OK: ("✓", text.GOOD),
    CheckStatus.WARNING: ("!", text.CARE),
    CheckStatus.FAILED: ("✗", text.BAD),
    CheckStatus.SKIPPED: ("–", text.QUIET),
}

REMEDIES: Mapping[Remedy, str] = {
    Remedy.CORRECT_SETTING: "Correct the variable, then run this again",
    Remedy.SET_SECRET_KEY: ("Set LEAVER_SECRET_KEY to what this prints, and keep it: leaver secret-key"),
    Remedy.MAKE_WRITABLE: "Make room, or give the user that runs Leaver the right to write; work goes on by itself",
    Remedy.RESEAL: "leaver db reseal, then remove the earlier key from LEAVER_SECRET_KEY",
    Remedy.UNSET_VARIABLES: "Correct the names, or unset them",
    Remedy.SET_PUBLIC_URL: "Set LEAVER_PUBLIC_URL to the https URL by which Entra reaches this server",
    Remedy.START_WORKER: "Start one: leaver worker (or leaver serve --worker)",
    Remedy.START_SERVER: "Start leaver serve, and check that LEAVER_PUBLIC_URL leads to it",
    Remedy.SET_DIRECTORY: "leaver connection set {connection} --entra-tenant-id …",
    Remedy.REACH_LOGIN: "Let this server reach {login_url}, and compare the Directory (tenant) ID",
    Remedy.STORE_CREDENTIAL: (
        "leaver connection set {connection} --entra-tenant-id … --client-id … --client-secret -"
    ),
    Remedy.RESTORE_SECRET_KEY: (
        "Set LEAVER_SECRET_KEY to the key it was stored with, or store the credential again"
    ),
    Remedy.RENEW_CREDENTIAL: (
        "Make a new one in Entra, then: leaver connection set {connection} --client-secret @FILE "
        "(or --certificate @FILE)"
    ),
    Remedy.RESUME: "leaver connection resume {connection}, once the cause is gone",
    Remedy.END_INCOMPLETE: (
        "Remove the cause it names (the checks below try every query), then: leaver sync {connection} --full"
    ),
    Remedy.ENFORCE: "When the reports look right: leaver connection mode {connection} enforce",
    Remedy.CREATE_TOKEN: "leaver token create {connection} --name entra, then paste it into Entra",
    Remedy.ROTATE_TOKEN: "leaver token rotate {token_id}, then paste the new one into Entra",
    Remedy.PASTE_SUCCESSOR: (
        "Its successor {successor_prefix}… was never used: paste that into Entra, Test Connection, Save. "
        "Is it lost? leaver token revoke {successor_id}, then leaver token rotate {token_id}"
    ),
    Remedy.RUN_CYCLE: "leaver sync {connection}",
    Remedy.SEE_ABOVE: "See above",
    Remedy.DECIDE_PLANS: "leaver plan list {connection}",
    Remedy.READ_WHOLE: "See above for the cause; then: leaver sync {connection} --full",
    Remedy.RELEASE_BRAKE: (
        "See who: leaver log {connection} --status failure; if they should go: "
        "leaver connection release-brake {connection}"
    ),
    Remedy.SHOW_DRIFT: "leaver drift show {connection}",
    Remedy.LIFT_SEALS: (
        "leaver user list {connection} --sealed; where the same person is back: "
        "leaver user same-person {connection} USER"
    ),
}
"""What to do, in commands."""


def shown(checks: Sequence[Check]) -> View:
    """Show all checks by area, with the remedy under each that needs one."""
    listed = [
        documents.check(check.area, check.name, check.found, check.detail, remedy_of(check))
        for check in checks
    ]
    document = documents.checks(listed, ok=exit_code(checks) != errors.FAILED)
    return View(document, lambda: Group(*_lines(checks)))


def exit_code(checks: Sequence[Check]) -> int:
    """Return 1 where a check failed, 3 where something waits for a person, 0 if nothing
    is to do.
    """
    found = {check.found for check in checks}
    if CheckStatus.FAILED in found:
        return errors.FAILED
    return errors.ATTENTION if CheckStatus.WARNING in found else errors.DONE


def remedy_of(check: Check) -> str:
    """Return the remedy as commands that can be typed; empty where none is needed."""
    if not isinstance(check.remedy, Advice):
        return check.remedy
    values = {name: quote(value) for name, value in check.remedy.values.items()}
    return REMEDIES[check.remedy.remedy].format(**values)


def _lines(checks: Sequence[Check]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    area = None
    for check in checks:
        if check.area != area:
            area = check.area
            lines.append(Text(area, style="bold"))
        mark, style = MARKS[check.found]
        lines.append(text.hanging(Text.assemble((f"  {mark} ", style), f"{check.name:<20}"), check.detail))
        if remedy := remedy_of(check):
            lines.append(text.hanging(f"    {'':<20}→ ", remedy, text.CARE))
    lines.append(_verdict(checks))
    return lines


def _verdict(checks: Sequence[Check]) -> Text:
    failed = sum(check.found is CheckStatus.FAILED for check in checks)
    warned = sum(check.found is CheckStatus.WARNING for check in checks)
    if failed:
        return Text(f"{failed} of {len(checks)} checks failed: do what the arrows say.", style=text.BAD)
    if warned:
        return Text(f"Works; {warned} of {len(checks)} checks want a look.", style=text.CARE)
    return Text(f"All {len(checks)} checks are well.", style=text.GOOD)
