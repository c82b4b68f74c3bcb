"""`leaver doctor`, `leaver db`, `leaver secret-key`: the installation as a whole."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console import errors
from console.cli.inputs import confirm
from console.cli.options import AsJson, Yes
from console.cli.output import View, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.admin.actor import Actor
    from console.admin.checks.check import Check
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True,
    help="Upgrade, check, back up and restore the database; end the change of a secret key.",
)


def secret_key() -> None:
    """Print a new value for LEAVER_SECRET_KEY: 32 random bytes in base64url.

    To change the key of an installation, put the new one in front (NEW,OLD), restart
    its processes, run `leaver db reseal`, then remove the old one.
    """
    from config.keys import new_key

    sys.stdout.write(f"{new_key()}\n")


@app.command("upgrade")
def upgrade(as_json: AsJson = False) -> None:
    """Create or upgrade the schema. Safe to repeat; run it before a new version starts.

    The database is the one in LEAVER_DATABASE_URL (default: leaver.db in the current
    folder).
    """
    from config.settings import load_settings
    from console.cli.views import checks as views
    from store.migrations import upgrade as migration

    url = load_settings().database_url
    revision = asyncio.run(migration.upgrade(url))
    show(views.database(url, revision), as_json=as_json)


@app.command("check")
def check(as_json: AsJson = False) -> None:
    """Say whether the database answers and has this version's schema.

    Changes nothing.
    """
    from console.cli.session import run
    from console.cli.views import checks as views
    from store.migrations import upgrade as migration

    async def work(services: Services, _actor: Actor) -> View:  # that it could be opened is the check
        return views.database(services.settings.database_url, migration.head())

    show(run(work), as_json=as_json)


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes; it must not exist yet.")],
    as_json: AsJson = False,
) -> None:
    """Copy the database to FILE while it is used, and the jobs to FILE.jobs (SQLite).

    Each copy is one moment, checked, and readable by you alone. The secret key is not
    in it: keep it apart. For PostgreSQL it says what to type.
    """
    from config.settings import load_settings
    from console.admin import backups
    from console.cli.session import shell_actor
    from console.cli.views import checks as views

    copied = asyncio.run(backups.back_up(load_settings(), shell_actor(), file))
    show(views.backed_up(copied), as_json=as_json)


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that leaver db backup made.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the database: numbers first, then it asks (SQLite).

    Every server and worker has to be stopped. The backup is checked, and upgraded if it
    is older. The next cycle of each connection reads everything and holds all removals.
    Tokens and sessions that were ended since the backup live again: end them again.
    """
    from config.settings import load_settings
    from console.admin import backups
    from console.cli.session import shell_actor
    from console.cli.views import checks as views

    settings = load_settings()
    content = asyncio.run(backups.examine_backup(settings, shell_actor(), file))
    if not yes:
        confirm(views.restore_asked(file, settings.database_url, content))
    connections = asyncio.run(backups.restore(settings, shell_actor(), file))
    show(views.restored(connections), as_json=as_json)


@app.command("restored")
def restored(as_json: AsJson = False) -> None:
    """Say that the database was restored by other means, such as pg_restore.

    The next cycle of each connection reads everything and holds all removals.
    """
    from console.admin import backups
    from console.cli.session import run
    from console.cli.views import checks as views

    show(views.restored(run(backups.note_restore)), as_json=as_json)


@app.command("reseal")
def reseal(as_json: AsJson = False) -> int:
    """End a change of the secret key: seal all stored secrets with the first key.

    Says how many were under which key, and then that the earlier key can be removed
    from LEAVER_SECRET_KEY. Safe to repeat. Exit status 3: no configured key opens some
    of them.
    """
    from console.admin import key_rotation
    from console.admin.key_rotation import KeyUse
    from console.cli.session import run
    from console.cli.views import checks as views

    async def work(services: Services, actor: Actor) -> tuple[KeyUse, KeyUse]:
        before = await key_rotation.key_use(services, actor)
        return before, await key_rotation.reseal(services, actor)

    before, after = run(work)
    show(views.resealed(before, after), as_json=as_json)
    return errors.ATTENTION if after.unreadable else errors.DONE


def doctor(
    connection: Annotated[
        str | None, typer.Argument(metavar="[CONNECTION]", help="Only this connection; default: all of them.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check configuration, database, credentials, permissions and connectivity.

    Each with its remedy.

    Reads only. Exit status 0: nothing is to do; 3: something waits, or wants a look; 1:
    something failed.
    """
    from console.cli.views import checks as views

    checks = _examine(connection)
    show(views.shown(checks), as_json=as_json)
    return views.exit_code(checks)


def _examine(connection: str | None) -> Sequence[Check]:
    from config.errors import SettingsError
    from config.logging import configure_logging
    from config.settings import load_settings
    from console.admin.checks import doctor as use_cases
    from console.cli.session import quiet, shell_actor

    try:
        settings = load_settings()
    except SettingsError as error:
        return [use_cases.unusable_settings(error)]
    configure_logging(quiet(settings))
    return asyncio.run(use_cases.examine(settings, shell_actor(), connection))
