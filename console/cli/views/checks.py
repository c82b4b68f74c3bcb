"""The doctor's checks with their remedies, the database, its backups and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import quote

from rich.console import Group, RenderableType
from rich.text import Text

from console import errors
from console.admin.checks.check import Advice, Check, CheckStatus, Remedy
from console.admin.key_rotation import KeyUse
from console.cli.output import View
from console.documents import logs as documents
from console.documents.values import plural
from console.rendering import text
from store.backup import BackupContent, CopiedFile
from store.database import sqlite_path

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
    Remedy.DELIVER_EVENTS: "Look at the deliveries: leaver webhook list; the app's own is made with --acknowledges",
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


def database(url: str, revision: str) -> View:
    """Show an up-to-date database.

    Of the URL only the scheme, for it holds a password.
    """
    dialect = url.partition("+")[0]
    return View(
        documents.database(dialect, revision),
        lambda: f"The database ({dialect}) is up to date: revision {revision}.",
    )


def backed_up(copied: Sequence[CopiedFile]) -> View:
    """Show the files of a backup, and what is not in them."""
    lines = [f"{each.path}: {each.size_bytes / 1024**2:.1f} MB, checked." for each in copied]
    lines.append("Keep LEAVER_SECRET_KEY apart from it: without the key no stored credential can be opened.")
    return View(documents.backed_up(copied), lambda: "\n".join(lines))


def restore_asked(file: Path, url: str, content: BackupContent) -> str:
    """Return what a person reads before a backup takes the place of the database."""
    newest = (
        f"its newest log entry is of {content.newest_entry}" if content.newest_entry else "its log is empty"
    )
    return (
        f"{file} holds {plural(content.tenants, 'tenant')}, {plural(content.connections, 'connection')} and "
        f"{content.active_users} active users; {newest}. It takes the place of {sqlite_path(url)}, which is lost"
    )


def restored(connections: int) -> View:
    """Show what a restore means for the next cycles."""
    return View(
        documents.restored(connections),
        lambda: (
            f"Restored. The next cycle of {plural(connections, 'connection')} reads everything and holds all "
            "removals. End again what was ended since the backup: tokens (leaver token revoke) and people (leaver sync)."
        ),
    )


def resealed(before: KeyUse, after: KeyUse) -> View:
    """Show how many secrets were under which key, and what may be done now."""
    return View(
        documents.resealed(asdict(before), asdict(after)), lambda: "\n".join(_key_lines(before, after))
    )


def _key_lines(before: KeyUse, after: KeyUse) -> list[str]:
    found = f"Stored secrets: {before.current} under the first key, {before.earlier} under earlier keys"
    lines = [f"{found}, {before.unreadable} under none of the {before.keys} configured."]
    lines.append(f"Sealed anew with the first key: {before.earlier - after.earlier}.")
    if after.unreadable:
        lines.append(
            f"{after.unreadable} cannot be opened: leaver doctor names their connections; put the key that "
            "sealed them into LEAVER_SECRET_KEY again, or store the credential again."
        )
    elif after.keys > 1 and not after.earlier:
        lines.append(
            "Nothing needs an earlier key: leave the first one alone in LEAVER_SECRET_KEY, at the earliest "
            "when access tokens of the earlier key have ended (LEAVER_ACCESS_TOKEN_MINUTES), and restart."
        )
    return lines
