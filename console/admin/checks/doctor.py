"""Examine an installation, from the settings outwards to each connection.

Nothing is changed. Every finding carries its remedy.
"""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from config.errors import SettingsError
from config.settings import Settings, unread_variables
from console.admin.actor import Actor
from console.admin.checks.check import Advice, Check, CheckStatus, Remedy
from console.admin.checks.connection_checks import CheckedConnection, examine_connection, probe_graph
from console.admin.checks.cycle_checks import examine_cycles, examine_revocations
from console.admin.connections.service_urls import is_loopback
from console.admin.key_rotation import key_use
from console.admin.references import find_connection, visible_connections, visible_tenants
from console.admin.services import Services
from store import write_check
from store.database import Database, open_database
from store.errors import StoreError

CONFIGURATION, DATABASE, PROCESSES = "Configuration", "Database", "Processes"
TIMEOUT_S = 5.0


def unusable_settings(error: SettingsError) -> Check:
    """Return the only check there can be where the settings cannot be read."""
    return Check(CONFIGURATION, "settings", CheckStatus.FAILED, str(error), Advice(Remedy.CORRECT_SETTING))


async def examine(settings: Settings, actor: Actor, connection: str | None = None) -> Sequence[Check]:
    """Check the installation and every connection, or one connection.

    Opens the database itself, because a database that does not answer is a finding; the
    checks end there. Raises `UnknownReference`.
    """
    checks = [_read_settings(), _secret_key(settings)]
    try:
        db = await open_database(settings.database_url)
    except StoreError as error:
        unreadable = Check(DATABASE, "schema", CheckStatus.FAILED, str(error))
        return [*checks, _public_url(settings, is_simulated=False), unreadable]
    try:
        checks.append(_public_url(settings, is_simulated=await _is_simulated(Services(settings, db), actor)))
        checks += await _key_rotation(Services(settings, db), actor)
        checks.append(Check(DATABASE, "schema", CheckStatus.OK, f"{db.dialect} answers and is up to date."))
        checks += [await _write(db, settings), await _jobs_write(settings)]
        checks += [await _worker(settings), await scim_answers(settings)]
        checks += await examine_connections(Services(settings, db), actor, connection)
    finally:
        await db.close()
    return checks


async def examine_connections(
    services: Services, actor: Actor, connection: str | None = None
) -> Sequence[Check]:
    """Check one connection, or every connection that the actor can see."""
    async with services.db.reading() as conn:
        if connection is None:
            chosen = await visible_connections(conn, actor)
        else:
            chosen = [await find_connection(conn, actor, connection)]
        slugs = {tenant.id: tenant.slug for tenant in await visible_tenants(conn, actor)}
    checks: list[Check] = []
    for each in chosen:
        checked = CheckedConnection(each, f"{slugs[each.tenant_id]}/{each.name}")
        checks += await examine_connection(services, checked, datetime.now(UTC))
        checks += await examine_cycles(services, checked)
        checks += await examine_revocations(services, checked, datetime.now(UTC))
    return checks


