"""Tenants and connections as text; one card holds every value an admin pastes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from config.settings import Settings
from console.admin.connections.overview import ConnectionDetails, ConnectionList
from console.admin.connections.states import BrakeDetails
from console.cli.output import View
from console.cli.progress_bar import PHASES, pace
from console.cli.views import policy as policy_views
from console.documents import connections as documents
from console.documents.connections import connection_state
from console.documents.values import page, plural, utc_text
from console.rendering import text
from store.records import ApiToken, Connection, Cycle, Tenant
from store.sync.cycles import Progress
from store.tenancy.credential_expiry import CredentialState, credential_state


def tenant_created(tenant: Tenant) -> View:
    """Show a new tenant, and the next step."""
    return View(
        documents.tenant(tenant),
        lambda: (
            f"Tenant {tenant.slug} is there ({tenant.id}).\n"
            f"Next: leaver connection create {tenant.slug} --name entra --help"
        ),
    )


def tenants_listed(tenants: Sequence[Tenant]) -> View:
    """Show tenants, one a row."""
    document = page(map(documents.tenant, tenants))
    if not tenants:
        return View(document, lambda: "No tenants yet. Make one: leaver tenant create NAME")
    rows = [(tenant.slug, tenant.name, tenant.id, utc_text(tenant.created_at)) for tenant in tenants]
    return View(document, lambda: text.table("Slug", "Name", "Id", "Created", rows=rows))


def created(connection: Connection, settings: Settings) -> View:
    """Show a new connection: the values for Entra, and the next step."""
    return View(
        documents.connection(connection, settings),
        lambda: Group(
            f"Connection {connection.name} is there.",
            _card(connection, settings),
            "",
            f"Next: leaver token create {connection.id} --name entra   (the Secret Token for Entra)",
        ),
    )


def changed(connection: Connection, settings: Settings, what: str) -> View:
    """Say the one thing that was changed; the document is the whole connection."""
    line = f"Connection {connection.name} {what}."
    return View(documents.connection(connection, settings), lambda: Text(line))


def shown(details: ConnectionDetails, settings: Settings) -> View:
    """Show a connection with its federated tokens and the cycle that runs now."""
    connection, running = details.connection, details.running
    document = documents.connection(connection, settings, details.tokens)
    lines = [_federation_line(token) for token in documents.federated(details.tokens)]
    if running:
        document["running"] = documents.running_cycle(*running)
        lines.append(_running_line(*running))
    return View(document, lambda: Group(_card(connection, settings), *lines))


def _running_line(cycle: Cycle, progress: Progress | None) -> RenderableType:
    known = progress or documents.STARTING
    count = f"{known.done:,} of {known.total:,}" if known.total else f"{known.done:,}"
    words = [
        PHASES.get(known.phase, known.phase),
        *([count] if known.done else []),
        *filter(None, [pace(known)]),
    ]
    return text.facts([("Runs now", f"{cycle.kind}: {', '.join(words)}, id {cycle.id}")])


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


def listed(found: ConnectionList, settings: Settings, *, is_filtered: bool = False) -> View:
    """Show connections, one a row."""
    document = page(documents.connection(connection, settings) for connection in found.connections)
    if not found.connections and is_filtered:
        return View(document, lambda: "No connection is like that. All of them: leaver connection list")
    if not found.connections:
        return View(
            document, lambda: "No connections yet. Make one: leaver connection create TENANT --name entra"
        )
    return View(
        document,
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
                    found.slugs.get(connection.tenant_id, connection.tenant_id),
                    connection.name,
                    text.status(connection_state(connection)),
                    connection.policy.mode,
                    f"{connection.interval_minutes} min",
                    utc_text(connection.last_cycle_at) or "never",
                    _credential_word(connection),
                    connection.id,
                )
                for connection in found.connections
            ],
        ),
    )


def _card(connection: Connection, settings: Settings) -> RenderableType:
    values = documents.connection(connection, settings)
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
                ("Only", policy_views.filters(connection.policy)),
                ("Custom attributes", "\n".join(connection.policy.extensions)),
                ("Held", policy_views.ceilings(connection.policy)),
                ("Push", policy_views.push(connection.policy)),
                ("Local accounts", policy_views.local_accounts(connection.policy)),
                ("Emptied in Entra", policy_views.emptied(connection.policy)),
                ("Every", policy_views.rhythm(connection)),
                ("Last cycle", utc_text(connection.last_cycle_at) or "never"),
                ("Next", utc_text(connection.next_due_at)),
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
    word = connection_state(connection)
    line = text.status(word)
    if word == "incomplete":
        since_text = utc_text(connection.last_complete_at) or "never"
        number = connection.consecutive_incomplete
        line.append(f": {plural(number, 'cycle')} in a row, last complete {since_text}", style="")
        return line.append(f": {connection.incomplete_reason}", style="")
    reason = connection.paused_reason if word == "paused" else connection.quarantine_reason
    since = connection.paused_at or connection.quarantined_at
    if since:
        line.append(f" since {utc_text(since)}", style="")
    if reason:
        line.append(f": {reason}", style="")
    return line


def _mode_line(connection: Connection) -> str:
    if connection.policy.mode == "report":
        return "report: finds drift and changes nothing"
    return "enforce: repairs drift within the safety limits"


def _credential_line(connection: Connection) -> str | Text:
    state = credential_state(connection, datetime.now(UTC))
    ends = utc_text(connection.credential_expires_at)
    if state is CredentialState.MISSING:
        return "none: the pull cannot run. Give one with: leaver connection set … --client-secret @FILE"
    if state is CredentialState.VALID:
        return f"stored, sealed{f', ends {ends}' if ends else ''}"
    remedy = f"make a new one in Entra, then: leaver connection set {connection.id} --client-secret @FILE (or --certificate)"
    if state is CredentialState.EXPIRED:
        return Text(f"expired {ends}: the pull cannot run; {remedy}", style=text.BAD)
    return Text(f"ends {ends}: {remedy}", style=text.CARE)


def _credential_word(connection: Connection) -> Text:
    """Return the credential's state for a table; empty for one that is valid."""
    state = credential_state(connection, datetime.now(UTC))
    if state is CredentialState.VALID:
        return Text("")
    style = text.BAD if state is CredentialState.EXPIRED else text.CARE
    return Text(state.value.replace("_", " "), style=style)


