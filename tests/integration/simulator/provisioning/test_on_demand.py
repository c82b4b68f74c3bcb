"""Provision on demand: what it does, what it cannot do, and the JSON inside texts that Graph answers."""

import json
from typing import Any

import pytest

from simulator.provisioning import Dialect, NotPossible
from simulator.provisioning.representation import rule_ids
from tests.builders.simulator.provisioning_company import ProvisioningCompany, person, provisioning_company
from tests.builders.simulator.provisioning_target import TOKEN


async def answered(
    at: ProvisioningCompany, object_id: str, *members: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Call it as Graph is called; give key and value, decoded."""
    kind = "Group" if object_id in at.directory.groups else "User"
    [rule] = [rule_id for rule_id, of in rule_ids(at.directory).items() if of == kind]
    subject: dict[str, Any] = {"objectId": object_id, "objectTypeName": kind}
    if members:
        subject["links"] = {"members": [{"objectId": m, "objectTypeName": "User"} for m in members]}
    answer = await at.service.answer_on_demand({"parameters": [{"ruleId": rule, "subjects": [subject]}]})
    return json.loads(answer["key"]), json.loads(answer["value"])


async def test_an_assigned_person_is_created_with_every_step_shown() -> None:
    """POD: connection test (only shown if it fails), import, scope, match, action."""
    async with provisioning_company(first_cycle=False) as at:
        key, value = await answered(at, at.ann)
        assert key == {"result": "Success", "details": None}
        assert value["action"] == "Create"
        steps = [(step["type"], step["status"]) for step in value["provisioningSteps"]]
        assert steps == [
            ("Import", "Success"),
            ("Scoping", "Success"),
            ("Matching", "Success"),
            ("Export", "Success"),
        ]
        assert value["sourceIdentity"] == {"id": at.ann, "type": "User"}
        assert value["targetIdentity"]["id"] == at.target_id(at.ann)
        assert {"displayName": "title", "oldValue": None, "newValue": "Rigger"} in value["modifiedProperties"]


async def test_a_person_who_is_as_it_should_be_is_skipped() -> None:
    """Graph's sample: Skipped, RedundantExport."""
    async with provisioning_company() as at:
        key, value = await answered(at, at.ann)
        assert key["result"] == "Skipped"
        assert key["details"]["errorCode"] == "RedundantExport"
        assert value["statusInfo"]["status"] == "Skipped"
        assert value["provisioningSteps"][-1]["details"] == {"SkipReason": "RedundantExport"}


async def test_it_always_writes_the_old_dialect() -> None:
    """COMPAT: the flag does not work with provision on demand."""
    async with provisioning_company(Dialect.RFC) as at:
        at.directory.change_user(at.ann, {"jobTitle": "Bosun", "accountEnabled": True, "department": "Deck"})
        at.target.seen.clear()
        await answered(at, at.ann)
        [seen] = at.target.sent("PATCH")
        assert [o["op"] for o in seen.body["Operations"]] == ["Replace", "Add"]
        assert all("path" in operation for operation in seen.body["Operations"])


async def test_it_disables_who_was_unassigned() -> None:
    """POD: can disable a user who was unassigned."""
    async with provisioning_company() as at:
        at.directory.unassign(at.ann)
        _, value = await answered(at, at.ann)
        assert value["action"] == "Disable"
        assert "ann" not in at.active()


@pytest.mark.parametrize("event", ["disabled", "soft deleted", "purged"])
async def test_it_cannot_act_on_who_is_disabled_or_deleted(event: str) -> None:
    """POD: cannot act on users disabled or deleted in Entra."""
    async with provisioning_company() as at:
        if event == "disabled":
            at.directory.change_user(at.ann, {"accountEnabled": False})
        elif event == "soft deleted":
            at.directory.soft_delete_user(at.ann)
        else:
            at.directory.purge_user(at.ann)
        key, _ = await answered(at, at.ann)
        assert key["result"] == "Skipped"
        assert "ann" in at.active()


async def test_it_skips_who_was_never_assigned() -> None:
    """POD: the scope step says so."""
    async with provisioning_company() as at:
        key, value = await answered(at, at.dan)
        assert key["details"]["errorCode"] == "NotEffectivelyEntitled"
        assert value["provisioningSteps"][0]["details"] == {"IsEffectivelyEntitledForProvisioning": "False"}
        assert at.dan not in at.service.job.links


async def test_a_group_takes_only_the_chosen_members() -> None:
    """POD: one group with at most five chosen members per request."""
    async with provisioning_company(first_cycle=False) as at:
        key, _ = await answered(at, at.crew, at.cleo, at.dan)
        assert key["result"] == "Success"
        assert at.members() == {"cleo"}
        key, value = await answered(at, at.crew, at.ben)
        assert (key["result"], value["action"]) == ("Success", "Update")
        assert at.members() == {"ben", "cleo"}


async def test_more_than_five_members_are_refused() -> None:
    """POD: up to five."""
    async with provisioning_company() as at:
        crowd = [person(at.directory, f"p{number}") for number in range(6)]
        with pytest.raises(NotPossible, match="at most 5"):
            await answered(at, at.crew, *crowd)


async def test_five_calls_in_ten_seconds_are_the_limit() -> None:
    """POD: Graph limit 5 requests per 10 s."""
    async with provisioning_company() as at:
        for _ in range(5):
            await at.service.provision_on_demand(at.ann)
        with pytest.raises(NotPossible) as caught:
            await at.service.provision_on_demand(at.ann)
        assert caught.value.status == 429
        at.directory.advance(10)
        await at.service.provision_on_demand(at.ann)


async def test_a_refused_token_shows_as_a_failure() -> None:
    """POD: hidden step 1 is the connection test, shown if it fails."""
    async with provisioning_company() as at:
        at.service.configure(token="wrong")
        key, value = await answered(at, at.ann)
        assert key["result"] == "Failure"
        assert key["details"]["errorCode"] == "Unauthorized"
        assert value["statusInfo"]["errorCode"] == "Unauthorized"
        assert at.log(status="failure")[0]["sourceIdentity"]["id"] == at.ann
        at.service.configure(token=TOKEN)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"parameters": []},
        {"parameters": [{"ruleId": "unknown", "subjects": [{"objectId": "x", "objectTypeName": "User"}]}]},
    ],
)
async def test_a_request_without_one_rule_and_one_subject_is_refused(body: dict[str, Any]) -> None:
    """The ruleId is read from the schema; one subject per request."""
    async with provisioning_company() as at:
        with pytest.raises(NotPossible, match="provisionOnDemand"):
            await at.service.answer_on_demand(body)
