"""Entering the console: links work once, and what ends them ends their sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from config.settings import Settings
from console.admin import api_tokens, tenants
from console.admin.actor import Actor, ActorKind
from console.admin.api_tokens import NewToken
from console.admin.connections import overview, settings, states
from console.admin.connections.policy import PolicyChanges
from console.admin.connections.settings import ConnectionChanges, NewConnection
from console.admin.errors import InvalidPolicy, NameTaken, PermissionMissing, UnknownReference
from console.admin.operators import people
from console.admin.people import users
from console.admin.services import Services
from console.admin.sessions import console_access
from console.admin.sessions.errors import InvalidFrameAncestor, LinkProblem, LinkRefused
from console.admin.setup import links
from store import tables
from store.access.records import LinkKind, Role
from store.database import Database
from store.directory import sessions
from store.records import ChangeHolder, Connection, GraphId, Mode, SessionPurpose, SessionTerms
from tests.builders.store_rows import create_user, perform

ADA = Actor(ActorKind.CLI, "ada")
DOOR = Actor(ActorKind.WEB, "sign-in")
TERMS = SessionTerms(created_from="192.0.2.7", idle_s=3600)

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


@dataclass(frozen=True)
class Office:
    services: Services
    connection: Connection
    other: Connection

    async def enter(self, secret: str, kind: LinkKind = LinkKind.SIGN_IN) -> str:
        _, cookie = await console_access.redeem(self.services, DOOR, secret, kind, TERMS)
        return cookie

    async def person(self, cookie: str) -> console_access.ConsolePerson:
        found = await console_access.identify(self.services, DOOR, cookie)
        assert found is not None
        return found

    async def enters(self, cookie: str) -> bool:
        return await console_access.identify(self.services, DOOR, cookie) is not None


@pytest.fixture
async def office(database: Database, database_url: str) -> Office:
    services = Services(Settings(database_url=database_url), database)
    await tenants.create(services, ADA, "Contoso")
    made = [await settings.create(services, ADA, "contoso", NewConnection(name)) for name in ("one", "two")]
    return Office(services, *made)


async def test_an_invitation_signs_in_once_and_removal_ends_every_session(office: Office) -> None:
    """issue 11: "a one-time link (`leaver operator invite`, 15 minutes, once)"."""
    made = await people.invite(office.services, ADA, "ben")
    assert made.link.expires_at - made.link.created_at == timedelta(minutes=15)
    cookie = await office.enter(made.secret)
    with pytest.raises(LinkRefused) as refused:
        await office.enter(made.secret)
    assert refused.value.problem is LinkProblem.USED
    ben = await office.person(cookie)
    assert (ben.role, ben.actor.tenant, ben.actor.label) == (Role.OPERATOR, None, "web:ben")

    await people.remove(office.services, ADA, "ben")
    assert not await office.enters(cookie)
    with pytest.raises(UnknownReference):
        await people.remove(office.services, ADA, "ben")


async def test_a_link_that_is_over_opens_nothing(office: Office) -> None:
    made = await people.invite(office.services, ADA, "ben")
    past = {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}
    await office.services.db.write(lambda conn: conn.execute(update(tables.access_links).values(past)))
    with pytest.raises(LinkRefused) as refused:
        await office.enter(made.secret)
    assert refused.value.problem is LinkProblem.OVER
    for kind in (LinkKind.SETUP, LinkKind.STATUS):
        with pytest.raises(LinkRefused):
            await office.enter(made.secret, kind)


async def test_a_second_invitation_keeps_role_and_tenant(office: Office) -> None:
    first = await people.invite(office.services, ADA, "vi", Role.VIEWER, "contoso")
    again = await people.invite(office.services, ADA, "vi")
    assert again.operator == first.operator
    with pytest.raises(NameTaken):
        await people.invite(office.services, ADA, "vi", Role.ADMIN)
    vi = await office.person(await office.enter(again.secret))
    assert (vi.role, vi.actor.tenant) == (Role.VIEWER, office.connection.tenant_id)


async def test_no_operator_has_the_role_of_setup_links(office: Office) -> None:
    """A setup link is of one connection; an operator of that role would be of all."""
    with pytest.raises(InvalidPolicy):
        await people.invite(office.services, ADA, "eve", Role.SETUP)


async def test_a_session_ends_idle_and_by_signing_out(office: Office) -> None:
    cookie = await office.enter((await people.invite(office.services, ADA, "ben")).secret)
    assert await console_access.sign_out(office.services, DOOR, cookie)
    assert not await office.enters(cookie)
    idle = await office.enter((await people.invite(office.services, ADA, "ben")).secret)
    past = {"idle_until": datetime.now(UTC) - timedelta(seconds=1)}
    await office.services.db.write(lambda conn: conn.execute(update(tables.console_sessions).values(past)))
    assert not await office.enters(idle)


async def test_a_setup_link_opens_one_connection_and_revoking_it_ends_the_session(office: Office) -> None:
    """console.md, Setup link: one connection, 3 days, revocable; a second browser is refused."""
    made = await links.create_setup_link(office.services, ADA, office.connection.id)
    assert made.link.expires_at - made.link.created_at == timedelta(days=3)
    cookie = await office.enter(made.secret, LinkKind.SETUP)
    with pytest.raises(LinkRefused):
        await office.enter(made.secret, LinkKind.SETUP)
    admin = (await office.person(cookie)).actor

    assert [each.id for each in (await overview.list_all(office.services, admin)).connections] == [
        office.connection.id
    ]
    with pytest.raises(UnknownReference):
        await overview.show(office.services, admin, office.other.id)
    await api_tokens.create(office.services, admin, office.connection.id, NewToken("entra"))
    wanted = NewToken("more", ["admin:connection"])
    with pytest.raises(PermissionMissing):
        await api_tokens.create(office.services, admin, office.connection.id, wanted)

    of_app = NewToken("app", ["admin:session:introspect"])
    app = await api_tokens.create(office.services, ADA, office.connection.id, of_app)
    for deed in (api_tokens.revoke, api_tokens.suspend):
        with pytest.raises(PermissionMissing):
            await deed(office.services, admin, app.token.id)
    with pytest.raises(PermissionMissing):
        await api_tokens.rotate(office.services, admin, app.token.id, 7)

    unlimited = ConnectionChanges(policy=PolicyChanges(ceiling_percent=100))
    await settings.change(office.services, admin, office.connection.id, unlimited)
    await states.set_mode(office.services, ADA, office.connection.id, Mode.ENFORCE)
    with pytest.raises(PermissionMissing):
        await settings.change(office.services, admin, office.connection.id, unlimited)
    with pytest.raises(PermissionMissing):
        await states.pause(office.services, admin, office.connection.id, "why not")

    await links.revoke(office.services, ADA, office.connection.id, made.link.id)
    assert not await office.enters(cookie)


async def test_a_person_of_the_tenant_enters_with_the_mark_of_an_admin_alone(
    office: Office, database: Database
) -> None:
    """Decision 14: the mark is the grant, and goes with the holder."""
    ann = await create_user(database, office.connection, "ann", entra_object_id=GraphId("a" * 8))
    own_pages = SessionTerms(purpose=SessionPurpose.CONSOLE)
    _, secret = await database.write(
        lambda conn: sessions.start(conn, ann.tenant_id, ann.id, terms=own_pages)
    )
    _, of_app = await database.write(lambda conn: sessions.start(conn, ann.tenant_id, ann.id))
    assert not await office.enters(secret)
    await users.mark(office.services, ADA, office.connection.id, ann.id, is_admin=True)
    person = await office.person(secret)
    assert (person.role, person.user_id, person.home) == (Role.ADMIN, ann.id, office.connection.id)
    assert not await office.enters(of_app), "the vendor's app holds that secret"
    assert not person.actor.may("admin:operator:create")

    marked = await users.show(office.services, ADA, office.connection.id, ann.id)
    await perform(database, office.connection, ChangeHolder(ann.id, GraphId("b" * 8), marked.user.version))
    assert not await office.enters(secret)


@pytest.mark.parametrize(
    "origin", ["http://app.example", "https://app.example/path", "*", "https://a b", "https://u@app.example"]
)
async def test_a_status_page_is_framed_by_named_origins_only(office: Office, origin: str) -> None:
    with pytest.raises(InvalidFrameAncestor):
        await links.create_status_link(office.services, ADA, office.connection.id, [origin])


async def test_a_status_link_reads_one_connection(office: Office) -> None:
    made = await links.create_status_link(
        office.services, ADA, office.connection.id, ["https://App.example:8443/"]
    )
    opened = await links.open_status(office.services, DOOR, made.secret)
    assert opened.link.frame_ancestors == ("https://app.example:8443",)
    assert not opened.actor.may("admin:sync:run")
    with pytest.raises(UnknownReference):
        await overview.show(office.services, opened.actor, office.other.id)
    await links.revoke(office.services, ADA, office.connection.id, made.link.id)
    with pytest.raises(LinkRefused):
        await links.open_status(office.services, DOOR, made.secret)
