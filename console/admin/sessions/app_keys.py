"""Sessions and API keys that the vendor's app keeps itself: register them, so that they
end with access, and say that one has ended.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.people.users import find_account
from console.admin.references import find_connection
from console.admin.services import Services
from store.errors import NotFound
from store.integration import app_keys
from store.integration.app_keys import NewAppKey
from store.keys import utc_now
from store.records import AppKey, Connection

ENDED_BY_APP = "ended by the app"


@requires("admin:session:introspect")
async def register(services: Services, actor: Actor, connection: str, user: str, wanted: NewAppKey) -> AppKey:
    """Register a session or an API key; the same reference again gives the first.

    Raises `UnknownReference`, and `AccessRefused` for a person without access: the app
    ends what it was about to register.
    """

    async def work(conn: AsyncConnection) -> AppKey:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
        return await app_keys.register(conn, found.tenant_id, account.id, wanted, utc_now())

    return await services.db.write(work)


@requires("admin:session:introspect")
async def end(services: Services, actor: Actor, connection: str, key: str) -> AppKey:
    """Note that the app ended a session or key of its own; one that has ended stays as
    it is.

    Raises `UnknownReference`.
    """

    async def work(conn: AsyncConnection) -> AppKey:
        found = await find_connection(conn, actor, connection)
        held = await find_app_key(conn, found, key)
        await app_keys.end(conn, found.tenant_id, [held.id], ENDED_BY_APP, utc_now())
        return await app_keys.get(conn, found.tenant_id, held.id)

    return await services.db.write(work)


async def find_app_key(conn: AsyncConnection, connection: Connection, reference: str) -> AppKey:
    """Return a key of an account of this connection. Raises `UnknownReference`."""
    try:
        found = await app_keys.get(conn, connection.tenant_id, reference)
    except NotFound:
        found = None
    if found is None or found.connection_id != connection.id:
        raise UnknownReference(Noun.SESSION, reference, connection_name=connection.name)
    return found
