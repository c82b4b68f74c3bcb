"""The state of the database, and of the keys that seal what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from console.admin.key_rotation import KeyUse
from console.cli.output import View
from console.documents import databases as documents
from store.backup import BackupContent, CopiedFile
from store.database import sqlite_path


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
        f"{file} holds {content.tenants} tenants, {content.connections} connections and {content.active_users} "
        f"active users; {newest}. It takes the place of {sqlite_path(url)}, which is lost"
    )


def restored(connections: int) -> View:
    """Show what a restore means for the next cycles."""
    return View(
        documents.restored(connections),
        lambda: (
            f"Restored. The next cycle of each of {connections} connections reads everything and holds all "
            "removals. End again what was ended since the backup: tokens (leaver token revoke) and people (leaver sync)."
        ),
    )


def resealed(before: KeyUse, after: KeyUse) -> View:
    """Show how many secrets were under which key, and what may be done now."""
    return View(documents.resealed(asdict(before), asdict(after)), lambda: "\n".join(_lines(before, after)))


def _lines(before: KeyUse, after: KeyUse) -> list[str]:
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
