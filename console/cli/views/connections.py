"""Connections as JSON and as text: every value an admin pastes somewhere stands on one card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from config.settings import Settings
from console.cli.output import View
from console.cli.progress_bar import PHASES, pace
from console.cli.views import text
from store.records import ApiToken, Connection, Cycle, JsonValue, TenantId
from store.sync.cycles import Progress
from store.tenancy.credential_expiry import CredentialState, credential_state


def document(connection: Connection, settings: Settings) -> dict[str, JsonValue]:
    """What others script against (design.md §6), then the facts a person asks for next."""
    base = settings.base_url
    return {
        "id": connection.id,
        "tenant_id": connection.tenant_id,
        "name": connection.name,
        "scim_url": f"{base}/api/scim/v2",
        "scim_url_connection": f"{base}/v1/admin/scim/{connection.id}",
        "redirect_uri": f"{base}/v1/admin/openid/{connection.id}/callback/login",
        "token_url": f"{base}/oauth/token",
        "mode": connection.policy.mode,
        "state": state(connection),
        "scope": connection.policy.scope,
        "membership": connection.policy.membership,
        "extensions": list(connection.policy.extensions),
        "interval_minutes": connection.interval_minutes,
        "entra_tenant_id": connection.entra_tenant_id,
        "client_id": connection.client_id,
        "app_id": connection.app_id or connection.client_id,
        "login_url": connection.login_url,
        "graph_url": connection.graph_url,
        "has_credential": connection.has_credential,
        "credential_expires_at": text.iso(connection.credential_expires_at),
        "credential_state": credential_state(connection, datetime.now(UTC)),
        "last_cycle_at": text.iso(connection.last_cycle_at),
        "next_due_at": text.iso(connection.next_due_at),
        "paused_reason": connection.paused_reason,
        "quarantine_reason": connection.quarantine_reason,
        "consecutive_failures": connection.consecutive_failures,
        "federation": [],
    }


def state(connection: Connection) -> str:
    """One word: `paused`, `quarantined` or `active`."""
    if connection.paused_at:
        return "paused"
    return "quarantined" if connection.quarantined_at else "active"


def created(connection: Connection, settings: Settings) -> View:
    """A connection just made: the values for Entra, and the next step."""
    return View(
        document(connection, settings),
        lambda: Group(
            f"Connection {connection.name} is there.",
            _card(connection, settings),
            "",
            f"Next: leaver token create {connection.id} --name entra   (the Secret Token for Entra)",
        ),
    )


def shown(
    connection: Connection,
    settings: Settings,
    tokens: Sequence[ApiToken] = (),
    running: tuple[Cycle, Progress | None] | None = None,
) -> View:
    """Everything about one connection but its secrets; with its tokens, whose assertions it takes, and what runs now."""
    federated = [each for each in tokens if each.federation and each.revoked_at is None]
    federation: JsonValue = [_federation(each) for each in federated]
    whole = document(connection, settings) | {"federation": federation}
    lines = [_federation_line(each) for each in federated]
    if running:
        whole["running"] = _running(*running)
        lines.append(_running_line(*running))
    return View(whole, lambda: Group(_card(connection, settings), *lines))


def _running(cycle: Cycle, how_far: Progress | None) -> JsonValue:
    told = how_far or Progress("starting")
    return {
        "cycle_id": cycle.id,
        "kind": cycle.kind.value,
        "started_at": cycle.started_at.isoformat(),
        "phase": told.phase,
        "done": told.done,
        "total": told.total,
        "rate_per_s": told.rate_per_s,
        "left_s": told.left_s,
    }


def _running_line(cycle: Cycle, how_far: Progress | None) -> RenderableType:
    told = how_far or Progress("starting")
    count = f"{told.done:,} of {told.total:,}" if told.total else f"{told.done:,}"
    words = [PHASES.get(told.phase, told.phase), *([count] if told.done else []), *filter(None, [pace(told)])]
    return text.facts([("Runs now", f"{cycle.kind}: {', '.join(words)}, id {cycle.id}")])


def _federation(token: ApiToken) -> JsonValue:
    assert token.federation is not None
    return {
        "token_id": token.id,
        "name": token.name,
        "subject": token.federation.subject,
        "audiences": list(token.federation.audiences),
    }


def _federation_line(token: ApiToken) -> RenderableType:
    assert token.federation is not None
    return Group(
        Text("Workload identity federation", style="bold"),
        text.facts(
            [
                ("Token", f"{token.name} ({token.id})"),
                ("Subject", token.federation.subject),
                ("Audiences", ", ".join(token.federation.audiences)),
            ]
        ),
    )


def listed(connections: Sequence[Connection], slugs: Mapping[TenantId, str], settings: Settings) -> View:
    """Connections, one a row; `slugs` names their tenants by id."""
    documents = [document(connection, settings) for connection in connections]
    if not connections:
        return View(
            documents, lambda: "No connections yet. Make one: leaver connection create TENANT --name entra"
        )
    return View(
        documents,
        lambda: text.table(
            "Tenant",
            "Name",
            "State",
            "Mode",
            "Every",
            "Last cycle",
            "Credential",
            "Id",
            rows=[
                (
                    slugs.get(connection.tenant_id, connection.tenant_id),
                    connection.name,
                    text.status(state(connection)),
                    connection.policy.mode,
                    f"{connection.interval_minutes} min",
                    text.when(connection.last_cycle_at) or "never",
                    _credential_word(connection),
                    connection.id,
                )
                for connection in connections
            ],
        ),
    )


def _card(connection: Connection, settings: Settings) -> RenderableType:
    values = document(connection, settings)
    return Group(
        Text("For Entra", style="bold"),
        text.facts(
            [
                ("Tenant URL", str(values["scim_url"])),
                ("  or, derived from the callback", str(values["scim_url_connection"])),
                ("Redirect URI", str(values["redirect_uri"])),
                ("Token Endpoint", str(values["token_url"])),
                ("Client Identifier", connection.id),
            ]
        ),
        Text("This connection", style="bold"),
        text.facts(
            [
                ("Id", connection.id),
                ("State", _state_line(connection)),
                ("Mode", _mode_line(connection)),
                ("Scope", f"{connection.policy.scope}, membership {connection.policy.membership}"),
                ("Custom attributes", "\n".join(connection.policy.extensions)),
                ("Every", f"{connection.interval_minutes} minutes"),
                ("Last cycle", text.when(connection.last_cycle_at) or "never"),
                ("Next", text.when(connection.next_due_at)),
            ]
        ),
        Text("Microsoft Graph", style="bold"),
        text.facts(
            [
                ("Directory (tenant) ID", connection.entra_tenant_id or "not set"),
                ("Application (client) ID", connection.client_id or "not set"),
                ("Enterprise application", connection.app_id or "the client's own"),
                ("Credential", _credential_line(connection)),
                ("Login", connection.login_url),
                ("Graph", connection.graph_url),
            ]
        ),
    )


def _state_line(connection: Connection) -> Text:
    word = state(connection)
    reason = connection.paused_reason if word == "paused" else connection.quarantine_reason
    since = connection.paused_at or connection.quarantined_at
    line = text.status(word)
    if since:
        line.append(f" since {text.when(since)}", style="")
    if reason:
        line.append(f": {reason}", style="")
    return line


def _mode_line(connection: Connection) -> str:
    if connection.policy.mode == "report":
        return "report: finds drift and changes nothing"
    return "enforce: repairs drift within the safety limits"


def _credential_line(connection: Connection) -> str | Text:
    state = credential_state(connection, datetime.now(UTC))
    ends = text.when(connection.credential_expires_at)
    if state is CredentialState.MISSING:
        return "none: the pull cannot run. Give one with: leaver connection set … --client-secret @FILE"
    if state is CredentialState.VALID:
        return f"stored, sealed{f', ends {ends}' if ends else ''}"
    remedy = f"make a new one in Entra, then: leaver connection set {connection.id} --client-secret @FILE (or --certificate)"
    if state is CredentialState.EXPIRED:
        return Text(f"expired {ends}: the pull cannot run; {remedy}", style=text.BAD)
    return Text(f"ends {ends}: {remedy}", style=text.CARE)


def _credential_word(connection: Connection) -> Text:
    """The credential in a table: nothing to say of one that is valid."""
    state = credential_state(connection, datetime.now(UTC))
    if state is CredentialState.VALID:
        return Text("")
    style = text.BAD if state is CredentialState.EXPIRED else text.CARE
    return Text(state.value.replace("_", " "), style=style)
