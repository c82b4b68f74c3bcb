"""The state of the database as JSON and as text."""

from __future__ import annotations

from console.cli.output import View


def at_revision(url: str, revision: str) -> View:
    """An up-to-date database; the URL is shown without its password."""
    dialect = url.partition("+")[0]
    return View(
        {"database": dialect, "revision": revision, "up_to_date": True},
        lambda: f"The database ({dialect}) is up to date: revision {revision}.",
    )
