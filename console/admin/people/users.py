"""List and show accounts, and set the marks that guard them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.errors import AccountDeleted, Noun, UnknownReference
from console.admin.references import find_connection
from console.admin.services import Services
from store import lifecycle
from store.directory import browsing, groups, listing, memberships, users
from store.directory.browsing import FoundNames, SortedPage, UserSort
from store.directory.listing import DirectoryPage, UserFilter
from store.keys import new_id
from store.logs import provisioning_log
from store.records import Cause, Connection, Group, GroupId, LogEntry, MarkUser, Origin, User, UserId

SHOWN_CHANGES = 10


@dataclass(frozen=True, slots=True)
class UserDetails:
    """An account with all that a person asks about it."""

    user: User
    connection: Connection
    groups: Sequence[Group]
    sessions: int
    """Sessions that still work."""
    changes: Sequence[LogEntry]
    """The latest, the newest first."""


@dataclass(frozen=True, slots=True)
class UserOverview:
    """A page of accounts with what a person asks about each, and counts of all."""

    page: SortedPage[User]
    counts: Mapping[str, int]
    """Accounts by state, each up to `browsing.MOST_COUNTED` + 1."""
    groups: Mapping[UserId, Sequence[str]]
    signed_in: Mapping[UserId, datetime]
    found: FoundNames | None = None
    """Of a search by name."""


async def browse(
    services: Services,
    actor: Actor,
    connection: str,
    wanted: UserFilter | None = None,
    *,
    sort: UserSort = UserSort.NAME,
    after: str | None = None,
    limit: int = 50,
    anywhere: bool | None = None,
    whole: bool = False,
) -> UserOverview:
    """Return a page of the accounts of a connection, with groups and last sign-ins.

    A name is looked for at its beginning first, and up to `browsing.MOST_FOUND`;
    `anywhere` looks within names too, `whole` finds all of them. Raises
    `UnknownReference`.
    """
    wanted = wanted or UserFilter()
    async with services.db.reading() as conn:
        connected = await find_connection(conn, actor, connection)
        of, found = (connected.tenant_id, connected.id), None
        if wanted.name and not whole:
            found = await browsing.find_names(conn, *of, wanted, anywhere=anywhere)
        page = await browsing.sorted_users(
            conn, *of, wanted, sort=sort, after=after, limit=limit, found=found
        )
        ids = [user.id for user in page.items]
        return UserOverview(
            page,
            await browsing.count_states(conn, *of),
            await browsing.groups_of_users(conn, *of, ids),
            await browsing.last_sign_ins(conn, connected.tenant_id, ids),
            found,
        )


async def list_page(
    services: Services,
    actor: Actor,
    connection: str,
    wanted: UserFilter | None = None,
    *,
    after: int = 0,
    limit: int = 50,
) -> DirectoryPage[User]:
    """Return a page of the accounts of a connection. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return await listing.users(conn, found.tenant_id, found.id, wanted, after=after, limit=limit)


async def show(services: Services, actor: Actor, connection: str, user: str) -> UserDetails:
    """Return an account, a deleted one too, by userName, id or Entra object id.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
        held = await memberships.of_member(conn, found.tenant_id, account.id)
        of = await groups.load_some(
            conn, found.tenant_id, found.id, ids=[GroupId(each.group_id) for each in held]
        )
        log = await provisioning_log.search(
            conn, found.tenant_id, found.id, user=account.id, limit=SHOWN_CHANGES
        )
        return UserDetails(
            account,
            found,
            sorted(of.values(), key=lambda group: group.display_name),
            await listing.count_sessions(conn, found.tenant_id, account.id),
            log.entries,
        )


@requires("admin:user:update")
async def mark(
    services: Services,
    actor: Actor,
    connection: str,
    user: str,
    *,
    is_protected: bool | None = None,
    is_admin: bool | None = None,
    version: int | None = None,
) -> User:
    """Set or take away the marks `protected` and `admin`; None leaves one as it is.

    Raises `UnknownReference`, and `AccountDeleted`: marks guard access, and a deleted
    account has none; with `version` `VersionMoved` if the account has another by then.
    With the mark `admin` a person enters the console.
    """
    if is_admin is not None:
        actor.require("admin:user:update", recent=True)

    async def work(conn: AsyncConnection) -> User:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
        if account.deleted_at is not None:
            raise AccountDeleted(account.user_name, account.deleted_at)
        command = MarkUser(account.id, is_protected, is_admin, expected_version=version)
        cause = Cause(Origin.CONSOLE, new_id(), actor.label)
        await lifecycle.perform_within(conn, found.tenant_id, found.id, [command], cause)
        marks = {"protected": is_protected, "admin": is_admin}
        given = {name: value for name, value in marks.items() if value is not None}
        await audit.record(conn, actor, found, "account_marked", account=account.id, **given)
        return await users.get(conn, found.tenant_id, account.id, connection_id=found.id)

    return await services.db.write(work)


async def find_account(conn: AsyncConnection, connection: Connection, reference: str) -> User:
    """Return the live account of this name, id or object id, else the one deleted last.

    Raises `UnknownReference`.
    """
    found = await users.load_some(
        conn,
        connection.tenant_id,
        connection.id,
        ids=[reference],
        objects=[reference.lower()],
        names=[reference],
    )
    if not found:
        raise UnknownReference(Noun.USER, reference, connection_name=connection.name)
    return max(
        found.values(),
        key=lambda user: (user.id == reference, user.deleted_at is None, user.deleted_at or user.created_at),
    )
