"""The vendor's app as far as the demo needs it: sign-in, results, edits by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import open_database
from store.directory import assessment_results, sessions, users
from store.errors import AccessRefused
from store.lifecycle import perform
from store.records import (
    Cause,
    ChangeUser,
    Command,
    ConnectionId,
    CreateUser,
    Document,
    Origin,
    TenantId,
    User,
    UserId,
)

T = TypeVar("T")

BY_HAND = Cause(Origin.CONSOLE, "demo", "an app administrator")
LOCAL_ACCOUNT = "reviewer@agency.example"
RESULTS = (("Information security, basics", 91), ("Data protection 2026", 84))


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A signed-in user: the secret in the session cookie."""

    user_id: UserId
    secret: str
    session_id: str


@dataclass(frozen=True, slots=True)
class RemainingAccess:
    """What remains of a user's access, and of the results."""

    has_live_session: bool
    may_sign_in: bool
    results: int


@dataclass(frozen=True, slots=True)
class VendorApp:
    """Uses Leaver's store directly, as the vendor's own code would."""

    database_url: str
    tenant_id: TenantId
    connection_id: ConnectionId

    def sign_in(self, user_names: Iterable[str]) -> Mapping[str, SignedIn]:
        """Sign users in, and return their sessions by userName."""

        async def work(conn: AsyncConnection) -> Mapping[str, SignedIn]:
            return {name: await self._signed_in(conn, name) for name in user_names}

        return self._write(work)

    def pass_assessments(self, people: Iterable[SignedIn]) -> None:
        """Store a result of both assessments for every user."""

        async def work(conn: AsyncConnection) -> None:
            for person in people:
                for title, score in RESULTS:
                    await assessment_results.add(conn, self.tenant_id, person.user_id, title, score)

        self._write(work)

    def still_in(self, signed_in: Mapping[str, SignedIn]) -> set[str]:
        """Return the names whose session is live."""

        async def work(conn: AsyncConnection) -> set[str]:
            return {name for name, p in signed_in.items() if await sessions.find_live(conn, p.secret)}

        return self._write(work)

    def account_state(self, person: SignedIn) -> RemainingAccess:
        """Return whether the session is live and a new sign-in is accepted."""

        async def work(conn: AsyncConnection) -> RemainingAccess:
            live = await sessions.find_live(conn, person.secret)
            results = await assessment_results.list_for_user(conn, self.tenant_id, person.user_id)
            return RemainingAccess(
                live is not None, await self._may_sign_in(conn, person.user_id), len(results)
            )

        return self._write(work)

    def reactivate(self, user_name: str) -> None:
        """Enable an account by hand."""
        self._change(user_name, {"active": True})

    def rename_title(self, user_name: str, title: str) -> None:
        """Change a title by hand."""
        self._change(user_name, {"title": title})

    def create_local_account(self) -> str:
        """Create an account by hand, and return its userName."""
        document: Document = {"userName": LOCAL_ACCOUNT, "displayName": "Outside Reviewer", "active": True}
        self._perform(CreateUser(document))
        return LOCAL_ACCOUNT

    async def _signed_in(self, conn: AsyncConnection, user_name: str) -> SignedIn:
        user = await self._user(conn, user_name)
        session, secret = await sessions.start(conn, self.tenant_id, user.id)
        return SignedIn(user.id, secret, session.id)

    async def _may_sign_in(self, conn: AsyncConnection, user_id: UserId) -> bool:
        try:
            await sessions.start(conn, self.tenant_id, user_id)
        except AccessRefused:
            return False
        return True

    async def _user(self, conn: AsyncConnection, user_name: str) -> User:
        found = await users.find_by_user_name(conn, self.tenant_id, self.connection_id, user_name)
        assert found is not None, "pushed by Entra before the demo goes on"
        return found

    def _change(self, user_name: str, values: Document) -> None:
        async def work(conn: AsyncConnection) -> UserId:
            return (await self._user(conn, user_name)).id

        self._perform(ChangeUser(self._write(work), lambda document: {**document, **values}))

    def _perform(self, command: Command) -> None:
        async def opened() -> None:
            db = await open_database(self.database_url)
            try:
                await perform(db, self.tenant_id, self.connection_id, [command], BY_HAND)
            finally:
                await db.close()

        asyncio.run(opened())

    def _write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async def opened() -> T:
            db = await open_database(self.database_url)
            try:
                return await db.write(work)
            finally:
                await db.close()

        return asyncio.run(opened())
