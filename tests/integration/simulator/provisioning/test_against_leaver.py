"""The simulated Entra pushes into Leaver's own SCIM server; afterwards the store is exactly what was sent."""

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestServer

from scim.app import ScimServices, make_app
from scim.limits import ScimLimits
from simulator.directory import Directory
from simulator.provisioning import Dialect, JobSettings, JobStopped, ProvisioningService, paths
from simulator.provisioning.job import Link
from simulator.seeding import seed_company
from store.database import Database
from store.directory import groups, memberships, users
from store.records import Connection, Document, GroupId, UserId
from store.tenancy import api_tokens
from tests.builders.simulator.provisioning_company import person

PEOPLE = int(os.environ.get("LEAVER_TEST_PEOPLE", "200"))
CYCLES = 20
EVENTS_PER_CYCLE = 12

both_dialects = pytest.mark.parametrize("dialect", list(Dialect))


@asynccontextmanager
async def pushing(
    database: Database, connection: Connection, directory: Directory, dialect: Dialect, **settings: object
) -> AsyncIterator[ProvisioningService]:
    """Serve SCIM on a free port and point a provisioning service at it."""
    _, secret = await database.write(
        lambda conn: api_tokens.create(
            conn, connection.tenant_id, connection.id, "Entra", ("admin:user:*", "admin:group:*")
        )
    )
    server = TestServer(
        make_app(ScimServices(database, "https://leaver.example", ScimLimits(token_memory_s=0)))
    )
    await server.start_server()
    try:
        async with ProvisioningService(directory, JobSettings(**settings)) as service:  # type: ignore[arg-type]
            await service.start(str(server.make_url("/api/scim/v2")), secret, dialect=dialect)
            yield service
    finally:
        await server.close()


async def assert_store_is_what_was_sent(
    database: Database, connection: Connection, service: ProvisioningService
) -> None:
    """Compare every user, group, membership and manager with what the service remembers to have sent."""
    tenant, links = connection.tenant_id, service.job.links
    async with database.reading() as conn:
        people = await users.load_state(conn, tenant, connection.id)
        teams = await groups.load_state(conn, tenant, connection.id)
        members = await memberships.load_state(conn, tenant, connection.id)
    here = {user_id for user_id, user in people.items() if user.deleted_at is None}
    assert here == {link.target_id for link in service.job.links_of("User")}
    teams_here = {group_id for group_id, group in teams.items() if group.deleted_at is None}
    assert teams_here == {link.target_id for link in service.job.links_of("Group")}
    for link in service.job.links_of("User"):
        user = people[UserId(link.target_id)]
        expected = link.exported | _manager(link)
        assert _shown(user.document, {*expected, *_mapped(service)}) == expected
        assert user.active is (link.exported["active"] == "True")
    for link in service.job.links_of("Group"):
        sent = {links[member].target_id for member in link.member_ids}
        assert members.get(GroupId(link.target_id), frozenset()) == sent
        assert _shown(teams[GroupId(link.target_id)].document, set(link.exported)) == link.exported


def _mapped(service: ProvisioningService) -> set[str]:
    return {mapping.target for mapping in service.job.settings.user_mapping} | {paths.MANAGER}


def _manager(link: Link) -> dict[str, str]:
    return {paths.MANAGER: link.manager_target_id} if link.manager_target_id else {}


def _shown(document: Document, wanted: set[str]) -> dict[str, str]:
    found = {path: paths.get(document, path) for path in wanted}
    if isinstance(manager := found.get(paths.MANAGER), dict):
        found[paths.MANAGER] = manager["value"]
    return {path: str(value) for path, value in found.items() if value is not None}


# --- the life of one person and one group ---


