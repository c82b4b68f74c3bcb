"""Hand a proven sign-in to the vendor's app: first a code, then the session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor
from console.admin.services import Services
from console.admin.sessions.errors import CodeRefused, SignInProblem, SignInRefused
from console.admin.sessions.sign_in import find_connection_by_id
from store.directory import session_checks, sessions, sign_ins
from store.directory.session_checks import LiveSession
from store.records import Ending, Origin, SessionId

CODE_LIFETIME_S = sign_ins.CODE_LIFETIME_S
_USED_TWICE = Ending("its code was used twice", by="leaver", origin=Origin.API)


@dataclass(frozen=True, slots=True)
class AppSession:
    """A session of the vendor's app, and the secret that the app alone gets."""

    session: LiveSession
    secret: str = field(repr=False)


async def check_return(services: Services, actor: Actor, connection: str, return_url: str) -> str:
    """Return the address if the connection allows it, letter by letter.

    Raises `UnknownReference`, and `SignInRefused`.
    """
    async with services.db.reading() as conn:
        found = await find_connection_by_id(conn, actor, connection)
    _require_allowed(return_url, found.return_urls)
    return return_url


async def issue_code(
    services: Services, actor: Actor, connection: str, session: SessionId, return_url: str
) -> str:
    """Return the code that the app exchanges for a session, once, within a minute.

    Raises `UnknownReference`, and `SignInRefused` where the address is not allowed any
    more.
    """

    async def work(conn: AsyncConnection) -> str:
        found = await find_connection_by_id(conn, actor, connection)
        _require_allowed(return_url, found.return_urls)
        return await sign_ins.issue_code(conn, found.tenant_id, found.id, session, return_url)

    return await services.db.write(work)


async def redeem(services: Services, actor: Actor, connection: str, code: str, return_url: str) -> AppSession:
    """Return the session that a code stands for.

    A code that comes twice ends its session, as RFC 6749 §4.1.2 asks: one of both is a
    thief. Raises `UnknownReference`, and `CodeRefused`.
    """

    async def work(conn: AsyncConnection) -> AppSession | None:
        found = await find_connection_by_id(conn, actor, connection)
        taken = await sign_ins.take_code(conn, found.tenant_id, found.id, code)
        if taken is None:
            return None
        if not taken.is_first or taken.return_url != return_url:
            await sessions.end(conn, found.tenant_id, taken.session_id, _USED_TWICE)
            return None
        idle_s = services.settings.session_idle_minutes * 60.0
        secret = await sessions.hand_over(conn, found.tenant_id, taken.session_id, actor.name, idle_s)
        session = None if secret is None else await session_checks.check(conn, secret)
        return None if session is None or secret is None else AppSession(session, secret)

    handed = await services.db.write(work)
    if handed is None:
        raise CodeRefused
    return handed


def _require_allowed(return_url: str, allowed: Sequence[str]) -> None:
    if return_url not in allowed:
        raise SignInRefused(SignInProblem.RETURN_REFUSED, "return_to is not an address of the connection")
