"""The end of a change of the secret key: what is still sealed under an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import SealError
from config.keys import Sealer
from console.admin.actor import Actor
from console.admin.errors import AllTenantsRequired
from console.admin.services import Services
from store.logs import audit_log
from store.tenancy.sealed_values import SealedValue, list_sealed, replace_sealed


@dataclass(frozen=True, slots=True)
class KeyUse:
    """How many stored secrets are under which key."""

    keys: int
    """Configured keys."""
    current: int
    earlier: int
    unreadable: int
    """Under a key that is not configured any more."""


async def key_use(services: Services, actor: Actor) -> KeyUse:
    """Count the stored secrets by the key that seals them.

    Raises `SecretKeyMissing`, `AllTenantsRequired`.
    """
    _require_operator(actor)
    async with services.db.reading() as conn:
        return _counted(services, await list_sealed(conn))


async def reseal(services: Services, actor: Actor) -> KeyUse:
    """Seal with the first key what an earlier one seals, and count again.

    Raises `SecretKeyMissing`, `AllTenantsRequired`.
    """
    _require_operator(actor)
    sealer = services.sealer()

    async def work(conn: AsyncConnection) -> KeyUse:
        stored = await list_sealed(conn)
        resealed = [(value, text) for value in stored if (text := _resealed(sealer, value)) is not None]
        await replace_sealed(conn, resealed)
        for value, _ in resealed:
            owner = value.tenant_id or audit_log.INSTALLATION
            await audit_log.record(
                conn, owner, None, actor.label, "secret.resealed", value.id, value.table, {}
            )
        return _counted(services, await list_sealed(conn))

    return await services.db.write(work)


def _require_operator(actor: Actor) -> None:
    if actor.tenant is not None:
        raise AllTenantsRequired("look at the keys of the installation")


def _counted(services: Services, stored: Sequence[SealedValue]) -> KeyUse:
    sealer = services.sealer()
    current = sum(sealer.is_current(value.sealed) for value in stored)
    earlier = sum(_resealed(sealer, value) is not None for value in stored)
    keys = len(services.settings.secret_key)
    return KeyUse(keys, current, earlier, len(stored) - current - earlier)


def _resealed(sealer: Sealer, value: SealedValue) -> str | None:
    """Return the secret under the first key; None where it is, or where no key fits."""
    if sealer.is_current(value.sealed):
        return None
    try:
        return sealer.reseal(value.sealed)
    except SealError:
        return None
