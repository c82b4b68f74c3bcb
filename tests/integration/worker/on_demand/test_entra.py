"""Provision on demand that asks Entra to do the same: the simulated service pushes back into our own SCIM server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer

from scim.app import ScimServices, make_app
from scim.limits import ScimLimits
from simulator.faults import Fault
from simulator.provisioning import ProvisioningService
from store.logs import provisioning_log
from store.records import LogEntry, LogStatus
from store.tenancy import api_tokens
from tests.builders.simulated_connection import Pull
from worker.jobs.queue import Job, JobKind
from worker.jobs.runner import Runner
from worker.locks.lease import for_a_command
from worker.on_demand.report import EntraReport, EntraResult, OnDemandReport, OnDemandResult


@pytest.fixture
async def entra(pull: Pull) -> AsyncIterator[ProvisioningService]:
    """The provisioning service of the simulated tenant, pointed at our SCIM server; no cycle has run."""
    connection = pull.connection
    permissions = ("admin:user:*", "admin:group:*")
    _, secret = await pull.db.write(
        lambda conn: api_tokens.create(conn, connection.tenant_id, connection.id, "Entra", permissions)
    )
    server = TestServer(
        make_app(ScimServices(pull.db, "https://leaver.example", ScimLimits(token_memory_s=0)))
    )
    await server.start_server()
    service = pull.simulator.simulation.provisioning
    await service.start(str(server.make_url("/api/scim/v2")), secret)
    yield service
    await server.close()


async def ask(pull: Pull, *subjects: str, is_dry_run: bool = False) -> list[OnDemandReport]:
    """What `leaver provision CONNECTION SUBJECT... --ask-entra` runs."""
    job = Job(
        *(JobKind.ON_DEMAND, pull.connection.id, "request"),
        subjects=subjects,
        is_dry_run=is_dry_run,
        asks_entra=True,
    )
    done = await Runner(pull.services, for_a_command(pull.services.settings)).run(job, asyncio.Event())
    assert "reports" in done, done
    return [OnDemandReport.from_json(report) for report in done["reports"]]  # type: ignore[union-attr,arg-type]


async def asked(pull: Pull, subject: str) -> tuple[OnDemandReport, EntraReport]:
    [report] = await ask(pull, subject)
    assert report.entra is not None
    return report, report.entra


def somebody(pull: Pull) -> str:
    return min(pull.directory.entitled())


async def entries(pull: Pull, report: OnDemandReport) -> list[LogEntry]:
    connection = pull.connection
    async with pull.db.reading() as conn:
        page = await provisioning_log.search(
            conn, connection.tenant_id, connection.id, cycle_id=report.cycle_id
        )
    return list(page.entries)


async def test_entra_is_asked_after_our_own_work_and_its_answer_is_decoded(
    pull: Pull, entra: ProvisioningService
) -> None:
    """graph-api: the answer's key and value are JSON encoded as strings; the steps are inside."""
    person = somebody(pull)
    report, said = await asked(pull, person)
    assert report.result is OnDemandResult.CREATED
    assert said.result is not EntraResult.FAILED, said
    assert [step.name for step in said.steps][:3] == ["job", "import", "scoping"]
    assert said.steps[0].data["status"] in ("Active", "NotRun")
    assert said.calls == 1
    assert person in entra.job.links, "Entra itself now holds on to the account that we made"


async def test_entras_answer_is_in_the_provisioning_log_under_the_same_cycle(
    pull: Pull, entra: ProvisioningService
) -> None:
    """One entry for each attempt, Entra's too, found by the id of the run."""
    report, _ = await asked(pull, somebody(pull))
    logged = await entries(pull, report)
    assert any(step.name == "entra job" for entry in logged for step in entry.steps)


async def test_asked_again_entra_sees_nothing_to_do(pull: Pull, entra: ProvisioningService) -> None:
    """Graph's sample: Skipped, RedundantExport."""
    await asked(pull, somebody(pull))
    report, said = await asked(pull, somebody(pull))
    assert (report.result, said.result) == (OnDemandResult.UNCHANGED, EntraResult.SKIPPED)
    assert "both sides agree" in said.detail


async def test_who_is_not_assigned_is_out_of_entras_scope(pull: Pull, entra: ProvisioningService) -> None:
    """POD: nothing in scope is a skip with a reason, not a failure."""
    stranger = next(p for p in sorted(pull.directory.users) if p not in pull.directory.entitled())
    pull.directory.change_user(stranger, {"accountEnabled": True})
    pull.lose(stranger, "unassigned")
    _, said = await asked(pull, stranger)
    assert said.result is EntraResult.SKIPPED
    assert "nothing in scope" in said.detail


