"""`leaver db`: the database's schema."""

from __future__ import annotations

import asyncio

import typer

from console.cli.options import AsJson
from console.cli.output import View, show

app = typer.Typer(
    no_args_is_help=True, help="Bring the database to this version's schema, or check that it is there."
)


@app.command("upgrade")
def upgrade(as_json: AsJson = False) -> None:
    """Create or upgrade the schema. Safe to repeat; run it before a new version starts.

    The database is the one in LEAVER_DATABASE_URL (default: leaver.db in the current folder).
    """
    from config.settings import load_settings
    from console.cli.views import database
    from store.migrations import upgrade as migration

    url = load_settings().database_url
    revision = asyncio.run(migration.upgrade(url))
    show(database.at_revision(url, revision), as_json=as_json)


@app.command("check")
def check(as_json: AsJson = False) -> None:
    """Say whether the database answers and has this version's schema. Changes nothing."""
    from console.admin.services import Services, run
    from console.cli.views import database
    from store.migrations import upgrade as migration

    async def work(services: Services) -> View:  # that it could be opened is the check
        return database.at_revision(services.settings.database_url, migration.head())

    show(run(work), as_json=as_json)
