"""`leaver doctor` and `leaver connection test`: from the settings outwards, each finding with its remedy."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from shlex import quote

from config.errors import SettingsError
from config.logging import configure_logging
from config.settings import Settings, load_settings
from console.admin import references
from console.admin.check import Check, CheckStatus
from console.admin.connection_checks import CheckedConnection, examine_connection, probe_graph
from console.admin.services import Services, quiet
from console.cli.inputs import is_loopback
from store.database import open_database
from store.errors import StoreError
from store.records import TenantId
from store.tenancy import connections, tenants

CONFIGURATION, DATABASE, PROCESSES = "Configuration", "Database", "Processes"


def examine(connection_reference: str | None) -> Sequence[Check]:
    """Checks everything, or everything that concerns one connection; stops where no more can be known."""
    try:
        settings = load_settings()
    except SettingsError as error:
        remedy = "Correct the variable, then run this again"
        return [Check(CONFIGURATION, "settings", CheckStatus.FAILED, str(error), remedy)]
    configure_logging(quiet(settings))
    return asyncio.run(_examine(settings, connection_reference))


async def test_connection(services: Services, reference: str) -> Sequence[Check]:
    """Asks Entra for a token and reads what a cycle reads, a little of each; changes nothing."""
    async with services.db.reading() as conn:
        connection = await references.connection(conn, reference)
    return await probe_graph(services, CheckedConnection(connection, quote(reference)))


async def _examine(settings: Settings, reference: str | None) -> list[Check]:
    checks = [_read_settings(), _secret_key(settings), _public_url(settings)]
    try:
        db = await open_database(settings.database_url)
    except StoreError as error:
        return [*checks, Check(DATABASE, "schema", CheckStatus.FAILED, str(error))]
    try:
        services = Services(settings, db)
        checks.append(Check(DATABASE, "schema", CheckStatus.OK, f"{db.dialect} answers and is up to date."))
        checks += [await _worker(settings), await scim_answers(settings, PROCESSES)]
        for patient in await _chosen(services, reference):
            checks += await examine_connection(services, patient, datetime.now(UTC))
    finally:
        await db.close()
    return checks


async def _chosen(services: Services, reference: str | None) -> list[CheckedConnection]:
    async with services.db.reading() as conn:
        if reference is None:
            found = await connections.list_all(conn)
        else:
            found = [await references.connection(conn, reference)]
        slugs: dict[TenantId, str] = {tenant.id: tenant.slug for tenant in await tenants.list_all(conn)}
    return [CheckedConnection(each, quote(f"{slugs[each.tenant_id]}/{each.name}")) for each in found]


def _read_settings() -> Check:
    return Check(
        CONFIGURATION, "settings", CheckStatus.OK, "Every LEAVER_ variable has a value that can be used."
    )


def _secret_key(settings: Settings) -> Check:
    if settings.secret_key:
        kept = f"{len(settings.secret_key)} key(s); the first one seals."
        return Check(CONFIGURATION, "secret key", CheckStatus.OK, kept)
    remedy = "Set LEAVER_SECRET_KEY to a long random value, for example from: openssl rand -base64 32"
    detail = "LEAVER_SECRET_KEY is not set: no credential can be stored, and serve does not start."
    return Check(CONFIGURATION, "secret key", CheckStatus.FAILED, detail, remedy)


def _public_url(settings: Settings) -> Check:
    url = settings.base_url
    if url.startswith("https://"):
        return Check(CONFIGURATION, "public URL", CheckStatus.OK, url)
    host = url.split("://", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0].strip("[]")
    why = "only this machine can use it" if is_loopback(host) else "Entra refuses plain http"
    remedy = "Set LEAVER_PUBLIC_URL to the https URL by which Entra reaches this server"
    return Check(CONFIGURATION, "public URL", CheckStatus.WARNING, f"{url}: {why}.", remedy)


async def _worker(settings: Settings) -> Check:
    from worker.locks.worker_presence import is_worker_alive

    if await is_worker_alive(settings.database_url):
        return Check(PROCESSES, "worker", CheckStatus.OK, "A worker runs.")
    remedy = "Start one: leaver worker (or leaver serve --worker)"
    return Check(
        PROCESSES, "worker", CheckStatus.WARNING, "No worker runs: nothing happens by itself.", remedy
    )


# Does our own SCIM endpoint answer at its public URL?

TIMEOUT_S = 5.0


async def scim_answers(settings: Settings, area: str) -> Check:
    """Asks without a token: a Leaver at the public URL answers 401, as Entra's Test Connection would see."""
    url = f"{settings.base_url}/api/scim/v2/Users"
    status = await asyncio.to_thread(_status_of, url)
    if status == 401:
        return Check(
            area, "SCIM URL", CheckStatus.OK, f"{settings.base_url}/api/scim/v2 answers and asks for a token."
        )
    detail = f"{url} does not answer." if status is None else f"{url} answers {status}; that is not Leaver."
    remedy = "Start leaver serve, and check that LEAVER_PUBLIC_URL leads to it"
    return Check(area, "SCIM URL", CheckStatus.WARNING, detail, remedy)


def _status_of(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the operator's own setting
            status: int = answer.status
            return status
    except urllib.error.HTTPError as refused:
        return refused.code
    except (OSError, ValueError):
        return None
