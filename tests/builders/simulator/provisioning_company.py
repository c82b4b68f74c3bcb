"""A company of four with one assigned group, a strict SCIM server, the provisioning service between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from simulator.directory import Directory
from simulator.provisioning import Dialect, JobSettings, ProvisioningService
from tests.builders.simulator.provisioning_target import TOKEN, Seen, Target, running_target

DOMAIN = "fabrikam-demo.example"


@dataclass
class ProvisioningCompany:
    """Ann is assigned directly, Ben and Cleo through the group Crew, Dan not at all. Ann manages Ben."""

    directory: Directory
    target: Target
    service: ProvisioningService
    ann: str
    ben: str
    cleo: str
    dan: str
    crew: str

    async def cycle(self) -> list[Seen]:
        """Run a cycle; give what was sent beyond the ping."""
        self.target.seen.clear()
        await self.service.run_cycle()
        return [seen for seen in self.target.seen if not _is_ping(seen)]

    async def writes(self) -> list[tuple[str, str, Any]]:
        """Run a cycle; give what was written, as (method, path with names for ids, body)."""
        await self.cycle()
        return [
            (seen.method, self._named(seen.path), seen.body)
            for seen in self.target.seen
            if seen.method != "GET"
        ]

    def target_id(self, source_id: str) -> str:
        return self.service.job.links[source_id].target_id

    def active(self) -> set[str]:
        """Give the first names of the accounts that are active in the target."""
        return {name.partition("@")[0] for name in self.target.active()}

    def members(self) -> set[str]:
        return {name.partition("@")[0] for name in self.target.members("Crew")}

    def log(self, **search: Any) -> list[dict[str, Any]]:
        return self.service.log.search(**search)

    def _named(self, path: str) -> str:
        names = {"ann": self.ann, "ben": self.ben, "cleo": self.cleo, "dan": self.dan, "crew": self.crew}
        for name, source_id in names.items():
            if link := self.service.job.links.get(source_id):
                path = path.replace(link.target_id, name)
        return path


def _is_ping(seen: Seen) -> bool:
    value = seen.raw_query.rpartition("%22")[0].rpartition("%22")[2]
    return seen.method == "GET" and len(value) == 36 and value.count("-") == 4


def person(directory: Directory, name: str, **more: Any) -> str:
    """Make a user with a first name."""
    properties = {
        "userPrincipalName": f"{name}@{DOMAIN}",
        "displayName": name.title(),
        "givenName": name.title(),
        "surname": "Vale",
        "mail": f"{name}@{DOMAIN}",
        "jobTitle": "Rigger",
    }
    return directory.create_user(properties | more).id


@asynccontextmanager
async def provisioning_company(
    dialect: Dialect = Dialect.DEFAULT, *, first_cycle: bool = True, **settings: Any
) -> AsyncIterator[ProvisioningCompany]:
    """Build the company; unless told otherwise the initial cycle has run."""
    directory = Directory(5)
    ann, ben, cleo, dan = (person(directory, name) for name in ("ann", "ben", "cleo", "dan"))
    crew = directory.create_group({"displayName": "Crew"}).id
    for member in (ben, cleo):
        directory.add_member(crew, member)
    directory.assign(ann)
    directory.assign(crew)
    directory.set_manager(ben, ann)
    async with running_target() as target, ProvisioningService(directory, JobSettings(**settings)) as service:
        await service.start(target.url, TOKEN, dialect=dialect)
        made = ProvisioningCompany(directory, target, service, ann, ben, cleo, dan, crew)
        if first_cycle:
            await made.cycle()
        yield made
