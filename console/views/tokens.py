"""API tokens as JSON and as text; the secret appears once, when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group
from rich.text import Text

from console.output import View
from console.views import text
from store.records import ApiToken, JsonValue


def created(token: ApiToken, secret: str) -> View:
    """A token just made: the only time its secret is shown."""
    return View(
        {
            "id": token.id,
            "name": token.name,
            "token": secret,
            "permissions": list(token.permissions),
            "expires_at": text.iso(token.expires_at),
        },
        lambda: Group(
            f"Token {token.name} ({token.id}), {_expiry(token)}.",
            f"Permissions: {', '.join(token.permissions)}.",
            "",
            Text(f"  {secret}", style="bold", no_wrap=True, overflow="ignore"),
            "",
            Text("Copy it now: it is stored as a hash and never shown again.", style=text.CARE),
        ),
    )


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
            f"{token.prefix}…",
            text.status(state(token, now)),
            text.when(token.expires_at) or "never",
            text.when(token.last_used_at) or "never used",
            token.id,
        )
        for token in tokens
    ]
    return View(
        documents, lambda: text.table("Name", "Token", "State", "Expires", "Last used", "Id", rows=rows)
    )


def revoked(token: ApiToken) -> View:
    """A token that opens nothing any more."""
    return View(
        {"id": token.id, "name": token.name, "revoked_at": text.iso(token.revoked_at)},
        lambda: f"Token {token.name} is revoked: whoever still sends it gets 403 and is told why.",
    )


def _expiry(token: ApiToken) -> str:
    return f"valid until {text.when(token.expires_at)}" if token.expires_at else "no expiry"
