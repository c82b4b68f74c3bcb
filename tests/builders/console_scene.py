"""A company whose console is looked at: many people, one, and none; and names that mean harm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp.test_utils import TestServer, unused_port
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from config.settings import Settings
from console.admin import api_tokens
from console.admin.api_tokens import NewToken
from console.admin.services import Services
from console.server.app import build_app
from simulator.server import Simulator, running_simulator
from store import lifecycle
from store.database import Database, open_database
from store.directory import listing, sessions
from store.keys import utc_now
from store.logs import provisioning_log
from store.records import (
    Cause,
    Connection,
    CreateGroup,
    CreateUser,
    CycleKind,
    CycleStatus,
    Document,
    DriftFinding,
    DriftKind,
    FindingState,
    GraphId,
    MarkUser,
    Origin,
    SessionPurpose,
    SessionTerms,
    SubjectType,
    User,
    UserId,
)
from store.sync import cycles, held_plans
from store.tenancy import connections, tenants
from tests.builders.setup_scene import ADA, fill_setup
from tests.builders.simulated_connection import Pull
from tests.builders.simulated_tenant import SECRET_KEY, connect
from tests.builders.store_rows import create_user, perform, person, record_drift
from worker.services import build_services

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

HOSTILE = (
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "\u202egnp.exe مرحبا بالعالم",
    "line\nbreak\ttab\x1b[31m\x07",
    "W" * 10_000,
    "{{ 7*7 }} {% raw %}",
    "O'Brien & <b>Söhne</b> 中文 👩‍👩‍👧",
)
"""Display names that somebody could write in Entra."""


@dataclass
class ConsoleScene:
    """One tenant with three connections, and the cookie of its admin."""

    database: Database
    services: Services
    simulator: Simulator
    url: str
    secret: str
    many: Connection
    one: Connection
    empty: Connection
    foreign: Connection
    """Of another tenant."""
    pull: Pull
    admin: User
    known: dict[str, Any] = field(default_factory=dict)
    """Ids that addresses of examples hold."""

    async def sign_in(self) -> str:
        """Return the secret of another session of the admin.

        `secret` is as old as the scene: after 15 minutes it changes nobody's access (`console.admin.actor.RECENT`).
        """
        return await admin_session(self.database, self.admin)


async def hostile_people(database: Database, connection: Connection) -> list[User]:
    """Make accounts whose every attribute means harm."""
    made = []
    for number, text in enumerate(HOSTILE):
        document: Document = person(
            f"hostile{number}",
            displayName=text,
            title=text,
            nickName=text,
            profileUrl="javascript:alert(document.cookie)",
            photos=[{"type": "photo", "value": "javascript:alert(1)"}],
            addresses=[{"type": "work", "streetAddress": text, "country": text[:60]}],
            **{ENTERPRISE: {"department": text}},
        )
        [outcome] = await perform(database, connection, CreateUser(document))
        assert isinstance(outcome.record, User)
        made.append(outcome.record)
    return made


async def admin_session(database: Database, user: User) -> str:
    """Mark the user as an admin and sign in."""
    cause = Cause(Origin.CONSOLE, "test", "test")
    await lifecycle.perform(
        database, user.tenant_id, user.connection_id, [MarkUser(user.id, is_admin=True)], cause
    )
    return await session_of(database, user)


async def session_of(database: Database, user: User, **more: Any) -> str:
    terms = SessionTerms(purpose=SessionPurpose.CONSOLE, **more)
    _, secret = await database.write(
        lambda conn: sessions.start(conn, user.tenant_id, UserId(user.id), terms=terms)
    )
    return secret


@asynccontextmanager
async def console_scene(database_url: str, *, users: int = 60) -> AsyncIterator[ConsoleScene]:
    """Serve a console with data of every kind."""
    database = await open_database(database_url)
    async with running_simulator(users=users, groups=5, seed=11) as simulator:
        try:
            many = await connect(database, simulator, "Contoso")
            settings = Settings(
                database_url=database_url,
                secret_key=(SecretStr(SECRET_KEY),),
                worker_tick_s=1,
                allow_simulator=True,
            )
            one = await database.write(lambda conn: connections.create(conn, many.tenant_id, "One"))
            empty = await database.write(lambda conn: connections.create(conn, many.tenant_id, "Empty"))
            other = await database.write(lambda conn: tenants.create(conn, "Fabrikam"))
            foreign = await database.write(lambda conn: connections.create(conn, other.id, "Entra"))
            admin = await create_user(database, one, "ada")
            port = unused_port()
            url = f"http://127.0.0.1:{port}"
            services = Services(settings, database)
            pull = Pull(simulator, build_services(settings, database), many)
            async with TestServer(build_app(services, url), port=port):
                secret = await admin_session(database, admin)
                yield ConsoleScene(
                    database, services, simulator, url, secret, many, one, empty, foreign, pull, admin
                )
        finally:
            await database.close()


async def _fill_one(scene: ConsoleScene) -> None:
    """Give the connection with one person one group, one token, one finding and one plan."""
    one, now = scene.one, utc_now()
    await perform(scene.database, one, CreateGroup({"displayName": "Staff"}, member_ids=(scene.admin.id,)))
    await api_tokens.create(scene.services, ADA, one.id, NewToken("entra"))
    who = SubjectType.USER, scene.admin.id, scene.admin.user_name
    finding = DriftFinding(
        *(DriftKind.UNMATCHED_ACCOUNT, None, *who),
        before={},
        after={},
        first_seen=now,
        state=FindingState.HELD,
        evidence={"account": "No one in Entra was found for it."},
    )

    async def work(conn: AsyncConnection) -> None:
        of = one.tenant_id, one.id
        cycle = await cycles.start(conn, *of, CycleKind.INITIAL)
        result = cycles.CycleResult(CycleStatus.HELD, complete=True)
        await cycles.finish(conn, one.tenant_id, cycle.id, result, now=now)
        await record_drift(conn, *of, cycle.id, [finding])
        [held, *_] = await held_plans.list_for(conn, scene.many.tenant_id, scene.many.id)
        rows = held.body["changes"]
        assert isinstance(rows, list)
        await held_plans.hold(
            *(conn, *of, cycle.id, "0" * 64, held.reason),
            {**held.body, "changes": rows[:1]},
            now + timedelta(days=7),
        )

    await scene.database.write(work)


async def fill(scene: ConsoleScene) -> None:
    """Let the company live: people come, some leave, more leave than the ceilings allow, names mean harm."""
    pull = scene.pull
    await pull.cycle()
    leaving = sorted(pull.directory.entitled())
    fates = ("disabled", "soft_deleted", "purged", "unassigned")
    for number, who in enumerate(leaving[:4]):
        pull.lose(who, fates[number])
    await pull.cycle()
    gone = (await pull.users())[leaving[0]]
    hostile = await hostile_people(scene.database, pull.connection)
    for who in leaving[4:24]:
        pull.lose(who, "disabled")
    held = await pull.cycle()
    await perform(
        scene.database,
        pull.connection,
        CreateGroup({"displayName": HOSTILE[0]}, member_ids=tuple(user.id for user in hostile)),
    )
    for user in hostile[:2]:
        await session_of(scene.database, user, agent=HOSTILE[0], created_from="203.0.113.9")
    await _fill_one(scene)
    of = pull.connection.tenant_id, pull.connection.id
    async with scene.database.reading() as conn:
        [entry, *_] = (await provisioning_log.search(conn, *of, user=gone.id)).entries
        plan = max(await held_plans.list_for(conn, *of), key=lambda each: len(str(each.body["changes"])))
        [group, *_] = (await listing.groups(conn, *of, name="script")).items
    scene.known = {
        "entry": entry.id,
        "plan": plan.id,
        "group": group.id,
        "user": gone.id,
        "hostile": hostile[0].id,
        "object": GraphId(leaving[0]),
        "user_name": gone.user_name,
        "leaver": GraphId(leaving[4]),
        "cycle": held.cycle_id,
        **(await fill_setup(scene.services, pull.connection)),
    }
