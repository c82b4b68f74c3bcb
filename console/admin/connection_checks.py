"""What `leaver doctor` looks at in one connection: state, tokens, credential, Graph, last cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from config.errors import SealError
from console.admin.check import Check, CheckStatus
from console.admin.services import Services, make_sealer
from console.cli.views import text
from console.cli.views import tokens as token_views
from console.cli.views.connections import state
from store.records import ApiToken, Connection, CycleStatus, Mode
from store.sync import cycles
from store.tenancy import api_tokens, connections
from store.tenancy.credential_expiry import CredentialState, credential_state
from worker.graph.auth.credentials import Credential
from worker.graph.errors import GraphError


@dataclass(frozen=True, slots=True)
class CheckedConnection:
    """A connection, and how a person names it."""

    connection: Connection
    name: str
    """As it can be typed after a command: `tenant/name`, quoted where a shell needs it."""

    def check(self, name: str, found: CheckStatus, detail: str, remedy: str = "") -> Check:
        return Check(f"Connection {self.name}", name, found, detail, remedy)


async def examine_connection(services: Services, patient: CheckedConnection, now: datetime) -> list[Check]:
    """Checks one connection from its own state outwards to Entra; changes nothing."""
    return [
        _state(patient),
        _mode(patient),
        *await _tokens(services, patient, now),
        _expiry(patient, now),
        *await probe_graph(services, patient),
        await _last_cycle(services, patient),
    ]


async def _tokens(services: Services, patient: CheckedConnection, now: datetime) -> list[Check]:
    async with services.db.reading() as conn:
        known = await api_tokens.list_for(conn, patient.connection.tenant_id, patient.connection.id)
    usable = [token for token in known if token_views.state(token, now) == "active"]
    checks = [_token(patient, usable, now)]
    if any(token.federation for token in usable):
        checks.append(await _federation(patient))
    return checks


async def _federation(patient: CheckedConnection) -> Check:
    """Reads the keys by which assertions of Entra are checked: without them Entra cannot come in."""
    from scim.auth.federation import issuer_of, keys_url
    from scim.auth.jwks import KeysUnreachable, fetch_over_http, read_keys

    connection = patient.connection
    if not connection.entra_tenant_id:
        remedy = f"leaver connection set {patient.name} --entra-tenant-id …"
        detail = "The directory whose assertions count is not known."
        return patient.check("federation", CheckStatus.FAILED, detail, remedy)
    try:
        keys = read_keys(await fetch_over_http(keys_url(connection)), issuer_of(connection))
    except KeysUnreachable as error:
        remedy = f"Let this server reach {connection.login_url}, and compare the Directory (tenant) ID"
        return patient.check("federation", CheckStatus.FAILED, f"The keys cannot be read: {error}.", remedy)
    return patient.check(
        "federation", CheckStatus.OK, f"{len(keys)} signing keys of the directory can be read."
    )


async def probe_graph(services: Services, patient: CheckedConnection) -> list[Check]:
    """Opens the stored credential and reads a little of all that a cycle reads."""
    connection = patient.connection
    if not connection.has_credential:
        remedy = f"leaver connection set {patient.name} --entra-tenant-id … --client-id … --client-secret -"
        return [
            patient.check("credential", CheckStatus.FAILED, "None is stored: the pull cannot run.", remedy)
        ]
    credential = await _unsealed(services, connection)
    if credential is None:
        remedy = "Set LEAVER_SECRET_KEY to the key it was stored with, or store the credential again"
        detail = "It was sealed with another LEAVER_SECRET_KEY and cannot be opened."
        return [patient.check("credential", CheckStatus.FAILED, detail, remedy)]
    from worker.graph.read.probe import probe

    steps = await probe(connection, credential)
    return [
        patient.check(step.name, _found(ok=step.ok, remedy=step.remedy), step.detail, step.remedy)
        for step in steps
    ]


def _found(*, ok: bool, remedy: str) -> CheckStatus:
    if not ok:
        return CheckStatus.FAILED
    return CheckStatus.WARNING if remedy else CheckStatus.OK


async def _unsealed(services: Services, connection: Connection) -> Credential | None:
    async with services.db.reading() as conn:
        sealed = await connections.sealed_credential(conn, connection.tenant_id, connection.id)
    try:
        return Credential.from_text(make_sealer(services.settings).unseal(sealed or ""))
    except (SealError, GraphError):
        return None


def _state(patient: CheckedConnection) -> Check:
    connection = patient.connection
    word = state(connection)
    if word == "active":
        return patient.check("state", CheckStatus.OK, "Active.")
    reason = connection.paused_reason if word == "paused" else connection.quarantine_reason
    since = text.when(connection.paused_at or connection.quarantined_at)
    found = CheckStatus.WARNING if word == "paused" else CheckStatus.FAILED
    remedy = f"leaver connection resume {patient.name}, once the cause is gone"
    detail = f"{word.capitalize()} since {since}: {(reason or 'no reason given').rstrip('.')}."
    return patient.check("state", found, detail, remedy)


def _mode(patient: CheckedConnection) -> Check:
    if patient.connection.policy.mode is Mode.ENFORCE:
        return patient.check("mode", CheckStatus.OK, "enforce: drift is repaired within the safety limits.")
    remedy = f"When the reports look right: leaver connection mode {patient.name} enforce"
    return patient.check("mode", CheckStatus.WARNING, "report: drift is found, nothing is changed.", remedy)


def _token(patient: CheckedConnection, usable: Sequence[ApiToken], now: datetime) -> Check:
    if not usable:
        remedy = f"leaver token create {patient.name} --name entra, then paste it into Entra"
        return patient.check("API token", CheckStatus.WARNING, "No usable token: Entra cannot push.", remedy)
    soon = _ends_soon(usable, now)
    if soon is not None:
        remedy = _rotation(soon, usable)
        days = api_tokens.ends_within_days(soon, now)
        detail = f"The one in use, {soon.name}, expires {text.when(soon.expires_at)}: within {days} day(s)."
        return patient.check("API token", CheckStatus.WARNING, detail, remedy)
    used = max((token.last_used_at for token in usable if token.last_used_at), default=None)
    seen = f"last used {text.when(used)}" if used else "never used yet"
    return patient.check("API token", CheckStatus.OK, f"{len(usable)} usable, {seen}.")


def _ends_soon(usable: Sequence[ApiToken], now: datetime) -> ApiToken | None:
    """Gives the token that was used last, if it ends soon; before any was used, the one that lasts longest."""
    never = datetime.min.replace(tzinfo=UTC)
    in_use = max(
        usable,
        key=lambda token: (token.last_used_at or never, token.expires_at or datetime.max.replace(tzinfo=UTC)),
    )
    return in_use if api_tokens.ends_within_days(in_use, now) else None


def _rotation(old: ApiToken, usable: Sequence[ApiToken]) -> str:
    """Rotated already, the successor only has to be pasted; a second one would help nobody."""
    successors = [
        token
        for token in usable
        if token.name == old.name and token.created_at > old.created_at and not token.last_used_at
    ]
    if not successors:
        return f"leaver token rotate {old.id}, then paste the new one into Entra"
    new = max(successors, key=lambda token: token.created_at)
    return (
        f"Its successor {new.prefix}… was never used: paste that into Entra, Test Connection, Save. Is it lost? "
        f"leaver token revoke {new.id}, then leaver token rotate {old.id}"
    )


def _expiry(patient: CheckedConnection, now: datetime) -> Check:
    ends = patient.connection.credential_expires_at
    state = credential_state(patient.connection, now)
    if ends is None:
        detail = "Not known: of a client secret only Entra knows, unless --client-secret-expires said so."
        return patient.check("expiry", CheckStatus.OK, detail)
    remedy = (
        f"Make a new one in Entra, then: leaver connection set {patient.name} --client-secret @FILE "
        "(or --certificate @FILE)"
    )
    if state is CredentialState.EXPIRED:
        return patient.check(
            "expiry", CheckStatus.FAILED, f"The credential expired {text.when(ends)}.", remedy
        )
    if state.is_warning:
        when = state.value.replace("_", " ")
        detail = f"The credential {when}: {text.when(ends)}."
        return patient.check("expiry", CheckStatus.WARNING, detail, remedy)
    return patient.check("expiry", CheckStatus.OK, f"The credential is valid until {text.when(ends)}.")


async def _last_cycle(services: Services, patient: CheckedConnection) -> Check:
    async with services.db.reading() as conn:
        connection = patient.connection
        found = await cycles.latest(conn, connection.tenant_id, connection.id, limit=1, finished=True)
    if not found:
        remedy = f"leaver sync {patient.name}"
        return patient.check("last cycle", CheckStatus.WARNING, "None has run yet.", remedy)
    cycle = found[0]
    detail = f"{cycle.kind} at {text.when(cycle.started_at)}: {cycle.status}."
    if cycle.status in (CycleStatus.FAILED, CycleStatus.INCOMPLETE):
        return patient.check(
            "last cycle", CheckStatus.WARNING, f"{detail} {cycle.error or ''}".strip(), "See above"
        )
    if cycle.status is CycleStatus.HELD:
        return patient.check("last cycle", CheckStatus.WARNING, detail, "leaver plan list")
    return patient.check("last cycle", CheckStatus.OK, detail)
