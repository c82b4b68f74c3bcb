"""Sign in a person that an identity provider proved: by object id, never by a name.

An e-mail address or a userName is given to others; `tid` and `oid` are not
(identity.md, W3 to W5). The actor of these use cases is the sign-in itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import SealError
from console.admin.actor import Actor
from console.admin.errors import Noun, UnknownReference
from console.admin.services import Services
from console.admin.sessions.errors import SignInProblem, SignInRefused
from store import lifecycle
from store.directory import sessions, sign_ins, users
from store.directory.sign_ins import PendingSignIn
from store.errors import AccessRefused, NotFound
from store.keys import new_id, utc_now
from store.records import (
    Cause,
    ChangeHolder,
    Command,
    Connection,
    GraphId,
    HolderBasis,
    LinkUser,
    Origin,
    Session,
    SessionTerms,
    UnsealUser,
    User,
    is_object_id,
)
from store.tenancy import connections, used_assertions
from worker.graph.auth.credentials import Credential
from worker.graph.errors import GraphError

LOGOUT_TOKEN_KNOWN = timedelta(hours=1)
"""How long the id of a logout token is remembered; a token is accepted for minutes."""


@dataclass(frozen=True, slots=True)
class ProvenPerson:
    """A person by a verified token: directory and object id, in lower case."""

    directory_id: str
    object_id: str


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A new session, and the secret that only the person's browser gets."""

    user: User
    session: Session
    secret: str


@dataclass(frozen=True, slots=True)
class SignInClient:
    """A connection and the credential of its app registration, None without one."""

    connection: Connection
    credential: Credential | None