@both_dialects
async def test_a_whole_life_goes_through(database: Database, contoso: Connection, dialect: Dialect) -> None:
    """Joiner, mover, disabled, enabled, leaver, deleted, purged: in both PATCH dialects."""
    directory = Directory(7)
    mia, boss = person(directory, "mia"), person(directory, "boss")
    crew = directory.create_group({"displayName": "Crew"}).id
    directory.add_member(crew, mia)
    directory.assign(crew)
    directory.assign(boss)
    async with pushing(database, contoso, directory, dialect) as service:

        async def active() -> bool:
            report = await service.run_cycle()
            assert (report.state, report.code) == ("Succeeded", None)
            await assert_store_is_what_was_sent(database, contoso, service)
            target_id = UserId(service.job.links[mia].target_id)
            async with database.reading() as conn:
                user = await users.get(conn, contoso.tenant_id, target_id)
            assert user is not None
            return user.active

        assert await active()
        directory.change_user(
            mia, {"jobTitle": "Bosun", "surname": "Lund", "city": "Leith", "mail": "m@x.example"}
        )
        directory.change_user(mia, {"userPrincipalName": "mia.lund@fabrikam-demo.example"})
        directory.set_manager(mia, boss)
        directory.change_group(crew, {"displayName": "Deck Crew"})
        assert await active()
        directory.change_user(mia, {"accountEnabled": False})
        assert not await active()
        directory.change_user(mia, {"accountEnabled": True})
        assert await active()
        directory.remove_member(crew, mia)
        assert not await active()
        directory.add_member(crew, mia)
        assert await active()
        directory.soft_delete_user(mia)
        assert not await active()
        directory.restore_user(mia)
        assert await active()
        directory.soft_delete_user(mia)
        assert not await active()
        directory.purge_user(mia)
        await service.run_cycle()
        await assert_store_is_what_was_sent(database, contoso, service)
        directory.unassign(crew)
        report = await service.run_cycle()
        assert report.counts == {"groups_deleted": 1}
        await assert_store_is_what_was_sent(database, contoso, service)


@both_dialects
async def test_provision_on_demand_goes_through(
    database: Database, contoso: Connection, dialect: Dialect
) -> None:
    """COMPAT: the flag does not work with provision on demand: both dialects arrive at one tenant."""
    directory = Directory(7)
    mia = person(directory, "mia")
    directory.assign(mia)
    async with pushing(database, contoso, directory, dialect) as service:
        assert (await service.provision_on_demand(mia)).action == "create"
        directory.change_user(mia, {"jobTitle": "Bosun", "department": "Deck"})
        assert (await service.provision_on_demand(mia)).status == "success"
        directory.unassign(mia)
        assert (await service.provision_on_demand(mia)).action == "disable"
        await assert_store_is_what_was_sent(database, contoso, service)


async def test_the_connection_test_passes_with_the_token_and_fails_without(
    database: Database, contoso: Connection
) -> None:
    """First guide: Test Connection succeeds, and fails with an authorization error for a wrong token."""
    async with pushing(database, contoso, Directory(7), Dialect.DEFAULT) as service:
        await service.test_connection()
        service.configure(token="wrong")
        with pytest.raises(JobStopped) as caught:
            await service.test_connection()
        assert caught.value.code == "Unauthorized"


@pytest.mark.parametrize(
    "gap",
    [
        "string_booleans",
        "boolean_active",
        "legacy_create",
        "legacy_manager",
        "duplicate_patch",
        "out_of_order",
    ],
)
@both_dialects
async def test_every_oddity_of_the_wire_is_understood(
    database: Database, contoso: Connection, gap: str, dialect: Dialect
) -> None:
    """§15, §19.7: the other spellings of booleans, creates and managers; doubled and shuffled PATCHes."""
    directory = Directory(7)
    names = ("mia", "boss", "kim", "lee")
    mia, boss, *others = (person(directory, name) for name in names)
    crew = directory.create_group({"displayName": "Crew"}).id
    for member in (mia, *others):
        directory.add_member(crew, member)
    directory.assign(crew)
    directory.assign(boss)
    directory.set_manager(mia, boss)
    async with pushing(database, contoso, directory, dialect, ref_in_remove=True) as service:
        service.arm(gap)
        assert (await service.run_cycle()).state == "Succeeded"
        directory.change_user(mia, {"accountEnabled": False, "jobTitle": "Bosun"})
        directory.change_user(boss, {"accountEnabled": False})
        directory.remove_member(crew, others[0])
        directory.set_manager(others[1], mia)
        assert (await service.run_cycle()).state == "Succeeded"
        await assert_store_is_what_was_sent(database, contoso, service)


