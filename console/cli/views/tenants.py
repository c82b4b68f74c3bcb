"""Tenants as JSON and as text."""

from __future__ import annotations

from collections.abc import Sequence

from console.cli.output import View
from console.cli.views import text
from store.records import JsonValue, Tenant


def document(tenant: Tenant) -> dict[str, JsonValue]:
    return {"id": tenant.id, "name": tenant.name, "slug": tenant.slug}


def created(tenant: Tenant) -> View:
    """A tenant just made, with the next step."""
    return View(
        document(tenant),
        lambda: (
            f"Tenant {tenant.slug} is there ({tenant.id}).\n"
            f"Next: leaver connection create {tenant.slug} --name entra --help"
        ),
    )


def listed(tenants: Sequence[Tenant]) -> View:
    """All tenants, one a row."""
    documents = [document(tenant) for tenant in tenants]
    if not tenants:
        return View(documents, lambda: "No tenants yet. Make one: leaver tenant create NAME")
    rows = [(tenant.slug, tenant.name, tenant.id, text.when(tenant.created_at)) for tenant in tenants]
    return View(documents, lambda: text.table("Slug", "Name", "Id", "Created", rows=rows))
