"""Disasters that really happened to others, replayed against a whole installation: those of the push.

Numbers are those of docs/safety.md. What other servers got wrong is sent by hand, over HTTP, to a connection
of its own; what concerns Entra's side is sent by the simulated provisioning service.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.builders.installation import Answer, Installation, Json, ask, text_of

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True)
class Client:
    """A SCIM client with a connection of its own, which no cycle reads."""

    url: str
    token: str

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        return ask(method, f"{self.url}{path}", body, self.token)

    def create_user(self, name: str) -> str:
        body = {"schemas": [USER], "userName": f"{name}@fabrikam.com", "externalId": name, "active": True}
        return self._created("/Users", body)

    def create_group(self, name: str, members: Sequence[str] = ()) -> str:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": each} for each in members]}
        return self._created("/Groups", body)

    def patch(self, path: str, *operations: Json) -> Answer:
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def members(self, group: str) -> set[str]:
        shown = self.ask("GET", f"/Groups/{group}").body
        return {member["value"] for member in shown.get("members", [])}

    def _created(self, path: str, body: Json) -> str:
        answer = self.ask("POST", path, body)
        assert answer.status == 201, answer.body
        created: str = answer.body["id"]
        return created


@pytest.fixture(scope="session")
def client(running: Installation) -> Client:
    connection = running.leaver("connection", "create", "fabrikam", "--name", "push-only")
    token = running.leaver("token", "create", connection["id"], "--name", "client")["token"]
    return Client(running.scim_url, token)


REMOVALS = [
    pytest.param("Remove", id="Entra writes Remove"),
    pytest.param("remove", id="RFC 7644 writes remove"),
]


@pytest.mark.parametrize("op", REMOVALS)
def test_disaster_7_only_the_named_members_are_removed(client: Client, op: str) -> None:
    """`Remove members` with a value array emptied the whole group (azure-docs#30826): only the named members go."""
    people = [client.create_user(f"seven-{ord(op[0])}-{number}") for number in range(4)]
    group = client.create_group(f"Seven {ord(op[0])}", people)
    named = [{"value": person} for person in people[:2]]
    answer = client.patch(f"/Groups/{group}", {"op": op, "path": "members", "value": named})
    assert answer.status == 204
    assert client.members(group) == set(people[2:])


def test_disaster_8_three_hundred_parallel_additions_to_one_group_are_all_there(client: Client) -> None:
    """300 parallel one-member PATCHes on one group lost updates (Infisical, scimmy#79): all 300 are there."""
    group = client.create_group("Eight")

    def add(person: str) -> int:
        operation = {"op": "Add", "path": "members", "value": [{"value": person}]}
        return client.patch(f"/Groups/{group}", operation).status

    with ThreadPoolExecutor(50) as at_once:
        people = list(at_once.map(client.create_user, [f"eight-{number}" for number in range(300)]))
        assert set(at_once.map(add, people)) == {204}
    assert client.members(group) == set(people)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "Replace", "path": "active", "value": "False"}, id="by path"),
        pytest.param({"op": "replace", "value": {"active": "False"}}, id="without path"),
    ],
)
def test_disaster_9_active_as_text_disables(client: Client, operation: Json) -> None:
    """`active: "False"` was refused or stored as text (snipe-it#14597): here the person is disabled."""
    person = client.create_user(f"nine-{'path' in operation}")
    answer = client.patch(f"/Users/{person}", operation)
    assert (answer.status, answer.body["active"]) == (200, False)
    assert client.ask("GET", f"/Users/{person}").body["active"] is False


def test_disaster_9_entra_disables_somebody_with_a_text(company: Installation) -> None:
    """The same as Entra sends it, from the person's account in Entra to their access here."""
    name = sorted(company.entra.entitled())[0]
    person = company.entra.entitled()[name]
    company.entra.provisioning("arm", gap="string_booleans")
    company.entra.admin("PATCH", f"/users/{person['id']}", {"accountEnabled": False})
    company.entra.provisioning("cycle")
    assert name not in company.active()
    company.entra.admin("PATCH", f"/users/{person['id']}", {"accountEnabled": True})
    company.entra.provisioning("cycle")
    assert name in company.active()


def test_disaster_10_a_paused_connection_says_so(company: Installation) -> None:
    """A paused directory answered 200 `{}`, Entra believed all was well: 503 with Retry-After, counted and shown."""
    name = sorted(company.entra.entitled())[0]
    person = company.entra.entitled()[name]
    company.leaver("connection", "pause", company.connection, "--reason", "audit")
    try:
        refused = _first_answer_that_is(company, 503)
        assert "audit" in refused.body["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["Content-Type"].startswith("application/scim+json")
        assert _turned_away(company) > 0
        checks = company.leaver("doctor", company.connection, expect=(0, 1, 3))["checks"]
        assert ["audit" in check["detail"] for check in checks if check["name"] == "state"] == [True]

        written = company.leaver("log", company.connection, "--user", name)
        company.entra.admin("PATCH", f"/users/{person['id']}", {"displayName": "Renamed Meanwhile"})
        company.entra.provisioning("cycle")
        assert company.leaver("log", company.connection, "--user", name) == written, (
            "nothing is half-believed"
        )
    finally:
        company.leaver("connection", "resume", company.connection)
    _first_answer_that_is(company, 200)
    company.entra.provisioning("cycle")
    assert company.people()[name]["displayName"] == "Renamed Meanwhile", (
        "nothing is lost: Entra sends it again"
    )


def _first_answer_that_is(company: Installation, status: int) -> Answer:
    """What was looked up about a token is believed for a second."""
    while (answer := ask("GET", f"{company.scim_url}/Users?count=1", token=company.token)).status != status:
        assert answer.body["schemas"], "never an empty object"
        time.sleep(0.1)
    return answer


def _turned_away(company: Installation) -> float:
    """How many requests were answered 503, by /metrics."""
    lines = text_of(f"{company.operations_url}/metrics").splitlines()
    counted = [line for line in lines if line.startswith("leaver_http_requests_total") and '"503"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in counted)


@pytest.mark.parametrize("known", [True, False], ids=["somebody", "nobody"])
def test_disaster_11_a_filter_on_external_id_is_answered(client: Client, known: bool) -> None:
    """Since January 2026 Entra also filters on `externalId`; servers answered 4xx (authentik#25837): works."""
    if known:
        client.create_user("eleven")
    answer = client.ask("GET", "/Users?filter=" + quote(f'externalId eq "eleven{"" if known else "-not"}"'))
    assert answer.status == 200
    assert [user["userName"] for user in answer.body["Resources"]] == ["eleven@fabrikam.com"] * known


def test_disaster_11_entra_matches_people_by_external_id(company: Installation) -> None:
    """The same as Entra does it: matching by `externalId` finds everybody, and makes nobody twice."""
    before = company.people()
    company.entra.provisioning("stop")
    company.entra.provisioning("configure", settings={"matching": ["externalId"]})
    company.entra.provisioning("start")
    company.entra.provisioning("restart", full=True)
    try:
        report: Any = company.entra.provisioning("cycle")
        assert company.people().keys() == before.keys(), report
        assert company.active() == set(company.entra.entitled())
    finally:
        company.entra.provisioning("stop")
        company.entra.provisioning("configure", settings={"matching": ["userName"]})
        company.entra.provisioning("start")
