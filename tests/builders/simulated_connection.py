"""A connection to a simulated directory: run its cycles, change its directory, and read its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from simulator.directory import Directory
from simulator.server import Simulator
from store import lifecycle
from store.database import Database
from store.directory import groups, memberships, users
from store.records import Cause, Connection, Cycle, DriftFinding, Group, MarkUser, Origin, User
from store.sync import cycles, drift_reports, leases
from store.tenancy import connections
from worker.cycle.report import CycleReport
from worker.cycle.run import CycleRequest, run_cycle
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.on_demand.provision import provision
from worker.on_demand.report import OnDemandReport
from worker.services import WorkerServices

FULL = CycleRequest(is_full=True)


@dataclass(slots=True)
class Pull:
    """A connection to a simulated directory, and the worker's services."""

    simulator: Simulator
    services: WorkerServices
    connection: Connection

    @property
    def directory(self) -> Directory:
        return self.simulator.directory

    @property
    def db(self) -> Database:
        return self.services.db

    async def cycle(self, wish: CycleRequest | None = FULL) -> CycleReport:
        """Runs one cycle in this process, as the command line does where no worker lives; a full one unless told."""
        await self.reload()
        settings = LeaseSettings("test", duration_s=30, gives_way=True)
        connection = self.connection
        async with holding(
            self.db, self.services.clock, connection.tenant_id, connection.id, settings
        ) as hold:
            return await run_cycle(self.services, connection, hold, wish)

    async def increment(self) -> CycleReport:
        """Runs the cycle that is due: incremental where it can be."""
        return await self.cycle(None)

    async def provision(
        self, reference: str, *, is_dry_run: bool = False, actor: str | None = None
    ) -> OnDemandReport:
        await self.reload()
        settings = LeaseSettings("test", duration_s=30)
        connection = self.connection
        async with holding(
            self.db, self.services.clock, connection.tenant_id, connection.id, settings
        ) as hold:
            return await provision(
                self.services, connection, hold, reference, is_dry_run=is_dry_run, actor=actor
            )

    def lose(self, person: str, fate: str) -> None:
        """Lets a person lose their entitlement in one of the four ways."""
        directory = self.directory
        match fate:
            case "disabled":
                directory.change_user(person, {"accountEnabled": False})
            case "soft_deleted":
                directory.soft_delete_user(person)
            case "purged":
                directory.soft_delete_user(person)
                directory.purge_user(person)
            case "unassigned":
                directory.unassign(person)
                for group in directory.groups_of(person):
                    directory.remove_member(group, person)
            case _:
                raise ValueError(fate)

    async def protect(self, person: str) -> None:
        user = (await self.users())[person]
        cause = Cause(Origin.CONSOLE, "test", "test")
        mark = MarkUser(user.id, is_protected=True)
        await lifecycle.perform(self.db, user.tenant_id, user.connection_id, [mark], cause)

    async def set_policy(self, **fields: object) -> None:
        policy = replace(self.connection.policy, **fields)  # type: ignore[arg-type]
        await self.db.write(
            lambda conn: connections.set_policy(conn, self.connection.tenant_id, self.connection.id, policy)
        )
        await self.reload()

    async def postpone(self) -> None:
        """Nothing is due by itself for a day."""
        tomorrow = self.services.clock() + timedelta(days=1)
        connection = self.connection
        await self.db.write(
            lambda conn: connections.schedule(conn, connection.tenant_id, connection.id, tomorrow)
        )

    async def make_due(self) -> None:
        """Due in a second: a slot is a second, and that of the last cycle counts as done."""
        connection, soon = self.connection, self.services.clock() + timedelta(seconds=1)
        await self.db.write(
            lambda conn: connections.schedule(conn, connection.tenant_id, connection.id, soon)
        )

    async def reload(self) -> None:
        async with self.db.reading() as conn:
            self.connection = await connections.get(conn, self.connection.tenant_id, self.connection.id)

    async def users(self) -> dict[str, User]:
        """Everybody, the deleted too, by Entra object id (our id where there is none)."""
        async with self.db.reading() as conn:
            found = await users.load_state(conn, self.connection.tenant_id, self.connection.id)
        return {user.entra_object_id or user.id: user for user in found.values()}

    async def active(self) -> set[str]:
        return {key for key, user in (await self.users()).items() if user.active and user.deleted_at is None}

    async def groups(self) -> dict[str, Group]:
        async with self.db.reading() as conn:
            found = await groups.load_state(conn, self.connection.tenant_id, self.connection.id)
        return {g.entra_object_id or g.id: g for g in found.values() if g.deleted_at is None}

    async def members(self) -> dict[str, set[str]]:
        """Entra ids of the members of each group, people and groups, by Entra id of the group."""
        here = await self.groups()
        names: dict[str, str] = {user.id: key for key, user in (await self.users()).items()}
        names |= {group.id: key for key, group in here.items()}
        async with self.db.reading() as conn:
            found = await memberships.load_state(conn, self.connection.tenant_id, self.connection.id)
        return {key: {names[m] for m in found.get(group.id, ())} for key, group in here.items()}

    async def latest_cycle(self) -> Cycle:
        async with self.db.reading() as conn:
            return (await cycles.latest(conn, self.connection.tenant_id, self.connection.id))[0]

    async def findings(self, report: CycleReport) -> Sequence[DriftFinding]:
        """The drift report of one cycle."""
        async with self.db.reading() as conn:
            found = await drift_reports.report(
                conn, self.connection.tenant_id, self.connection.id, report.cycle_id
            )
        return found.findings

    async def lease_holder(self) -> str:
        async with self.db.reading() as conn:
            lease = await leases.get(conn, self.connection.tenant_id, self.connection.id)
        return lease.holder if lease else ""
