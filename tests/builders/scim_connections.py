"""Tenants with one connection each, and what the SCIM server of the tests is known by."""

from __future__ import annotations

from uuid import uuid4

from store.database import Database
from store.records import Connection
from store.tenancy import connections, tenants

PUBLIC_URL = "https://leaver.example"
EVERYTHING = ("admin:user:*", "admin:group:*")


async def new_connection(database: Database) -> Connection:
    """Create a tenant of its own name, with one connection."""
    tenant = await database.write(lambda writing: tenants.create(writing, f"Contoso {uuid4()}"))
    return await database.write(lambda writing: connections.create(writing, tenant.id, "Entra"))