async def client(services: Services, actor: Actor, connection: str) -> SignInClient:
    """Return what the flow with the provider needs. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_connection_by_id(conn, actor, connection)
        sealed = await connections.sealed_credential(conn, found.tenant_id, found.id)
    if sealed is None:
        return SignInClient(found, None)
    try:
        return SignInClient(found, Credential.from_text(services.sealer().unseal(sealed)))
    except (SealError, GraphError):
        return SignInClient(found, None)


async def begin(
    services: Services, actor: Actor, connection: str, state: str, browser: str, pending: PendingSignIn
) -> Connection:
    """Keep a sign-in until the provider answers. Raises `UnknownReference`."""

    async def work(conn: AsyncConnection) -> Connection:
        found = await find_connection_by_id(conn, actor, connection)
        await sign_ins.begin(conn, found.tenant_id, found.id, state, browser, pending)
        return found

    return await services.db.write(work)


async def take(services: Services, actor: Actor, connection: str, state: str, browser: str) -> PendingSignIn:
    """Return a sign-in that the provider answered; it can be taken once.

    Raises `UnknownReference`, and `SignInRefused` for one that is unknown here, used,
    too old, or was begun in another browser.
    """

    async def work(conn: AsyncConnection) -> PendingSignIn | None:
        found = await find_connection_by_id(conn, actor, connection)
        return await sign_ins.take(conn, found.tenant_id, found.id, state, browser)

    taken = await services.db.write(work)
    if taken is None:
        raise SignInRefused(SignInProblem.NOT_STARTED_HERE)
    return taken


async def complete(
    services: Services,
    actor: Actor,
    connection: str,
    person: ProvenPerson,
    terms: SessionTerms,
    *,
    ends: str | None = None,
) -> SignedInUser:
    """Start a session for the account that stands for this person.

    The sign-in is a proof: it links an account that carries the object id, lifts the
    seal of the person's own account, and takes over a sealed account that the push gave
    to this person. `ends` is the secret of the browser's earlier session, which ends.
    Raises `UnknownReference`, and `SignInRefused`.
    """

    async def work(conn: AsyncConnection) -> SignedInUser:
        found = await find_connection_by_id(conn, actor, connection)
        account = await _account_of(conn, found, person)
        earlier = None if ends is None else await sessions.find_live(conn, ends)
        if earlier is not None:
            await sessions.end(conn, earlier.tenant_id, earlier.id)
        command = _proof(account, person)
        if command is not None:
            cause = Cause(Origin.CONSOLE, new_id(), actor.label)
            await lifecycle.perform_within(conn, found.tenant_id, found.id, [command], cause)
        try:
            session, secret = await sessions.start(conn, found.tenant_id, account.id, terms=terms)
        except AccessRefused:
            raise SignInRefused(SignInProblem.NO_ACCESS) from None
        account = await users.get(conn, found.tenant_id, account.id, connection_id=found.id)
        return SignedInUser(account, session, secret)

    return await services.db.write(work)


async def end_for_provider(
    services: Services,
    actor: Actor,
    connection: str,
    issuer: str,
    *,
    session_id: str | None = None,
    subject: str | None = None,
    token_id: str | None = None,
) -> int:
    """End the sessions that the provider names at sign-out; return how many.

    A logout token ends nothing the second time: sessions begun since stay. Raises
    `UnknownReference`.
    """

    async def work(conn: AsyncConnection) -> int:
        found = await find_connection_by_id(conn, actor, connection)
        now = utc_now()
        if token_id is not None:
            used = sessions.hash_secret(f"logout token\0{token_id}")
            until = now + LOGOUT_TOKEN_KNOWN
            if not await used_assertions.mark_used(conn, found.tenant_id, found.id, used, until, now):
                return 0
        return await sessions.end_for_issuer(
            conn, found.tenant_id, issuer, issuer_session_id=session_id, issuer_subject=subject
        )

    return await services.db.write(work)


async def find_connection_by_id(conn: AsyncConnection, actor: Actor, connection_id: str) -> Connection:
    """Return the connection with this id; a name in a URL is not accepted."""
    try:
        found = await connections.find(conn, connection_id)
    except NotFound:
        found = None
    if found is None or found.id != connection_id or not actor.sees(found.tenant_id):
        raise UnknownReference(Noun.CONNECTION, connection_id)
    return found


async def _account_of(conn: AsyncConnection, connection: Connection, person: ProvenPerson) -> User:
    """Return the active account of a person. Raises `SignInRefused`."""
    known = await users.load_some(
        conn,
        connection.tenant_id,
        connection.id,
        objects={person.object_id, person.object_id.upper()},
        external_ids=[person.object_id],
    )
    live = [user for user in known.values() if user.deleted_at is None]
    theirs = [user for user in live if _is_holder(user, person)]
    given = [user for user in live if (user.external_id or "").lower() == person.object_id]
    account = next(iter(theirs or given), None)
    if account is None:
        has_left = any(_is_holder(user, person) for user in known.values())
        raise SignInRefused(SignInProblem.NO_ACCESS if has_left else SignInProblem.UNKNOWN_PERSON)
    if not account.active:
        raise SignInRefused(SignInProblem.NO_ACCESS)
    if len(theirs or given) > 1 or _is_contested(account, person):
        raise SignInRefused(SignInProblem.CONTESTED)
    return account


def _is_contested(account: User, person: ProvenPerson) -> bool:
    """Return whether another person's claim stands against this one.

    An account that is not sealed is its holder's. Under a seal it is the person's whose
    object id the push wrote last: the earlier holder lifts no seal (as in the pull). It
    is taken over only once Graph was read without that holder: the push may write one
    living person's object id into another's account.
    """
    is_anothers = account.entra_object_id is not None and not _is_holder(account, person)
    if account.sealed_at is None:
        return is_anothers
    claimed = (account.external_id or "").lower()
    if is_object_id(claimed) and claimed != person.object_id:
        return True
    return is_anothers and account.holder_seen_at is None


def _is_holder(user: User, person: ProvenPerson) -> bool:
    is_same = (user.entra_object_id or "").lower() == person.object_id
    return is_same and user.directory_id in (None, person.directory_id)


def _proof(user: User, person: ProvenPerson) -> Command | None:
    """Return what the sign-in proves about the account, None where all is known.

    Names that linked it may be given to others; from now on it is the person's by
    proof.

    An account under a seal without a known holder was perhaps another person's.
    """
    object_id = GraphId(person.object_id)
    if user.entra_object_id is None and user.sealed_at is None:
        return LinkUser(user.id, object_id, user.version, HolderBasis.PROOF, directory_id=person.directory_id)
    if not _is_holder(user, person):
        return ChangeHolder(
            user.id, object_id, user.version, HolderBasis.PROOF, directory_id=person.directory_id
        )
    if user.sealed_at or user.holder_seen_at:
        return UnsealUser(user.id, user.version)
    if user.holder_basis is HolderBasis.PROOF:
        return None
    return LinkUser(user.id, object_id, user.version, HolderBasis.PROOF, directory_id=person.directory_id)
