"""Say that two holders are one person, or who uses a sealed account (identity.md, W4
and W5). Only a person's decision does; it can be taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.connections.errors import NothingToChange
from console.admin.errors import AccountElsewhere, JoinProblem, JoinRefused, Noun, UnknownReference
from console.admin.people.users import find_account
from console.admin.references import find_connection
from console.admin.services import Services
from store import lifecycle
from store.directory import joined_holders, users
from store.directory.joined_holders import Holder
from store.errors import NotFound
from store.keys import new_id
from store.records import (
    Cause,
    Connection,
    DecideHolder,
    GraphId,
    Origin,
    User,
    UserId,
)
from store.tenancy import connections


@dataclass(frozen=True, slots=True)
class PersonPair:
    """Two references to people, as they were given; without the second: who uses a
    sealed account is who had it before.
    """

    one: str
    other: str | None = None


@dataclass(frozen=True, slots=True)
class DecidedHolder:
    """A holder that a decision was about."""

    user_id: UserId
    number: int
    user_name: str


@dataclass(frozen=True, slots=True)
class DecidedPair:
    """What was decided: one person for both, or apart again."""

    one: DecidedHolder
    other: DecidedHolder | None
    is_same: bool

    @property
    def people(self) -> Sequence[DecidedHolder]:
        """Return the one or two holders."""
        return (self.one,) if self.other is None else (self.one, self.other)


@dataclass(frozen=True, slots=True)
class _ResolvedPerson:
    """A reference that was resolved."""

    holder: Holder
    user_name: str
    directory_id: str | None
    account: User | None
    """The account, if it stands for this person now."""

    @property
    def decided(self) -> DecidedHolder:
        return DecidedHolder(self.holder.user_id, self.holder.number, self.user_name)


@requires("admin:user:update", recent=True)
async def decide(
    services: Services,
    actor: Actor,
    connection: str,
    pairs: Sequence[PersonPair],
    *,
    is_same: bool = True,
) -> Sequence[DecidedPair]:
    """Join each pair, or separate it again; all of them or none.

    The history of one is visible under the other, and seals are lifted; separated,
    seals come back and keys end. Raises `NothingToChange`, `UnknownReference`,
    `AccountElsewhere`, `JoinRefused`.
    """
    if not pairs:
        raise NothingToChange

    async def work(conn: AsyncConnection) -> list[DecidedPair]:
        found = await find_connection(conn, actor, connection)
        work = _Decisions(conn, actor, found)
        decided = [await work.decide(pair, is_same=is_same) for pair in pairs]
        deed = "people_joined" if is_same else "people_separated"
        await audit.record(conn, actor, found, deed, pairs=[_shown(each) for each in decided])
        return decided

    return await services.db.write(work)


def _shown(pair: DecidedPair) -> list[str]:
    return [f"{each.user_id}#{each.number}" for each in pair.people]


@dataclass(frozen=True, slots=True)
class _Decisions:
    conn: AsyncConnection
    actor: Actor
    connection: Connection

    async def decide(self, pair: PersonPair, *, is_same: bool) -> DecidedPair:
        one = await self._find(pair.one)
        if pair.other is None:
            await self._seal(one, is_sealed=not is_same, reference=pair.one)
            return DecidedPair(one.decided, None, is_same)
        other = await self._find(pair.other)
        self._check(pair, one, other)
        if is_same:
            await self._join(pair, one, other)
        else:
            await self._separate(pair, one, other)
        return DecidedPair(one.decided, other.decided, is_same)

    def _check(self, pair: PersonPair, one: _ResolvedPerson, other: _ResolvedPerson) -> None:
        if one.holder == other.holder:
            raise JoinRefused(JoinProblem.ONE_HOLDER, pair.one, pair.other)
        directories = {one.directory_id, other.directory_id} - {None}
        if len(directories) > 1:
            raise JoinRefused(JoinProblem.TWO_DIRECTORIES, pair.one, pair.other)

    async def _join(self, pair: PersonPair, one: _ResolvedPerson, other: _ResolvedPerson) -> None:
        accounts = [found.account for found in (one, other) if found.account is not None]
        unsealed = [account.id for account in accounts if account.sealed_at is not None]
        is_new = await joined_holders.add(
            *(self.conn, self.connection.tenant_id, one.holder, other.holder, self.actor.label), unsealed
        )
        if not is_new:
            raise JoinRefused(JoinProblem.JOINED_ALREADY, pair.one, pair.other)
        for account in accounts:
            await self._perform(DecideHolder(account.id, is_known=True))

    async def _separate(self, pair: PersonPair, one: _ResolvedPerson, other: _ResolvedPerson) -> None:
        try:
            unsealed = await joined_holders.remove(
                self.conn, self.connection.tenant_id, one.holder, other.holder
            )
        except NotFound:
            raise JoinRefused(JoinProblem.NOT_JOINED, pair.one, pair.other) from None
        for account in (found.account for found in (one, other)):
            if account is not None:
                is_sealed = account.id in unsealed
                await self._perform(DecideHolder(account.id, is_known=False, is_sealed=is_sealed))

    async def _seal(self, found: _ResolvedPerson, *, is_sealed: bool, reference: str) -> None:
        account = found.account
        if account is None or (account.sealed_at is not None) == is_sealed:
            problem = JoinProblem.SEALED if is_sealed else JoinProblem.NOT_SEALED
            raise JoinRefused(problem, reference)
        await self._perform(DecideHolder(account.id, is_known=not is_sealed, is_sealed=is_sealed))

    async def _perform(self, command: DecideHolder) -> None:
        cause = Cause(Origin.CONSOLE, new_id(), self.actor.label)
        of = self.connection.tenant_id, self.connection.id
        await lifecycle.perform_within(self.conn, *of, [command], cause)

    async def _find(self, reference: str) -> _ResolvedPerson:
        """Return the present holder of the account of this name or id, else an earlier
        holder by object id.
        """
        tenant_id = self.connection.tenant_id
        try:
            account = await find_account(self.conn, self.connection, reference)
        except UnknownReference:
            earlier = await joined_holders.find_earlier(
                self.conn, tenant_id, self.connection.id, GraphId(reference.lower())
            )
            if earlier is None:
                await self._refuse_elsewhere(reference)
                raise
            return _ResolvedPerson(earlier.holder, earlier.user_name, earlier.directory_id, None)
        holder = Holder(account.id, account.holder_number)
        is_here = account.deleted_at is None
        return _ResolvedPerson(holder, account.user_name, account.directory_id, account if is_here else None)

    async def _refuse_elsewhere(self, reference: str) -> None:
        """Raise `AccountElsewhere` if another connection of the tenant has it."""
        for other in await connections.list_for(self.conn, self.connection.tenant_id):
            if other.id == self.connection.id:
                continue
            of = self.conn, other.tenant_id, other.id
            lowered = reference.lower()
            if await users.load_some(*of, ids=[reference], objects=[lowered], names=[reference]):
                raise AccountElsewhere(Noun.USER, reference, self.connection.name, other.name)
