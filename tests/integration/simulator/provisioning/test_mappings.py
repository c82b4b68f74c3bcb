"""The provisioning service under mappings that are not the default, and several jobs at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from tests.builders.simulator.client import SimulatorClient, simulator_client
from tests.builders.simulator.provisioning_target import TOKEN, Seen, Target, running_target

SOURCES = {
    "userPrincipalName": "userPrincipalName",
    "mail": "mail",
    "employeeId": "employeeId",
    "objectId": "id",
    "mailNickname": "mailNickname",
}


@dataclass
class Push:
    """A simulated tenant, the target of its push, and the admin side."""

    entra: SimulatorClient
    target: Target

    async def do(self, do: str, status: int = 200, **body: Any) -> Any:
        answer = await self.entra.admin("POST", "/provisioning", {"do": do, **body})
        assert answer.status == status, answer.body
        return answer.body

    async def start(self, **more: Any) -> Any:
        return await self.do("start", target_url=self.target.url, token=TOKEN, **more)

    def person(self, **properties: Any) -> str:
        """Make an assigned person."""
        directory = self.entra.simulator.directory
        name = f"zoe{len(directory.users)}"
        whole = {
            "userPrincipalName": f"{name}@fabrikam-demo.example",
            "mail": f"{name}@mail.example",
            "employeeId": f"E{len(directory.users)}",
            "mailNickname": name,
            **properties,
        }
        user_id = directory.create_user(whole).id
        directory.assign(user_id)
        return user_id

    def shown(self, user_id: str) -> dict[str, Any]:
        return {**self.entra.simulator.directory.users[user_id].properties, "id": user_id}


@pytest.fixture
async def push() -> AsyncIterator[Push]:
    async with simulator_client(users=0, groups=0) as entra, running_target() as target:
        yield Push(entra, target)


@pytest.mark.parametrize("user_name", SOURCES)
@pytest.mark.parametrize("external_id", SOURCES)
async def test_any_attribute_is_mapped_to_user_name_and_external_id(
    push: Push, user_name: str, external_id: str
) -> None:
    """identity.md, *Foreign mappings*: every pair, matched by userName."""
    person = push.person()
    mapping = {"userName": user_name, "externalId": external_id}
    await push.start(settings={"mapping": mapping, "matching": ["userName"]})
    assert (await push.do("cycle"))["counts"] == {"created": 1}
    [account] = push.target.users.values()
    shown = push.shown(person)
    assert account["userName"] == shown[SOURCES[user_name]]
    assert account["externalId"] == shown[SOURCES[external_id]]


@pytest.mark.parametrize(
    ("expression", "gives"),
    [
        ('Append([mailNickname], "@corp.example")', "zoe0@corp.example"),
        ('Join("-", "acme", [employeeId])', "acme-E0"),
        ('Replace([userPrincipalName], "@fabrikam-demo.example", , , "@x.example", , )', "zoe0@x.example"),
        ('Replace([mail], , "@(?<d>.*)", "d", "y.example", , )', "zoe0@y.example"),
        ("ToUpper([mailNickname])", "ZOE0"),
        ("Mid([mailNickname], 2, 2)", "oe"),
        ('Word([userPrincipalName], 1, "@")', "zoe0"),
        ('IIF(IsPresent([faxNumber]), [faxNumber], "none")', "none"),
        ('NormalizeDiacritics("Zoë")', "Zoe"),
    ],
)
async def test_an_expression_is_a_source_too(push: Push, expression: str, gives: str) -> None:
    """A constant suffix, a part of a name: *Reference for writing expressions*."""
    push.person()
    await push.start(settings={"mapping": {"externalId": expression}})
    await push.do("cycle")
    [account] = push.target.users.values()
    assert account["externalId"] == gives


async def test_one_application_has_several_jobs(push: Push) -> None:
    """Members by one job and guests by another: each has a mapping, a scope, a log of its own."""
    member = push.person()
    guest = push.person(department="Guests")
    of_department = {"attribute": "department", "value": "Guests"}
    members = [
        [{**of_department, "operator": "NOT EQUALS"}],
        [{"attribute": "department", "operator": "IS NULL"}],
    ]
    guests = {
        "mapping": {"externalId": "objectId"},
        "scoping_filters": [[{**of_department, "operator": "EQUALS"}]],
    }
    await push.start(settings={"scoping_filters": members})
    await push.start(job="guests", settings=guests)
    assert (await push.do("cycle"))["counts"] == {"created": 1}
    assert (await push.do("cycle", job="guests"))["counts"] == {"created": 1}
    assert {user["externalId"] for user in push.target.users.values()} == {
        push.shown(member)["mailNickname"],
        guest,
    }
    jobs = (await push.do("jobs"))["jobs"]
    assert [(job["name"], job["state"]) for job in jobs] == [("", "Active"), ("guests", "Active")]
    log = (await push.entra.admin("GET", "/provisioning/log?job=guests")).body["value"]
    assert [(entry["sourceIdentity"]["id"], entry["jobId"]) for entry in log] == [(guest, jobs[1]["id"])]
    assert "guests" in (await push.do("cycle", job="guess", status=404))["error"]["message"]


async def test_graph_shows_every_job_and_all_logs(push: Push) -> None:
    """`synchronization/jobs` lists them; each has its schema; the audit log holds both."""
    push.person()
    await push.start()
    await push.start(job="second", settings={"mapping": {"externalId": "employeeId"}, "can_create": False})
    await push.do("cycle")
    await push.do("cycle", job="second")
    principal = push.entra.simulator.directory.service_principal_id
    jobs = f"/servicePrincipals/{principal}/synchronization/jobs"
    ids = (await push.entra.get(jobs)).ids
    assert len(set(ids)) == 2
    sources = []
    for job_id in ids:
        schema = (await push.entra.get(f"{jobs}/{job_id}/schema")).body
        mappings = schema["synchronizationRules"][0]["objectMappings"][0]["attributeMappings"]
        [mapped] = [m for m in mappings if m["targetAttributeName"] == "externalId"]
        sources.append(mapped["source"]["name"])
    assert sources == ["mailNickname", "employeeId"]
    logged = {entry["jobId"] for entry in (await push.entra.get("/auditLogs/provisioning")).value}
    assert logged == set(ids)


async def test_a_changed_mapping_evaluates_everyone_anew(push: Push) -> None:
    """A change of the mapping re-evaluates all managed objects in the next cycle (MAP)."""
    person = push.person()
    await push.start()
    await push.do("cycle")
    assert (await push.do("cycle"))["kind"] == "incremental"
    await push.do("configure", settings={"mapping": {"externalId": "objectId"}})
    report = await push.do("cycle")
    assert (report["kind"], report["counts"]) == ("initial", {"updated": 1})
    [account] = push.target.users.values()
    assert account["externalId"] == person


async def test_a_mapping_saved_during_a_cycle_waits_for_its_end(push: Push) -> None:
    """One cycle has one mapping."""
    for _ in range(3):
        push.person()
    reached, goes_on = asyncio.Event(), asyncio.Event()

    def respond(seen: Seen) -> web.Response | None:
        if seen.method == "POST":
            reached.set()
        return None

    push.target.respond = respond
    await push.start(settings={"parallelism": 1})
    service = push.entra.simulator.simulation.provisioning
    running = asyncio.create_task(service.run_cycle())
    await reached.wait()
    await push.do("configure", settings={"mapping": {"externalId": "employeeId"}})
    goes_on.set()
    await running
    names = {str(user["externalId"])[:3] for user in push.target.users.values()}
    assert names == {"zoe"}
    await push.do("cycle")
    assert {str(user["externalId"])[0] for user in push.target.users.values()} == {"E"}


async def test_a_match_that_writes_nothing_anchors(push: Push) -> None:
    """identity.md, *silent match*: Entra finds, sends nothing, and owns the account from then on."""
    person = push.person()
    await push.start()
    await push.do("cycle")
    await push.do("restart", full=True)
    push.target.seen.clear()
    report = await push.do("cycle")
    assert report["counts"] == {"skipped": 1}
    assert {seen.method for seen in push.target.seen} == {"GET"}
    push.entra.simulator.directory.change_user(person, {"accountEnabled": False})
    assert (await push.do("cycle"))["counts"] == {"disabled": 1}


@pytest.mark.parametrize("shared", [False, True])
async def test_the_account_of_one_who_is_gone_may_get_a_second_anchor(push: Push, shared: bool) -> None:
    """`shared_anchors`: B is matched to A's account by name; A's purge still deletes it (day 30)."""
    directory = push.entra.simulator.directory
    first = push.person(userPrincipalName="sam@fabrikam-demo.example", mailNickname="sam")
    await push.start(settings={"shared_anchors": shared})
    await push.do("cycle")
    directory.soft_delete_user(first)
    await push.do("cycle")
    second = push.person(userPrincipalName="sam@fabrikam-demo.example", mailNickname="sam")
    report = await push.do("cycle")
    links = push.entra.simulator.simulation.provisioning.job.links
    if not shared:
        assert (report["state"], second in links) == ("EntryLevelErrors", False)
        return
    assert links[second].target_id == links[first].target_id
    assert len(push.target.active()) == 1
    directory.purge_user(first)
    assert (await push.do("cycle"))["counts"] == {"deleted": 1}
    assert push.target.users == {}


async def test_a_person_whose_state_is_null_is_neither_created_nor_disabled(push: Push) -> None:
    """`accountEnabled: null`: the service leaves the account as it is."""
    person, other = push.person(), push.person(accountEnabled=None)
    await push.start()
    assert (await push.do("cycle"))["counts"] == {"created": 1, "skipped": 1}
    push.entra.simulator.directory.change_user(person, {"accountEnabled": None})
    await push.do("cycle")
    assert len(push.target.active()) == 1
    assert other not in push.entra.simulator.simulation.provisioning.job.links


async def test_the_mapping_of_groups_is_set_too(push: Push) -> None:
    """`group_mapping` and `group_matching`."""
    directory = push.entra.simulator.directory
    group = directory.create_group({"displayName": "Crew"}).id
    directory.assign(group)
    settings = {"group_mapping": {"externalId": "mailNickname"}, "group_matching": ["externalId"]}
    await push.start(settings=settings)
    await push.do("cycle")
    assert push.target.group("Crew")["externalId"] == "Crew"
