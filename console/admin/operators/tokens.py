"""Create, list and revoke API tokens of operators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from console.admin.actor import Actor, requires
from console.admin.errors import AllTenantsRequired, Noun, UnknownReference
from console.admin.permissions import ACTIONS, check_permission
from console.admin.services import Services
from store.integration import operator_tokens
from store.records import OperatorToken

EVERYTHING = tuple(f"{section}:*" for section in ACTIONS)
"""The permissions of a token for which none are named."""


@requires("admin:operator:create", recent=True)
async def create(
    services: Services,
    actor: Actor,
    name: str,
    permissions: Sequence[str] = (),
    expires_days: int | None = None,
) -> tuple[OperatorToken, str]:
    """Create a token that acts over all tenants; return it with its secret.

    Raises `AllTenantsRequired`, `UnknownPermission`.
    """
    _require_operator(actor, "make an operator's token")
    granted = [check_permission(each) for each in permissions or EVERYTHING]
    ends = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    return await services.db.write(
        lambda conn: operator_tokens.create(conn, name, granted, expires_at=ends, actor=actor.label)
    )


@requires("admin:operator:read")
async def list_all(services: Services, actor: Actor) -> Sequence[OperatorToken]:
    """Return all tokens of operators, the oldest first. Raises `AllTenantsRequired`."""
    _require_operator(actor, "read operators' tokens")
    async with services.db.reading() as conn:
        return await operator_tokens.list_all(conn)


@requires("admin:operator:revoke")
async def revoke(services: Services, actor: Actor, token: str) -> OperatorToken:
    """End a token by its id or name at once and for good.

    Raises `AllTenantsRequired`, `UnknownReference`.
    """
    known = await list_all(services, actor)
    found = [each for each in known if token in (each.id, each.name)]
    if not found:
        raise UnknownReference(Noun.TOKEN, token, known=tuple(each.name for each in known))
    wanted = found[-1]
    return await services.db.write(lambda conn: operator_tokens.revoke(conn, wanted, actor=actor.label))


def _require_operator(actor: Actor, deed: str) -> None:
    if actor.tenant is not None:
        raise AllTenantsRequired(deed)
