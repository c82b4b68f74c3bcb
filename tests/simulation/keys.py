"""Every session, user token and access token that was ever issued, tried again after each step (I10)."""

from __future__ import annotations

from dataclasses import dataclass, field

from scim2_models import SCIMException
from sqlalchemy.ext.asyncio import AsyncConnection

from config.keys import Purpose, derive
from scim.auth.access_tokens import AccessTokens
from scim.auth.gate import Authenticator
from scim.limits import ScimLimits
from store.database import Database
from store.directory import sessions
from store.records import User, UserId
from store.tenancy import api_tokens
from tests.builders.secret_keys import secret_key
from tests.simulation.picture import Picture


@dataclass(slots=True)
class Key:
    """One secret, for whose account it was issued, and who that was then."""

    kind: str
    secret: str
    user_id: UserId
    person: str | None
    """Object id; None where the account stood for no person yet."""
    tried_at: int = 0
    """The account's version when it was last tried."""
    is_dead: bool = False


@dataclass(slots=True)
class KeyRing:
    """All keys of one story."""

    db: Database
    issued: list[Key] = field(default_factory=list)
    access_tokens: AccessTokens = field(
        default_factory=lambda: AccessTokens([derive(secret_key("simulation"), Purpose.ACCESS_TOKENS)])
    )
    gate: Authenticator = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Authenticator(self.db, ScimLimits(token_memory_s=0, requests_per_s=0), self.access_tokens)

    async def issue(self, user: User) -> None:
        """Signs the user in and gives out a token of every kind. Raises `AccessRefused`."""

        async def work(conn: AsyncConnection) -> tuple[str, str, str]:
            _, session = await sessions.start(conn, user.tenant_id, user.id)
            token, secret = await api_tokens.create(
                conn, user.tenant_id, user.connection_id, "own", ("admin:user:read",), user_id=user.id
            )
            return session, secret, self.access_tokens.issue(token, 3600)[0]

        given = await self.db.write(work)
        kinds = ("session", "user token", "access token")
        self.issued += [
            Key(kind, secret, user.id, user.entra_object_id)
            for kind, secret in zip(kinds, given, strict=True)
        ]

    async def wrong_ones(self, picture: Picture) -> list[str]:
        """Tries the keys of every account that changed; says which should not work."""
        wrong: list[str] = []
        for key in self.issued:
            user = picture.users.get(key.user_id)
            if user is None or (key.is_dead and key.tried_at == user.version):
                continue
            if key.tried_at != user.version:
                works = await self._works(key)
                if works and key.is_dead:
                    wrong.append(f"a {key.kind} for {user.user_name} that was dead works again")
                key.is_dead, key.tried_at = not works, user.version
            if not key.is_dead:
                wrong += _why_wrong(key, user)
        return wrong

    async def _works(self, key: Key) -> bool:
        if key.kind == "session":
            async with self.db.reading() as conn:
                return await sessions.find_live(conn, key.secret) is not None
        try:
            await self.gate.authenticate(f"Bearer {key.secret}", None, None)
        except SCIMException:
            return False
        return True


def _why_wrong(key: Key, user: User) -> list[str]:
    what = f"a {key.kind} for {user.user_name}"
    if not user.active or user.deleted_at is not None:
        return [f"{what} works without access"]
    holder = user.entra_object_id
    if holder is not None and key.person is not None and holder != key.person:
        return [f"{what} was issued to {key.person} and opens the account of {holder}"]
    return []
