"""Events as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from console.admin.events.feed import FeedPage
from console.admin.events.webhooks import WebhookDetails
from console.cli.output import View
from console.documents import events as documents
from console.documents.values import page, utc_text
from console.rendering import text
from store.records import SigningKey, WebhookEndpoint
from worker.delivery.targets import SendResult


def listed(found: FeedPage) -> View:
    """Show events, the oldest first, and where to go on."""
    document = page((documents.event(each) for each in found.events), found.next)
    rows = [
        (utc_text(each.at), each.type, each.subject_id, str(each.payload.get("reason") or ""), str(each.id))
        for each in found.events
    ]
    table = text.table("At", "Type", "Subject", "Reason", "Id", rows=rows)
    more = f"Go on with: --after {found.next}"
    return View(document, lambda: Group(table, more) if rows else Group("No events.", more))


def webhooks(endpoints: Sequence[WebhookEndpoint]) -> View:
    """Show webhooks, one a row."""
    rows = [
        (
            each.host,
            text.status(each.state.value),
            ", ".join(each.types) or "all",
            utc_text(each.last_delivered_at) or "never",
            each.last_error or "",
            each.id,
        )
        for each in endpoints
    ]
    columns = ("Host", "State", "Types", "Last delivered", "Error", "Id")
    return View(page(map(documents.webhook, endpoints)), lambda: text.table(*columns, rows=rows))


def webhook_with_secret(endpoint: WebhookEndpoint, secret: str) -> View:
    """Show a webhook with its new secret, the only time that it is shown."""
    return View(
        documents.created_webhook(endpoint, secret),
        lambda: Group(
            f"Webhook {endpoint.id} to {endpoint.host}.",
            Text(f"  {secret}", style="bold", no_wrap=True, overflow="ignore"),
            Text("Copy it now: your app checks signatures with it.", style=text.CARE),
        ),
    )


def webhook_details(found: WebhookDetails) -> View:
    """Show a webhook and its dead letters."""
    document = documents.webhook_details(found.endpoint, found.dead_letters)
    rows = [(str(each.event_id), utc_text(each.at), each.why) for each in found.dead_letters]
    head = webhooks([found.endpoint])
    return View(document, lambda: Group(head.text(), text.table("Not taken", "At", "Why", rows=rows)))


def tested(result: SendResult) -> View:
    """Show what came of a test."""
    document = documents.tested_webhook(result.status, result.why, is_taken=result.is_taken)
    taken = f"Taken ({result.status})."
    return View(document, lambda: taken if result.is_taken else f"Not taken: {result.why}.")


def signing_keys(keys: Sequence[SigningKey]) -> View:
    """Show the keys that sign security event tokens."""
    rows = [
        (
            each.id,
            each.algorithm,
            utc_text(each.signs_from),
            utc_text(each.published_until) or "until it is rotated",
        )
        for each in keys
    ]
    columns = ("Key", "Algorithm", "Signs from", "Published until")
    return View(page(map(documents.signing_key, keys)), lambda: text.table(*columns, rows=rows))