@pytest.mark.parametrize("fate", ["disabled", "soft_deleted", "purged"])
async def test_people_beyond_entras_trigger_are_ours_alone(
    pull: Pull, entra: ProvisioningService, fate: str
) -> None:
    """POD: it "cannot act on users disabled or deleted in Entra"; it is not asked, and that is said."""
    await pull.cycle()
    person = somebody(pull)
    pull.lose(person, fate)
    report, said = await asked(pull, person)
    assert report.result is OnDemandResult.DISABLED
    assert (said.result, said.calls) == (EntraResult.SKIPPED, 0)
    assert "cannot act" in said.detail


async def test_a_restored_person_is_left_to_entras_next_cycle(pull: Pull, entra: ProvisioningService) -> None:
    """POD: "restoring a soft-deleted user by POD is unsupported and can create a duplicate"."""
    await pull.cycle()
    person = somebody(pull)
    pull.lose(person, "soft_deleted")
    await pull.provision(person)
    pull.directory.restore_user(person)
    report, said = await asked(pull, person)
    assert report.result is OnDemandResult.ENABLED
    assert (said.result, said.calls) == (EntraResult.SKIPPED, 0)
    assert "restored" in said.detail


async def test_a_group_goes_five_members_a_call(pull: Pull, entra: ProvisioningService) -> None:
    """POD: one group with at most five chosen members per request."""
    group = pull.directory.create_group({"displayName": "Deck crew", "securityEnabled": True}).id
    people = sorted(pull.directory.entitled())[:12]
    for person in people:
        pull.directory.add_member(group, person)
    pull.directory.assign(group)
    report, said = await asked(pull, "Deck crew")
    assert report.result is OnDemandResult.CREATED
    assert (said.calls, said.result) == (3, EntraResult.SUCCESS), said
    assert "12 members in 3 calls" in said.detail
    assert entra.job.links[group].member_ids == set(people)


async def test_a_missing_permission_is_named_and_our_own_work_stands(
    pull: Pull, entra: ProvisioningService
) -> None:
    """graph-api, permissions: provisionOnDemand takes Synchronization.ReadWrite.All."""
    registration = pull.simulator.simulation.registration
    registration.roles = registration.roles - {"Synchronization.ReadWrite.All"}
    report, said = await asked(pull, somebody(pull))
    assert report.result is OnDemandResult.CREATED
    assert said.result is EntraResult.FAILED
    assert said.remedy is not None
    assert "Synchronization.ReadWrite.All" in said.remedy


async def test_a_refused_token_is_a_failure_with_the_way_out(pull: Pull, entra: ProvisioningService) -> None:
    """POD: the connection test is shown when it fails."""
    entra.configure(token="wrong")
    _, said = await asked(pull, somebody(pull))
    assert said.result is EntraResult.FAILED
    assert "Unauthorized" in said.detail
    assert said.remedy is not None
    assert "Secret Token" in said.remedy


async def test_a_quarantine_is_shown_with_its_reason_and_since_when(
    pull: Pull, entra: ProvisioningService
) -> None:
    """graph-api: a worker should tell that `code` is Quarantine; what failed names the way out of it."""
    entra.configure(token="wrong")
    await entra.run_cycle()
    _, said = await asked(pull, somebody(pull))
    step = said.steps[0]
    assert (step.name, step.status) == ("job", LogStatus.WARNING)
    assert "quarantine since" in step.detail


async def test_a_job_that_never_was_set_up_is_a_failure_that_says_what_to_do(pull: Pull) -> None:
    """NotConfigured: no Tenant URL and no Secret Token."""
    _, said = await asked(pull, somebody(pull))
    assert said.result is EntraResult.FAILED
    assert said.detail


async def test_a_dry_run_asks_nobody(pull: Pull, entra: ProvisioningService) -> None:
    """Dry run: it is told what would be asked."""
    [report] = await ask(pull, somebody(pull), is_dry_run=True)
    assert report.entra is not None
    assert (report.entra.result, report.entra.calls) == (EntraResult.SKIPPED, 0)
    assert "would be asked" in report.entra.detail
    assert entra.log.search() == []


async def test_what_we_could_not_do_ourselves_is_not_asked_of_entra(
    pull: Pull, entra: ProvisioningService
) -> None:
    """Leaver's own work comes first: who was not even found is nobody to ask for."""
    report, said = await asked(pull, "nobody@fabrikam-demo.example")
    assert report.result is OnDemandResult.FAILED
    assert (said.result, said.calls) == (EntraResult.SKIPPED, 0)


async def test_asking_holds_no_lease(pull: Pull, entra: ProvisioningService) -> None:
    """Entra takes its time; others may work on the connection meanwhile."""
    pull.simulator.simulation.faults.arm(Fault(re.compile("provisionOnDemand"), delay_s=1.5))
    asking = asyncio.create_task(asked(pull, somebody(pull)))
    was_free = False
    while not asking.done():
        was_free = was_free or (bool(await pull.active()) and await pull.lease_holder() == "")
        await asyncio.sleep(0.05)
    await asking
    assert was_free
