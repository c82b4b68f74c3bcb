"""What a deletion would do as text, and what it did."""

from __future__ import annotations

from console.admin.deletion import ConnectionEffect, TenantEffect
from console.cli.output import View
from console.documents import connections as documents
from console.documents.values import plural
from store.records.connections import PeopleFate

FATES = {
    PeopleFate.KEEP: "Accounts stay as they are, sessions included.",
    PeopleFate.DISABLE: "Access ends for all of them, sessions included.",
    PeopleFate.RELEASE: "Accounts stay active and become local: Entra has no say in them any more.",
}
STAYS = "Accounts, logs and history are kept. This cannot be undone."


def connection_asked(effect: ConnectionEffect, people: PeopleFate) -> str:
    """Say in numbers what the deletion of a connection would do."""
    return f"{_numbers(effect)}. {FATES[people]} Its tokens end. {STAYS}"


def tenant_asked(effect: TenantEffect, people: PeopleFate) -> str:
    """Say in numbers what the deletion of a tenant would do."""
    parts = "; ".join(map(_numbers, effect.connections)) or "it has no connections"
    return f"Tenant {effect.tenant.slug}: {parts}. {FATES[people]} All tokens end. {STAYS}"


def _numbers(effect: ConnectionEffect) -> str:
    counts = effect.counts
    return (
        f"Connection {effect.connection.name}: {plural(counts.active, 'person', 'people')} with access, "
        f"{counts.inactive} without, {plural(counts.groups, 'group')}, {plural(counts.sessions, 'session')}, "
        f"{plural(counts.tokens, 'token')}, {plural(counts.held_plans, 'held plan')}"
    )


def connection_deleted(effect: ConnectionEffect, people: PeopleFate) -> View:
    """Say what was deleted, and where it is written down."""
    found = effect.connection
    return View(
        documents.deleted_connection(found, effect.counts, people),
        lambda: (
            f"{_numbers(effect)}: deleted. {FATES[people]}\n"
            f"Who did it stays in: leaver tenant audit {found.tenant_id}"
        ),
    )


def tenant_deleted(effect: TenantEffect, people: PeopleFate) -> View:
    """Say what was deleted, and where it is written down."""
    found = effect.tenant
    parts = [(each.connection, each.counts) for each in effect.connections]
    return View(
        documents.deleted_tenant(found, parts, people),
        lambda: (
            f"Tenant {found.slug} is deleted, with {plural(len(parts), 'connection')}. {FATES[people]}\n"
            f"Its audit log stays, under its id: leaver tenant audit {found.id}"
        ),
    )
