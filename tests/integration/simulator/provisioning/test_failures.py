"""How the service reads refusals: escrow and retry for one object, quarantine for the whole job."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from simulator.provisioning import ClientCredentials, JobStopped
from simulator.provisioning.retry import Thresholds
from tests.builders.simulator.provisioning_company import ProvisioningCompany, person, provisioning_company
from tests.builders.simulator.provisioning_target import TOKEN, Seen, running_target, scim_error


def code(at: ProvisioningCompany, source_id: str) -> str:
    """Give the code of the newest log entry about an object."""
    return str(at.log(source_id=source_id)[0]["provisioningStatusInfo"]["errorInformation"]["errorCode"])


def quarantine(at: ProvisioningCompany) -> str | None:
    found = at.service.job_representation()["status"]["quarantine"]
    return found and str(found["reason"])


def refuse(status: int, method: str, prefix: str) -> Callable[[Seen], web.Response | None]:
    """Refuse some requests, let the server answer the others."""

    def respond(seen: Seen) -> web.Response | None:
        if seen.method == method and seen.path.startswith(prefix):
            return scim_error(status, "refused by the test")
        return None

    return respond


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "SystemForCrossDomainIdentityManagementServiceIncompatible"),
        (403, "InsufficientRights"),
        (405, "MethodNotAllowed"),
        (409, "Conflict"),
        (422, "UnprocessableEntity"),
        (429, "TooManyRequests"),
        (500, "InternalServerError"),
        (501, "NotImplemented"),
        (503, "InternalError"),
        (504, "Timeout"),
    ],
)
async def test_a_refused_object_gets_the_documented_code_and_is_retried(status: int, expected: str) -> None:
    """§11: every answer has its reading; per-object errors are retried next cycle, the others go on."""
    async with provisioning_company() as at:
        at.target.respond = refuse(status, "POST", "/Users")
        at.directory.assign(at.dan)
        at.directory.change_user(at.ann, {"jobTitle": "Bosun"})
        await at.cycle()
        assert code(at, at.dan) == expected
        assert at.target.user("ann@fabrikam-demo.example")["title"] == "Bosun"
        at.target.respond = lambda seen: None
        assert [method for method, _, _ in await at.writes()] == ["POST"]
        assert at.service.job.escrows == {}


async def test_a_second_failure_waits_for_six_hours() -> None:
    """QUAR: retry 6 h after the failure."""
    async with provisioning_company() as at:
        at.target.respond = refuse(409, "POST", "/Users")
        at.directory.assign(at.dan)
        await at.cycle()
        await at.cycle()
        assert await at.writes() == []
        at.directory.advance(6 * 3600)
        assert len(await at.writes()) == 1


async def test_several_matches_fail_the_object() -> None:
    """§6: more than one result is …MultipleEntriesInResponse."""
    async with provisioning_company() as at:
        for key in ("x1", "x2"):
            at.target.users[key] = {"id": key, "userName": "dan@fabrikam-demo.example"}
        at.directory.assign(at.dan)
        assert await at.writes() == []
        assert code(at, at.dan).endswith("MultipleEntriesInResponse")


async def test_two_source_objects_cannot_share_a_target() -> None:
    """§11: DuplicateSourceEntries."""
    async with provisioning_company() as at:
        twin = person(at.directory, "twin")
        at.target.user("ann@fabrikam-demo.example")["userName"] = "twin@fabrikam-demo.example"
        at.directory.assign(twin)
        assert await at.writes() == []
        assert code(at, twin) == "DuplicateSourceEntries"


async def test_a_created_object_without_an_id_is_no_success() -> None:
    """§4.11: a 201 without an id would break the link."""
    async with provisioning_company() as at:
        at.target.respond = lambda seen: web.json_response({}, status=201) if seen.method == "POST" else None
        at.directory.assign(at.dan)
        await at.cycle()
        assert code(at, at.dan) == "SystemForCrossDomainIdentityManagementServiceIncompatible"
        assert at.dan not in at.service.job.links


async def test_a_manager_must_read_back_as_an_object() -> None:
    """§4.12: it must appear as a complex object, else …ServiceIncompatible."""
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    async with provisioning_company() as at:
        at.target.users[at.target_id(at.ben)][enterprise] = {"manager": "some-id"}
        at.directory.change_user(at.ben, {"jobTitle": "Bosun"})
        await at.cycle()
        assert code(at, at.ben) == "SystemForCrossDomainIdentityManagementServiceIncompatible"


async def test_a_member_whose_creation_failed_waits_and_joins_later() -> None:
    """§17: groups appear empty until the second cycle; S55: a reference failure is retried."""
    async with provisioning_company() as at:
        at.target.respond = refuse(500, "POST", "/Users")
        at.directory.add_member(at.crew, at.dan)
        await at.cycle()
        assert at.members() == {"ben", "cleo"}
        at.target.respond = lambda seen: None
        await at.cycle()
        assert at.members() == {"ben", "cleo", "dan"}


async def test_a_member_the_server_does_not_know_is_a_reference_failure() -> None:
    """S55: 404 on the group PATCH; retried."""
    async with provisioning_company() as at:
        at.directory.assign(at.dan)
        await at.cycle()
        del at.target.users[at.target_id(at.dan)]
        at.directory.add_member(at.crew, at.dan)
        await at.cycle()
        assert (at.crew, at.dan) in at.service.job.escrows
        assert code(at, at.crew) == "InvalidAnchor"
        assert (await at.service.run_cycle()).state == "EntryLevelErrors"


# --- the whole job ---


async def test_a_refused_token_stops_everything_and_loses_nothing() -> None:
    """S03: on a running job 401 -> quarantine; the watermark has not moved."""
    async with provisioning_company() as at:
        at.service.configure(token="revoked")
        at.directory.unassign(at.ann)
        report = await at.service.run_cycle()
        assert (report.state, report.code) == ("Failed", "Unauthorized")
        assert quarantine(at) == "EncounteredQuarantineException"
        at.service.configure(token=TOKEN)
        await at.cycle()
        assert quarantine(at) is None
        assert "ann" not in at.active()


async def test_a_token_that_dies_in_mid_cycle_leaves_the_rest_for_later() -> None:
    """§11: 401 throughout -> quarantine; what was linked stays linked."""
    async with provisioning_company(first_cycle=False, parallelism=1) as at:
        posts: list[Seen] = []

        def respond(seen: Seen) -> web.Response | None:
            if seen.method == "POST":
                posts.append(seen)
            return scim_error(401, "expired") if len(posts) > 1 else None

        at.target.respond = respond
        await at.cycle()
        assert len(at.service.job.links) == 1
        at.target.respond = lambda seen: None
        await at.cycle()
        assert at.active() == {"ann", "ben", "cleo"}
        assert len(at.target.users) == 3


async def test_forbidden_throughout_is_a_quarantine_too() -> None:
    """§11: 401/403 on test or throughout -> quarantine."""
    async with provisioning_company() as at:
        at.service.configure(settings=replace(at.service.job.settings, ping=False))
        at.target.respond = lambda seen: scim_error(403, "this token was revoked")
        at.directory.unassign(at.ann)
        at.directory.assign(at.dan)
        await at.cycle()
        assert code(at, at.dan) == "InsufficientRights"
        assert quarantine(at) == "EncounteredQuarantineException"


async def test_a_404_for_a_query_is_a_compliance_fault() -> None:
    """QUAR: 404 on a filter query: "SCIM compliance" -> quarantine."""
    async with provisioning_company(first_cycle=False) as at:
        at.service.configure(at.target.url + "/wrong", TOKEN)
        report = await at.service.run_cycle()
        assert report.code == "SystemForCrossDomainIdentityManagementServiceIncompatible"
        assert "HTTP/404" in (report.message or "")
        assert quarantine(at) == "EncounteredQuarantineException"


async def test_an_unreachable_server_is_a_failed_cycle_without_a_traceback() -> None:
    """§11: connection errors; the job shows why and is tried again."""
    async with provisioning_company(first_cycle=False) as at:
        at.service.configure("http://127.0.0.1:9/scim", TOKEN)
        report = await at.service.run_cycle()
        assert report.state == "Failed"
        assert report.code == "SystemForCrossDomainIdentityManagementCredentialValidationUnavailable"
        status = at.service.job_representation()["status"]
        assert (status["code"], status["countSuccessiveCompleteFailures"]) == ("Quarantine", 1)
        assert status["quarantine"]["error"]["code"] == report.code


async def test_a_server_that_does_not_answer_in_time_fails_the_object() -> None:
    """§3: the log code is `Timeout`, the object is retried next cycle."""
    async with provisioning_company() as at:
        at.service.configure(at.target.url, TOKEN, timeout_s=1e-6)
        at.service.configure(settings=replace(at.service.job.settings, ping=False))
        at.directory.assign(at.dan)
        await at.cycle()
        assert code(at, at.dan) == "Timeout"


async def test_too_many_failures_are_a_quarantine() -> None:
    """QUAR: more than 40 % of events."""
    async with provisioning_company(thresholds=Thresholds(evaluated_from=3)) as at:
        at.target.respond = refuse(500, "POST", "/Users")
        for number in range(4):
            at.directory.assign(person(at.directory, f"p{number}"))
        await at.cycle()
        assert quarantine(at) == "EncounteredEscrowProportionThreshold"
        at.target.respond = lambda seen: None
        await at.cycle()
        assert quarantine(at) is None


async def test_too_many_removals_are_staged_until_somebody_allows_them() -> None:
    """ACCDEL: StagedDelete entries and quarantine TooManyDeletes; a restart with ForceDeletes acts."""
    async with provisioning_company(accidental_deletion_threshold=1) as at:
        at.directory.unassign(at.crew)
        at.directory.change_user(at.ann, {"jobTitle": "Bosun"})
        assert [path for _, path, _ in await at.writes()] == ["/Users/ann"]
        assert at.active() == {"ann", "ben", "cleo"}
        assert {entry["sourceIdentity"]["id"] for entry in at.log(action="stagedDelete")} == {
            at.ben,
            at.cleo,
            at.crew,
        }
        assert quarantine(at) == "TooManyDeletes"
        await at.cycle()
        assert quarantine(at) == "TooManyDeletes"
        await at.service.restart(force_deletes=True)
        await at.cycle()
        assert at.active() == {"ann"}
        assert at.target.groups == {}
        assert quarantine(at) is None
        newcomers = [person(at.directory, name) for name in ("p1", "p2")]
        for newcomer in newcomers:
            at.directory.assign(newcomer)
        await at.cycle()
        at.directory.unassign(at.ann)
        at.directory.soft_delete_user(newcomers[0])
        await at.cycle()
        assert quarantine(at) == "TooManyDeletes", "the permission was for once"


async def test_removals_up_to_the_threshold_go_through() -> None:
    """ACCDEL: exceeding it, not meeting it."""
    async with provisioning_company(accidental_deletion_threshold=1) as at:
        at.directory.unassign(at.ann)
        await at.cycle()
        assert at.active() == {"ben", "cleo"}
        assert quarantine(at) is None


async def test_a_repaired_scope_lets_staged_people_stay() -> None:
    """ACCDEL: or the admin repairs the scope and restarts."""
    async with provisioning_company(accidental_deletion_threshold=1) as at:
        at.directory.unassign(at.crew)
        await at.cycle()
        at.directory.assign(at.crew)
        await at.service.restart()
        assert await at.writes() == []
        assert at.active() == {"ann", "ben", "cleo"}
        assert quarantine(at) is None


# --- the connection test ---


async def test_the_connection_test_probes_users_and_groups() -> None:
    """S01, S02: a random GUID on the matching attribute; 200 and an empty list pass."""
    async with provisioning_company(first_cycle=False) as at:
        await at.service.test_connection()
        [users, groups] = at.target.seen
        assert users.path == "/Users"
        assert users.raw_query.startswith("filter=userName+eq+%22")
        assert groups.path == "/Groups"
        assert groups.raw_query.startswith("excludedAttributes=members&filter=displayName+eq+%22")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "Unauthorized"),
        (403, "SystemForCrossDomainIdentityManagementCredentialValidationFailure"),
        (404, "SystemForCrossDomainIdentityManagementServiceIncompatible"),
        (503, "SystemForCrossDomainIdentityManagementCredentialValidationUnavailable"),
    ],
)
async def test_the_connection_test_fails_with_what_an_admin_sees(status: int, expected: str) -> None:
    """§5, S03: bad token, revoked token, a server without /Groups, a server in trouble."""
    async with provisioning_company(first_cycle=False) as at:
        at.target.respond = refuse(status, "GET", "/Groups")
        with pytest.raises(JobStopped) as caught:
            await at.service.test_connection()
        assert caught.value.code == expected


async def test_the_connection_test_fails_if_a_random_guid_finds_somebody() -> None:
    """§5: 200 and an *empty* list; a server that ignores the filter does not pass."""
    async with provisioning_company(first_cycle=False) as at:
        found = {"totalResults": 1, "Resources": [{"id": "x"}]}
        at.target.respond = lambda seen: web.json_response(found)
        with pytest.raises(JobStopped, match="random"):
            await at.service.test_connection()


# --- client credentials ---


@pytest.mark.parametrize("location", ["header", "body"])
async def test_client_credentials_fetch_a_token_once(location: str) -> None:
    """S05, S06: Basic header as observed of Entra, or the body form; the token is used until it ends."""
    asked: list[web.Request] = []
    forms: list[dict[str, str]] = []

    async def token(request: web.Request) -> web.Response:
        asked.append(request)
        forms.append({name: str(value) for name, value in (await request.post()).items()})
        return web.json_response({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})

    async with (
        running_target() as target,
        _token_server(token) as url,
        provisioning_company(first_cycle=False) as at,
    ):
        at.service.configure(target.url, credentials=_credentials(url, location))
        await at.service.run_cycle()
        assert len(target.users) == 3
        assert len(asked) == 1
        basic = "Basic Y2xpZW50LTAxOnMzY3JldA=="
        assert (asked[0].headers.get("Authorization") == basic) is (location == "header")
        grant = {"grant_type": "client_credentials"}
        secret = {"client_id": "client-01", "client_secret": "s3cret"}
        assert forms == [grant if location == "header" else grant | secret]


async def test_refused_client_credentials_fail_the_connection_test() -> None:
    """§2: a server that takes no Basic header fails Test Connection, CredentialValidationUnavailable."""

    async def token(_: web.Request) -> web.Response:
        return web.json_response({"error": "invalid_client"}, status=401)

    async with _token_server(token) as url, provisioning_company(first_cycle=False) as at:
        at.service.configure(at.target.url, credentials=_credentials(url, "header"))
        with pytest.raises(JobStopped) as caught:
            await at.service.test_connection()
        assert caught.value.code.endswith("CredentialValidationUnavailable")


def _credentials(url: str, location: str) -> ClientCredentials:
    return ClientCredentials(url, "client-01", "s3cret", "header" if location == "header" else "body")


@asynccontextmanager
async def _token_server(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/oauth/token", handler)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/oauth/token"))
    finally:
        await server.close()
