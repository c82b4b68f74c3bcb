"""Documents of operators, of links, and of a set-up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from console.documents.values import JsonDocument, iso
from store.access.records import AccessLink, ConsoleOperator
from store.records import JsonValue


def operator(record: ConsoleOperator, slug: str | None) -> JsonDocument:
    """Return the document of an operator; `slug`: of the only tenant, if any."""
    return {
        "id": record.id,
        "name": record.name,
        "role": record.role,
        "tenant": slug,
        "created_at": iso(record.created_at),
        "created_by": record.created_by,
    }


def link(record: AccessLink, now: datetime) -> JsonDocument:
    """Return the document of a link, without its secret."""
    return {
        "id": record.id,
        "kind": record.kind,
        "state": link_state(record, now),
        "created_at": iso(record.created_at),
        "created_by": record.created_by,
        "expires_at": iso(record.expires_at),
        "opened_at": iso(record.used_at),
        "opened_from": record.used_from,
        "frame_ancestors": list(record.frame_ancestors),
        "may_sync": record.may_sync,
    }


def created_link(record: AccessLink, url: str, now: datetime) -> JsonDocument:
    """Return the document of a new link, the only one with its URL."""
    return {**link(record, now), "url": url}


def link_state(record: AccessLink, now: datetime) -> str:
    """Return the state of a link in a word."""
    if record.revoked_at is not None:
        return "revoked"
    if record.expires_at <= now:
        return "over"
    return "opened" if record.used_at is not None else "open"


def setup_step(name: str, *, is_done: bool, at: datetime | None, proof: str) -> JsonDocument:
    """Return the document of one step of a set-up."""
    return {"step": name, "done": is_done, "at": iso(at), "proof": proof}


def setup(
    connection: JsonDocument,
    steps: Sequence[JsonDocument],
    refused: JsonDocument | None,
    checks: Sequence[JsonDocument] | None = None,
) -> JsonDocument:
    """Return the document of a set-up; `checks` where Microsoft Graph was tried."""
    listed: list[JsonValue] = list(steps)
    tried: list[JsonValue] = list(checks or ())
    return {
        "connection_id": connection["id"],
        "tenant_url": connection["scim_url"],
        "tenant_url_connection": connection["scim_url_connection"],
        "redirect_uri": connection["redirect_uri"],
        "steps": listed,
        "refused": refused,
        **({} if checks is None else {"checks": tried}),
    }


def refused_push(at: datetime, why: str, address: str) -> JsonDocument:
    """Return the document of a request of Entra's that was refused."""
    return {"at": iso(at), "why": why, "address": address}
