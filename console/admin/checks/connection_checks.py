"""Checks of one connection: state, tokens, credential, Graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from config.errors import SealError
from console.admin.checks.check import Advice, Check, CheckStatus, Remedy
from console.admin.services import Services
from console.documents.api_tokens import token_state
from console.documents.connections import connection_state
from console.documents.values import utc_text
from store.directory import listing
from store.keys import utc_now
from store.records import ApiToken, Connection, Mode
from store.tenancy import api_tokens, connections, push_brakes
from store.tenancy.credential_expiry import CredentialState, credential_state
from store.tenancy.push_brakes import PushBrake
from worker.graph.auth.credentials import Credential
from worker.graph.errors import GraphError


@dataclass(frozen=True, slots=True)
class CheckedConnection:
    """A connection, and the reference by which a person can name it."""

    connection: Connection
    name: str
    """`tenant/name`, or the reference as it was given."""

    def check(
        self,
        name: str,
        found: CheckStatus,
        detail: str,
        remedy: Remedy | str = "",
        **values: str,
    ) -> Check:
        """Return a check of this connection; `values` are what the remedy concerns."""
        if isinstance(remedy, Remedy):
            advice = Advice(remedy, {"connection": self.name, **values})
            return Check(f"Connection {self.name}", name, found, detail, advice)
        return Check(f"Connection {self.name}", name, found, detail, remedy)


async def examine_connection(services: Services, checked: CheckedConnection, now: datetime) -> list[Check]:
    """Check one connection, from its own state outwards to Entra."""
    return [
        _state(checked),
        _mode(checked),
        await _push_brake(services, checked),
        *await _tokens(services, checked, now),
        _expiry(checked, now),
        *await _sealed_accounts(services, checked),
        *await probe_graph(services, checked),
    ]


async def _push_brake(services: Services, checked: CheckedConnection) -> Check:
    connection = checked.connection
    async with services.db.reading() as conn:
        brakes = await push_brakes.load(conn, connection.tenant_id, connection.id)
    braked = [brake for brake in brakes if brake.braked_at]
    if not braked:
        return checked.check("push removals", CheckStatus.OK, _unbraked(connection, brakes, utc_now()))
    details = (
        f"Stopped since {utc_text(brake.braked_at)}: {brake.reason} {brake.refused:,} requests refused since."
        for brake in braked
    )
    return checked.check("push removals", CheckStatus.FAILED, " ".join(details), Remedy.RELEASE_BRAKE)


def _unbraked(connection: Connection, brakes: Sequence[PushBrake], now: datetime) -> str:
    if not connection.policy.brake_push:
        return "Not limited, by the policy."
    released = [brake for brake in brakes if brake.is_released(now)]
    if released:
        return f"Not limited until {utc_text(released[0].counted_from)}, as a person said."
    return "Within the limits."


async def _tokens(services: Services, checked: CheckedConnection, now: datetime) -> list[Check]:
    async with services.db.reading() as conn:
        known = await api_tokens.list_for(conn, checked.connection.tenant_id, checked.connection.id)
    usable = [token for token in known if token_state(token, now) == "active"]
    checks = [_token(checked, [token for token in usable if _can_push(token)], usable, now)]
    if any(token.federation for token in usable):
        checks.append(await _federation(checked))
    return checks


async def _sealed_accounts(services: Services, checked: CheckedConnection) -> list[Check]:
    """Say how many accounts wait for their person, and that no cycle will tell where
    there is no pull (identity.md, W5).
    """
    connection = checked.connection
    async with services.db.reading() as conn:
        number = await listing.count_sealed(conn, connection.tenant_id, connection.id)
    if not number:
        return []
    detail = (
        f"{number:,} with access: the push gave it without a proof of the person, so their history is hidden."
    )
    if connection.has_credential:
        return [checked.check("sealed accounts", CheckStatus.OK, f"{detail} The next cycles look for them.")]
    detail = f"{detail} Without a pull they stay so until a person says whose they are."
    return [checked.check("sealed accounts", CheckStatus.WARNING, detail, Remedy.LIFT_SEALS)]


async def _federation(checked: CheckedConnection) -> Check:
    """Read the keys that sign Entra's assertions.

    Without them Entra cannot get a token.
    """
    from scim.auth.federation import issuer_of, keys_url
    from scim.auth.jwks import KeysUnreachable, fetch_over_http, read_keys

    connection = checked.connection
    if not connection.entra_tenant_id:
        detail = "The directory whose assertions count is not known."
        return checked.check("federation", CheckStatus.FAILED, detail, Remedy.SET_DIRECTORY)
    try:
        keys = read_keys(await fetch_over_http(keys_url(connection)), issuer_of(connection))
    except KeysUnreachable as error:
        return checked.check(
            *("federation", CheckStatus.FAILED, f"The keys cannot be read: {error}."),
            Remedy.REACH_LOGIN,
            login_url=connection.login_url,
        )
    return checked.check(
        "federation", CheckStatus.OK, f"{len(keys)} signing keys of the directory can be read."
    )


async def probe_graph(services: Services, checked: CheckedConnection) -> list[Check]:
    """Open the stored credential and read a little of all that a cycle reads."""
    connection = checked.connection
    if not connection.has_credential:
        detail = "None is stored: the pull cannot run."
        return [checked.check("credential", CheckStatus.FAILED, detail, Remedy.STORE_CREDENTIAL)]
    credential = await _unsealed(services, connection)
    if credential is None:
        detail = "It was sealed with another LEAVER_SECRET_KEY and cannot be opened."
        return [checked.check("credential", CheckStatus.FAILED, detail, Remedy.RESTORE_SECRET_KEY)]
    from worker.graph.read.probe import probe

    return [
        checked.check(step.name, _found(ok=step.ok, remedy=step.remedy), step.detail, step.remedy)
        for step in await probe(connection, credential)
    ]


def _found(*, ok: bool, remedy: str) -> CheckStatus:
    if not ok:
        return CheckStatus.FAILED
    return CheckStatus.WARNING if remedy else CheckStatus.OK


async def _unsealed(services: Services, connection: Connection) -> Credential | None:
    async with services.db.reading() as conn:
        sealed = await connections.sealed_credential(conn, connection.tenant_id, connection.id)
    try:
        return Credential.from_text(services.sealer().unseal(sealed or ""))
    except (SealError, GraphError):
        return None


def _state(checked: CheckedConnection) -> Check:
    connection = checked.connection
    word = connection_state(connection)
    if word == "active":
        return checked.check("state", CheckStatus.OK, "Active.")
    if word == "incomplete":
        at = utc_text(connection.last_complete_at) or "never"
        detail = (
            f"{connection.consecutive_incomplete} cycles in a row were incomplete, so no leaver was found by their "
            f"absence; last complete: {at}. {connection.incomplete_reason or ''}"
        )
        return checked.check("state", CheckStatus.FAILED, detail.strip(), Remedy.END_INCOMPLETE)
    reason = connection.paused_reason if word == "paused" else connection.quarantine_reason
    since = utc_text(connection.paused_at or connection.quarantined_at)
    found = CheckStatus.WARNING if word == "paused" else CheckStatus.FAILED
    detail = f"{word.capitalize()} since {since}: {(reason or 'no reason given').rstrip('.')}."
    return checked.check("state", found, detail, Remedy.RESUME)


def _mode(checked: CheckedConnection) -> Check:
    if checked.connection.policy.mode is Mode.ENFORCE:
        return checked.check("mode", CheckStatus.OK, "enforce: drift is repaired within the safety limits.")
    detail = "report: drift is found, nothing is changed."
    return checked.check("mode", CheckStatus.WARNING, detail, Remedy.ENFORCE)


PUSHES = ("create", "read", "update", "delete")


def _can_push(token: ApiToken) -> bool:
    """Return whether Entra can push people and groups with a token.

    One that stands for a user reaches that user alone.
    """
    given = set(token.permissions)
    sections = ("admin:user", "admin:group")
    return token.user_id is None and all(
        f"{section}:*" in given or {f"{section}:{action}" for action in PUSHES} <= given
        for section in sections
    )


def _token(
    checked: CheckedConnection, usable: Sequence[ApiToken], others: Sequence[ApiToken], now: datetime
) -> Check:
    if not usable:
        why = f" {len(others)} work, but not for people and groups." if others else ""
        detail = f"No usable token: Entra cannot push.{why}"
        return checked.check("API token", CheckStatus.WARNING, detail, Remedy.CREATE_TOKEN)
    soon = _ends_soon(usable, now)
    if soon is not None:
        return _rotation(checked, soon, usable, now)
    used = max((token.last_used_at for token in usable if token.last_used_at), default=None)
    seen = f"last used {utc_text(used)}" if used else "never used yet"
    return checked.check("API token", CheckStatus.OK, f"{len(usable)} usable for people and groups, {seen}.")


def _ends_soon(usable: Sequence[ApiToken], now: datetime) -> ApiToken | None:
    """Return the token in use if it ends soon.

    In use is the token that was used last; before any use, the one that lasts longest.
    """
    never = datetime.min.replace(tzinfo=UTC)
    in_use = max(
        usable,
        key=lambda token: (token.last_used_at or never, token.expires_at or datetime.max.replace(tzinfo=UTC)),
    )
    return in_use if api_tokens.ends_within_days(in_use, now) else None


def _rotation(checked: CheckedConnection, old: ApiToken, usable: Sequence[ApiToken], now: datetime) -> Check:
    """Advise a rotation, or to paste the unused successor of a token rotated already.

    A second successor would help nothing: the first one only waits to be pasted.
    """
    days = api_tokens.ends_within_days(old, now)
    detail = f"The one in use, {old.name}, expires {utc_text(old.expires_at)}: within {days} day(s)."
    successors = [
        token
        for token in usable
        if token.name == old.name and token.created_at > old.created_at and not token.last_used_at
    ]
    if not successors:
        return checked.check("API token", CheckStatus.WARNING, detail, Remedy.ROTATE_TOKEN, token_id=old.id)
    new = max(successors, key=lambda token: token.created_at)
    return checked.check(
        *("API token", CheckStatus.WARNING, detail, Remedy.PASTE_SUCCESSOR),
        token_id=old.id,
        successor_id=new.id,
        successor_prefix=new.prefix,
    )


def _expiry(checked: CheckedConnection, now: datetime) -> Check:
    ends = checked.connection.credential_expires_at
    state = credential_state(checked.connection, now)
    if ends is None:
        detail = (
            "Not known: only Entra knows the end of a client secret, unless it was given with the secret."
        )
        return checked.check("expiry", CheckStatus.OK, detail)
    if state is CredentialState.EXPIRED:
        detail = f"The credential expired {utc_text(ends)}."
        return checked.check("expiry", CheckStatus.FAILED, detail, Remedy.RENEW_CREDENTIAL)
    if state.is_warning:
        detail = f"The credential {state.value.replace('_', ' ')}: {utc_text(ends)}."
        return checked.check("expiry", CheckStatus.WARNING, detail, Remedy.RENEW_CREDENTIAL)
    return checked.check("expiry", CheckStatus.OK, f"The credential is valid until {utc_text(ends)}.")