async def test_connection(services: Services, actor: Actor, connection: str) -> Sequence[Check]:
    """Request a token of Entra and read a little of all that a cycle reads."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
    return await probe_graph(services, CheckedConnection(found, connection))


def _read_settings() -> Check:
    if unread := unread_variables():
        detail = f"{'; '.join(unread)}."
        advice = Advice(Remedy.UNSET_VARIABLES)
        return Check(CONFIGURATION, "settings", CheckStatus.WARNING, detail, advice)
    return Check(
        CONFIGURATION, "settings", CheckStatus.OK, "Every LEAVER_ variable has a value that can be used."
    )


def _secret_key(settings: Settings) -> Check:
    if settings.secret_key:
        kept = f"{len(settings.secret_key)} key(s); the first one seals."
        return Check(CONFIGURATION, "secret key", CheckStatus.OK, kept)
    detail = "LEAVER_SECRET_KEY is not set: no credential can be stored, and the server does not start."
    return Check(CONFIGURATION, "secret key", CheckStatus.FAILED, detail, Advice(Remedy.SET_SECRET_KEY))


async def _key_rotation(services: Services, actor: Actor) -> list[Check]:
    """Count what is still sealed under an earlier key, for the operator alone."""
    if not services.settings.secret_key or actor.tenant is not None:
        return []
    use = await key_use(services, actor)
    if use.earlier:
        detail = f"{use.earlier} of the stored secrets are still sealed under an earlier key."
        return [Check(CONFIGURATION, "key change", CheckStatus.WARNING, detail, Advice(Remedy.RESEAL))]
    if use.keys == 1:
        return []
    detail = "Every stored secret is sealed under the first key: the earlier keys can be removed."
    return [Check(CONFIGURATION, "key change", CheckStatus.OK, detail)]


async def _is_simulated(services: Services, actor: Actor) -> bool:
    """Return whether every directory is a simulator on this machine."""
    async with services.db.reading() as conn:
        found = await visible_connections(conn, actor)
    return bool(found) and all(is_loopback(urlsplit(each.graph_url).hostname or "") for each in found)


def _public_url(settings: Settings, *, is_simulated: bool) -> Check:
    url = settings.base_url
    if url.startswith("https://"):
        return Check(CONFIGURATION, "public URL", CheckStatus.OK, url)
    host = url.split("://", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0].strip("[]")
    if is_simulated and is_loopback(host):
        detail = f"{url}: only this machine can use it, as its simulated directory does."
        return Check(CONFIGURATION, "public URL", CheckStatus.OK, detail)
    why = "only this machine can use it" if is_loopback(host) else "Entra refuses plain http"
    return Check(
        CONFIGURATION, "public URL", CheckStatus.WARNING, f"{url}: {why}.", Advice(Remedy.SET_PUBLIC_URL)
    )


async def _write(db: Database, settings: Settings) -> Check:
    try:
        free = await write_check.check_write(db, settings.database_url)
    except StoreError as error:
        return Check(DATABASE, "write", CheckStatus.FAILED, f"{error}.", Advice(Remedy.MAKE_WRITABLE))
    if free is None:
        detail = "A write was taken. How much room is left PostgreSQL does not say: watch its disk."
    else:
        detail = f"A write was taken; {free / 1024**3:.1f} GB are free."
    return Check(DATABASE, "write", CheckStatus.OK, detail)


async def _jobs_write(settings: Settings) -> Check:
    try:
        await write_check.check_jobs_write(settings.database_url)
    except StoreError as error:
        return Check(DATABASE, "jobs", CheckStatus.FAILED, f"{error}.", Advice(Remedy.MAKE_WRITABLE))
    return Check(
        DATABASE, "jobs", CheckStatus.OK, "The database of the jobs takes a write, where there is one."
    )


async def _worker(settings: Settings) -> Check:
    from worker.locks.worker_presence import is_worker_alive

    if await is_worker_alive(settings.database_url):
        return Check(PROCESSES, "worker", CheckStatus.OK, "A worker runs.")
    detail = "No worker runs: nothing happens by itself."
    return Check(PROCESSES, "worker", CheckStatus.WARNING, detail, Advice(Remedy.START_WORKER))


async def scim_answers(settings: Settings) -> Check:
    """Check that our own SCIM endpoint answers at its public URL.

    The request carries no token: Leaver answers 401, as Entra's Test Connection would
    see.
    """
    url = f"{settings.base_url}/api/scim/v2/Users"
    status = await asyncio.to_thread(_status_of, url)
    if status == 401:
        detail = f"{settings.base_url}/api/scim/v2 answers and asks for a token."
        return Check(PROCESSES, "SCIM URL", CheckStatus.OK, detail)
    detail = f"{url} does not answer." if status is None else f"{url} answers {status}; that is not Leaver."
    return Check(PROCESSES, "SCIM URL", CheckStatus.WARNING, detail, Advice(Remedy.START_SERVER))


def _status_of(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the operator's own setting
            status: int = answer.status
            return status
    except urllib.error.HTTPError as refused:
        return refused.code
    except (OSError, ValueError):
        return None
