"""Documents of what a deletion concerns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from console.documents.values import JsonDocument
from store.records import Connection, JsonValue, Tenant
from store.tenancy.deletion import ConnectionCounts


def connection(record: Connection, counts: ConnectionCounts, people: str) -> JsonDocument:
    """Return the document of a deleted connection: what belonged to it."""
    return {
        "id": record.id,
        "tenant_id": record.tenant_id,
        "name": record.name,
        "deleted": True,
        "people": people,
        **asdict(counts),
    }


def tenant(record: Tenant, parts: Iterable[tuple[Connection, ConnectionCounts]], people: str) -> JsonDocument:
    """Return the document of a deleted tenant with its connections."""
    listed: list[JsonValue] = [connection(each, counts, people) for each, counts in parts]
    return {"id": record.id, "slug": record.slug, "deleted": True, "connections": listed}
