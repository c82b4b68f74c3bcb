"""Making, rotating and revoking API tokens from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from console import references
from console.errors import WrongUse
from console.services import Services
from store import tokens
from store.records import ApiToken

ACTIONS = {
    "admin:user": ("create", "read", "update", "delete"),
    "admin:group": ("create", "read", "update", "delete"),
    "admin:sync": ("read", "run", "approve"),
    "admin:report": ("read",),
    "admin:token": ("create", "read", "revoke"),
}
"""Sections and actions as admins know them (design.md §6)."""

FOR_ENTRA = ("admin:user:*", "admin:group:*")
"""What Entra's provisioning service needs, and no more."""


async def create(
    services: Services,
    connection_reference: str,
    name: str,
    permissions: Sequence[str] | None,
    expires_days: int | None,
) -> tuple[ApiToken, str]:
    """Makes a token; raises `WrongUse` for an unknown permission or connection."""
    granted = [_checked(permission) for permission in permissions or FOR_ENTRA]
    async with services.db.reading() as conn:
        found = await references.connection(conn, connection_reference)
    return await services.db.write(
        lambda conn: tokens.create(
            conn, found.tenant_id, found.id, name, granted, expires_at=_in_days(expires_days)
        )
    )


async def rotate(
    services: Services, reference: str, overlap_days: int, expires_days: int | None
) -> tuple[ApiToken, str]:
    """Makes a successor; the old token ends after `overlap_days`, with 0 at once."""
    async with services.db.reading() as conn:
        old = await references.token(conn, reference)
    return await services.db.write(
        lambda conn: tokens.rotate(
            conn,
            old.tenant_id,
            old.id,
            old_ends_at=_in_days(overlap_days) if overlap_days else None,
            expires_at=_in_days(expires_days),
        )
    )


async def revoke(services: Services, reference: str) -> ApiToken:
    """Ends a token at once and for good."""
    async with services.db.reading() as conn:
        token = await references.token(conn, reference)
    return await services.db.write(lambda conn: tokens.revoke(conn, token.tenant_id, token.id))


def _checked(permission: str) -> str:
    section, _, action = permission.rpartition(":")
    if section in ACTIONS and (action == "*" or action in ACTIONS[section]):
        return permission
    known = "; ".join(f"{name}: {' '.join(actions)}" for name, actions in ACTIONS.items())
    raise WrongUse(f"no permission {permission!r}", f"known are {known}", "For example: admin:user:*")


def _in_days(days: int | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) + timedelta(days=days)