def asked(details: BrakeDetails, for_minutes: int | None) -> str:
    """Say in numbers what was removed and refused, and what a release does."""
    then = (
        f"For {plural(for_minutes, 'minute')} the push may then remove without a limit."
        if for_minutes
        else "Removals by push are then counted anew, under the same limits."
    )
    return f"{_state(details)} {_removed(details)} {then}"


def released(details: BrakeDetails) -> View:
    """Say what was released."""
    until = details.released_until
    ends = f" Until {utc_text(until)} the push removes without a limit." if until else ""
    return View(
        documents.released(details.connection, details.braked, details.removed, until),
        lambda: f"{_state(details)} {_removed(details)} Released: Entra sends again by itself.{ends}",
    )


def _state(details: BrakeDetails) -> str:
    if not details.braked:
        return f"Connection {details.connection.name}: no brake holds back removals by push."
    brakes = " ".join(
        f"Stopped since {utc_text(brake.braked_at)}: {brake.reason} {brake.refused:,} requests were refused since."
        for brake in details.braked
    )
    return f"Connection {details.connection.name}: {brakes}"


def _removed(details: BrakeDetails) -> str:
    numbers = ", ".join(f"{number:,} {kind}" for kind, number in details.removed.items()) or "nothing"
    when = "since 10 minutes before" if details.braked else "in the last 10 minutes"
    return f"Removed {when}: {numbers}."
