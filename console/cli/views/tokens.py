"""API tokens as text; the secret appears once, when the token is created."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from config.settings import Settings
from console.admin.api_tokens import CreatedToken
from console.cli.output import View
from console.documents import api_tokens as documents
from console.documents.api_tokens import token_state
from console.documents.values import page, utc_text
from console.rendering import text
from store.records import ApiToken, Connection, OperatorToken
from store.tenancy.api_tokens import ends_within_days


def created(made: CreatedToken, settings: Settings) -> View:
    """Show a new token, the only time its secret is shown; a federated one has none."""
    token, secret = made.token, made.secret
    document = documents.created_token(token, secret)
    head = f"Token {token.name} ({token.id}), {_expiry(token)}.\nPermissions: {', '.join(token.permissions)}."
    if token.federation:
        return View(document, lambda: Group(head, "", *for_federation(made.connection, settings)))
    return View(
        document,
        lambda: Group(
            head,
            "",
            Text(f"  {secret}", style="bold", no_wrap=True, overflow="ignore"),
            "",
            Text("Copy it now: it is stored as a hash and never shown again.", style=text.CARE),
            *_how_to_go_on(made),
        ),
    )


def _how_to_go_on(made: CreatedToken) -> list[RenderableType]:
    """Return what is left to do after a rotation; nothing for a token of its own."""
    old = made.replaces
    if old is None:
        return []
    last = f"last used {_last_used(old)}" if old.last_used_at else "never used"
    return [
        Text(f"It replaces {old.prefix}… ({last}), which works on for a while. Next:"),
        text.hanging("  1. ", "Paste it into Entra, Test Connection, Save."),
        text.hanging("  2. ", "leaver token list shows when the new one was used: Entra has it then."),
        text.hanging("  3. ", f"leaver token revoke {made.connection.id} --replaced"),
    ]


def replaced_revoked(tokens: Sequence[ApiToken]) -> View:
    """Show which replaced tokens were revoked; none where no successor is in use."""
    names = ", ".join(f"{token.name} ({token.prefix}…)" for token in tokens)
    return View(
        page(map(documents.revoked_token, tokens)),
        lambda: (
            f"Revoked: {names}."
            if tokens
            else "Nothing was revoked: no token has a successor that was used. Paste the new one into Entra first."
        ),
    )


def for_federation(connection: Connection, settings: Settings) -> tuple[RenderableType, ...]:
    """Return what Entra's "Workload Identity based authentication" takes: no secret."""
    values = [
        ("Token Endpoint", f"{settings.base_url}/oauth/token"),
        ("Client Identifier", connection.id),
    ]
    if connection.entra_tenant_id:
        return (text.facts(values),)
    missing = f"Its directory is not known yet: leaver connection set {connection.id} --entra-tenant-id …"
    return text.facts(values), Text(missing, style=text.CARE)


def listed(tokens: Sequence[ApiToken], now: datetime) -> View:
    """Show the tokens of one connection, one a row."""
    document = page(documents.token(token, now) for token in tokens)
    if not tokens:
        return View(document, lambda: "No tokens yet. Make one: leaver token create CONNECTION --name entra")
    rows = [
        (
            token.name,
            _place(token, tokens),
            "assertions" if token.federation else f"{token.prefix}…",
            text.status(token_state(token, now)),
            _ends(token, now),
            _last_used(token),
            ", ".join(token.allowed_addresses) or "anywhere",
            token.id,
        )
        for token in tokens
    ]
    columns = ("Name", "Rotation", "Token", "State", "Expires", "Last used", "From", "Id")
    soon = [token for token in tokens if ends_within_days(token, now)]
    remarks = [
        text.hanging("! ", f"{token.name} ends soon: leaver token rotate {token.id}") for token in soon
    ]
    return View(document, lambda: Group(text.table(*columns, rows=rows), *remarks))


def _place(token: ApiToken, tokens: Sequence[ApiToken]) -> Text:
    """Return a token's place in a rotation, and which one Entra sends."""
    successor = next((each for each in tokens if each.replaces_id == token.id), None)
    if successor is not None:
        is_used = successor.last_used_at is not None
        moved = "its successor is in use" if is_used else "still in use, its successor is not"
        return Text(f"replaced by {successor.prefix}…: {moved}")
    old = next((each for each in tokens if each.id == token.replaces_id), None)
    return Text(f"replaces {old.prefix}…" if old else "")


def _ends(token: ApiToken, now: datetime) -> Text:
    days = ends_within_days(token, now)
    if days is None:
        return Text(utc_text(token.expires_at) or "never")
    soon = f"within {days} day{'s' if days > 1 else ''}"
    return Text(f"{utc_text(token.expires_at)}, {soon}", style=text.CARE if days > 1 else text.BAD)


def _last_used(token: ApiToken) -> str:
    if token.last_used_at is None:
        return "never used"
    return utc_text(token.last_used_at) + (f" from {token.last_used_from}" if token.last_used_from else "")


def changed(token: ApiToken, what: str) -> View:
    """Show a token after one of its terms changed."""
    return View(documents.token(token, datetime.now(UTC)), lambda: f"Token {token.name} {what}.")


def revoked(token: ApiToken) -> View:
    """Show a token that is refused from now on."""
    return View(
        documents.revoked_token(token),
        lambda: f"Token {token.name} is revoked: whoever still sends it gets 403 and is told why.",
    )


def _expiry(token: ApiToken) -> str:
    return f"valid until {utc_text(token.expires_at)}" if token.expires_at else "no expiry"


def created_for_operator(token: OperatorToken, secret: str) -> View:
    """Show a new operator's token, the only time its secret is shown."""
    head = f"Token {token.name} ({token.id}). Permissions: {', '.join(token.permissions)}."
    return View(
        documents.created_operator_token(token, secret),
        lambda: Group(
            head,
            "",
            Text(f"  {secret}", style="bold", no_wrap=True, overflow="ignore"),
            "",
            Text("Copy it now: it opens every tenant, and is never shown again.", style=text.CARE),
        ),
    )


def listed_of_operators(tokens: Sequence[OperatorToken]) -> View:
    """Show the tokens of operators, one a row."""
    now = datetime.now(UTC)
    listed = [documents.operator_token(token, now) for token in tokens]
    rows = [
        (str(each["name"]), f"{each['prefix']}…", text.status(str(each["state"])), str(each["id"]))
        for each in listed
    ]
    return View(page(listed), lambda: text.table("Name", "Token", "State", "Id", rows=rows))
