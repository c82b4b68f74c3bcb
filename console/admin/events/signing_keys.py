"""The keys that sign security events: what is published, and a new one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import AllTenantsRequired
from console.admin.services import Services
from store.integration import signing_keys
from store.keys import utc_now
from store.logs import audit_log
from store.records import SigningKey
from worker.delivery import security_tokens


@requires("admin:operator:read")
async def list_all(services: Services, actor: Actor) -> Sequence[SigningKey]:
    """Return the published keys, the newest first. Raises `AllTenantsRequired`."""
    _require_operator(actor)
    async with services.db.reading() as conn:
        return await signing_keys.published(conn, utc_now())


@requires("admin:operator:create", recent=True)
async def rotate(services: Services, actor: Actor, *, at_once: bool = False) -> Sequence[SigningKey]:
    """Make a new key, which signs in ten minutes; return the published ones.

    `at_once`, where others know the key: the new one signs now, and no token of an
    earlier one can be verified any more. Raises `AllTenantsRequired`,
    `SecretKeyMissing`.
    """
    _require_operator(actor)
    sealer, algorithm = services.sealer(), services.settings.set_algorithm
    key = security_tokens.new_key(algorithm)

    async def work(conn: AsyncConnection) -> SigningKey:
        now = utc_now()
        made = await security_tokens.rotate(conn, sealer, key, algorithm, now, at_once=at_once)
        detail = {"algorithm": algorithm.value, "at_once": at_once}
        place = (conn, audit_log.INSTALLATION, None, actor.label, "signing_key.rotated")
        await audit_log.record(*place, made.id, algorithm.value, detail, now=now)
        return made

    await services.db.write(work)
    return await list_all(services, actor)


def _require_operator(actor: Actor) -> None:
    if actor.tenant is not None:
        raise AllTenantsRequired("look at or change the keys of the installation")
