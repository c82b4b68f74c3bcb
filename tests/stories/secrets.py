"""Sessions, user tokens and access tokens that people got, each tried again after every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scim2_models import SCIMException

from store.directory import assessment_results, sessions
from store.errors import AccessRefused
from store.records import User, UserId
from store.tenancy import api_tokens
from tests.stories.promise import keep

if TYPE_CHECKING:
    from tests.stories.company import World

ACCESS_TOKEN_S = 3600


@dataclass(slots=True)
class Issued:
    """One secret, to whom it was given, and for which account."""

    person: str
    """Object id."""
    kind: str
    user_id: UserId
    secret: str
    tried_at: int = 0
    """The account's version when it was last tried: nothing else decides whether it works."""
    is_dead: bool = False
    """It was tried and refused: it must never work again."""


async def issue(world: World, person: str, account: User) -> None:
    """The person signs in, gets a user token and an access token, and a result into the history."""
    tenant_id, connection_id = account.tenant_id, account.connection_id

    async def work(conn: object) -> tuple[str, str, str]:
        _, session = await sessions.start(conn, tenant_id, account.id)  # type: ignore[arg-type]
        token, secret = await api_tokens.create(
            conn,  # type: ignore[arg-type]
            tenant_id,
            connection_id,
            "own",
            ("admin:user:read",),
            user_id=account.id,
        )
        access_token, _ = world.access_tokens.issue(token, ACCESS_TOKEN_S)
        await assessment_results.add(conn, tenant_id, account.id, person, 1)  # type: ignore[arg-type]
        return session, secret, access_token

    try:
        given = await world.db.write(work)
    except AccessRefused:
        return
    kinds = ("session", "user token", "access token")
    world.facts.issued += [
        Issued(person, kind, account.id, secret) for kind, secret in zip(kinds, given, strict=True)
    ]


async def try_all(world: World, versions: Mapping[UserId, int]) -> list[Issued]:
    """Tries every secret of an account that changed; gives those that work.

    Raises for one that came back to life.
    """
    living: list[Issued] = []
    for each in world.facts.issued:
        version = versions.get(each.user_id, -1)
        works = not each.is_dead if each.tried_at == version else await _works(world, each)
        each.tried_at = version
        keep(not (works and each.is_dead), "W7", f"a {each.kind} that was dead works again")
        each.is_dead = not works
        if works:
            living.append(each)
    return living


async def _works(world: World, each: Issued) -> bool:
    if each.kind == "session":
        async with world.db.reading() as conn:
            return await sessions.find_live(conn, each.secret) is not None
    try:
        await world.gate.authenticate(f"Bearer {each.secret}", None, None)
    except SCIMException:
        return False
    return True


async def histories(world: World, user_ids: set[UserId]) -> Mapping[UserId, set[str]]:
    """Whose results each of these accounts shows."""
    tenant_id = world.connection.tenant_id
    async with world.db.reading() as conn:
        return {
            user_id: {
                result.title for result in await assessment_results.list_for_user(conn, tenant_id, user_id)
            }
            for user_id in user_ids
        }