# --- a company in motion ---


async def test_twenty_cycles_of_joiners_movers_and_leavers(database: Database, contoso: Connection) -> None:
    """Whatever happens in Entra, the store is what was sent: attributes, memberships, both dialects."""
    directory = Directory(PEOPLE)
    seed_company(directory, PEOPLE, max(12, PEOPLE // 40))
    life = Life(directory, random.Random(f"life {PEOPLE}"))
    async with pushing(database, contoso, directory, Dialect.DEFAULT) as service:
        assert (await service.run_cycle()).state == "Succeeded"
        await assert_store_is_what_was_sent(database, contoso, service)
        for number in range(CYCLES):
            service.configure(dialect=list(Dialect)[number % 2])
            for _ in range(EVENTS_PER_CYCLE):
                life.happen()
            report = await service.run_cycle()
            assert (report.state, report.code) == ("Succeeded", None)
        await assert_store_is_what_was_sent(database, contoso, service)


class Life:
    """Random events in a company; the same dice, the same life."""

    def __init__(self, directory: Directory, dice: random.Random) -> None:
        self.directory = directory
        self.dice = dice
        self.number = 0

    def happen(self) -> None:
        """Let one thing happen."""
        self.number += 1
        self.dice.choice(
            [self.join, self.move, self.rename, self.switch, self.leave, self.come_back, self.purge]
            + [self.change_membership] * 3
            + [self.change_assignment, self.change_manager, self.rename_group, self.wait]
        )()

    def someone(self) -> str:
        return self.dice.choice(sorted(self.directory.users))

    def some_group(self) -> str:
        return self.dice.choice(sorted(self.directory.groups))

    def join(self) -> None:
        newcomer = person(self.directory, f"joiner{self.number}", department=self.dice.choice(["A", "B"]))
        self.directory.set_manager(newcomer, self.someone())
        if self.dice.random() < 0.5:
            self.directory.assign(newcomer)
        else:
            self.directory.add_member(self.some_group(), newcomer)

    def move(self) -> None:
        names = ["jobTitle", "department", "city", "mobilePhone", "officeLocation", "employeeId", "mail"]
        changes: dict[str, str | None] = {
            name: f"{name} {self.number}" for name in self.dice.sample(names, 3)
        }
        changes[self.dice.choice(names)] = None
        self.directory.change_user(self.someone(), changes)

    def rename(self) -> None:
        name = f"renamed{self.number}"
        self.directory.change_user(
            self.someone(),
            {"userPrincipalName": f"{name}@fabrikam-demo.example", "mailNickname": name, "surname": name},
        )

    def switch(self) -> None:
        user = self.directory.users[self.someone()]
        self.directory.change_user(user.id, {"accountEnabled": not user.enabled})

    def leave(self) -> None:
        self.directory.soft_delete_user(self.someone())

    def come_back(self) -> None:
        if deleted := sorted(self.directory.deleted_users):
            self.directory.restore_user(self.dice.choice(deleted))

    def purge(self) -> None:
        if deleted := sorted(self.directory.deleted_users):
            self.directory.purge_user(self.dice.choice(deleted))

    def change_membership(self) -> None:
        group_id, user_id = self.some_group(), self.someone()
        if not self.directory.add_member(group_id, user_id):
            self.directory.remove_member(group_id, user_id)

    def change_assignment(self) -> None:
        principal = self.someone() if self.dice.random() < 0.7 else self.some_group()
        if self.directory.is_assigned(principal):
            self.directory.unassign(principal)
        else:
            self.directory.assign(principal)

    def change_manager(self) -> None:
        self.directory.set_manager(self.someone(), self.dice.choice([self.someone(), None]))

    def rename_group(self) -> None:
        self.directory.change_group(self.some_group(), {"displayName": f"Team {self.number}"})

    def wait(self) -> None:
        self.directory.advance(self.dice.choice([2400, 24 * 3600]))
