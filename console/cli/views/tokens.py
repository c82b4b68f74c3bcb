"""API tokens as JSON and as text; the secret appears once, when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from config.settings import Settings
from console.cli.output import View
from console.cli.views import text
from store.records import ApiToken, Connection, JsonValue
from store.tenancy.api_tokens import ends_within_days


def created(token: ApiToken, secret: str, connection: Connection, settings: Settings) -> View:
    """A token just made: the only time its secret is shown; a federated one has none to show."""
    shown: dict[str, JsonValue] = {
        "id": token.id,
        "name": token.name,
        "token": None if token.federation else secret,
        "permissions": list(token.permissions),
        "expires_at": text.iso(token.expires_at),
    }
    head = f"Token {token.name} ({token.id}), {_expiry(token)}.\nPermissions: {', '.join(token.permissions)}."
    if token.federation:
        return View(
            shown | _federation(token), lambda: Group(head, "", *for_federation(connection, settings))
        )
    return View(
        shown,
        lambda: Group(
            head,
            "",
            Text(f"  {secret}", style="bold", no_wrap=True, overflow="ignore"),
            "",
            Text("Copy it now: it is stored as a hash and never shown again.", style=text.CARE),
        ),
    )


def for_federation(connection: Connection, settings: Settings) -> tuple[RenderableType, ...]:
    """The values of "Workload Identity based authentication" in Entra: there is no secret among them."""
    values = [
        ("Token Endpoint", f"{settings.base_url}/oauth/token"),
        ("Client Identifier", connection.id),
    ]
    if connection.entra_tenant_id:
        return (text.facts(values),)
    missing = f"Its directory is not known yet: leaver connection set {connection.id} --entra-tenant-id …"
    return text.facts(values), Text(missing, style=text.CARE)


def _federation(token: ApiToken) -> dict[str, JsonValue]:
    if token.federation is None:
        return {}
    federation: JsonValue = {
        "subject": token.federation.subject,
        "audiences": list(token.federation.audiences),
    }
    return {"federation": federation}


def document(token: ApiToken, now: datetime) -> dict[str, JsonValue]:
    return {
        "id": token.id,
        "name": token.name,
        "prefix": token.prefix,
        "permissions": list(token.permissions),
        "state": state(token, now),
        "created_at": text.iso(token.created_at),
        "expires_at": text.iso(token.expires_at),
        "revoked_at": text.iso(token.revoked_at),
        "last_used_at": text.iso(token.last_used_at),
        "last_used_from": token.last_used_from,
        "allowed_addresses": list(token.allowed_addresses),
        "user_id": token.user_id,
        "ends_within_days": ends_within_days(token, now),
        **_federation(token),
    }


def state(token: ApiToken, now: datetime) -> str:
    """One word: `revoked`, `expired`, `suspended` or `active`."""
    if token.revoked_at:
        return "revoked"
    if token.expires_at and token.expires_at <= now:
        return "expired"
    return "suspended" if token.suspended_at else "active"


def listed(tokens: Sequence[ApiToken], now: datetime) -> View:
    """The tokens of one connection, one a row."""
    documents = [document(token, now) for token in tokens]
    if not tokens:
        return View(documents, lambda: "No tokens yet. Make one: leaver token create CONNECTION --name entra")
    rows = [
        (
            token.name,
            "assertions" if token.federation else f"{token.prefix}…",
            text.status(state(token, now)),
            _ends(token, now),
            _last_used(token),
            ", ".join(token.allowed_addresses) or "anywhere",
            token.id,
        )
        for token in tokens
    ]
    columns = ("Name", "Token", "State", "Expires", "Last used", "From", "Id")
    return View(documents, lambda: text.table(*columns, rows=rows))


def _ends(token: ApiToken, now: datetime) -> Text:
    days = ends_within_days(token, now)
    if days is None:
        return Text(text.when(token.expires_at) or "never")
    soon = f"within {days} day{'s' if days > 1 else ''}: leaver token rotate"
    return Text(f"{text.when(token.expires_at)}, {soon}", style=text.CARE if days > 1 else text.BAD)


def _last_used(token: ApiToken) -> str:
    if token.last_used_at is None:
        return "never used"
    return text.when(token.last_used_at) + (f" from {token.last_used_from}" if token.last_used_from else "")


def changed(token: ApiToken, what: str) -> View:
    """A token after one of its terms changed."""
    return View(document(token, datetime.now(UTC)), lambda: f"Token {token.name} {what}.")


def revoked(token: ApiToken) -> View:
    """A token that opens nothing any more."""
    return View(
        {"id": token.id, "name": token.name, "revoked_at": text.iso(token.revoked_at)},
        lambda: f"Token {token.name} is revoked: whoever still sends it gets 403 and is told why.",
    )


def _expiry(token: ApiToken) -> str:
    return f"valid until {text.when(token.expires_at)}" if token.expires_at else "no expiry"
