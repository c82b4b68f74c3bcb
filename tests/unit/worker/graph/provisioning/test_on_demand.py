"""Asking Entra: the pace Graph allows, and answers that come as JSON inside of strings, however they are spelled."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from store.records import LogStatus
from worker.graph.provisioning import models as wire
from worker.graph.provisioning.on_demand import CALLS, WINDOW_S, CallPace
from worker.on_demand import entra_report as words
from worker.on_demand.report import EntraResult

JOB = wire.ProvisioningJob("scim.1", "scim", wire.Schedule("Active"), wire.JobStatus("Active"))


def answer(result: str, code: str | None = None, message: str | None = None, **told: object) -> bytes:
    key = {"result": result, "details": {"errorCode": code, "errorMessage": message} if code else None}
    return json.dumps({"key": json.dumps(key), "value": json.dumps({"action": "Other", **told})}).encode()


async def test_five_calls_in_ten_seconds_and_no_more() -> None:
    """graph-api: "provisionOnDemand | 5 requests per 10 s"; everybody else waits for the window."""
    now = [100.0]
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = CallPace(lambda: now[0], sleep)
    for _ in range(17):
        await pace.turn()
        made.append(now[0])
    assert made[:CALLS] == [100.0] * CALLS
    for first, sixth in zip(made, made[CALLS:], strict=False):
        assert sixth - first >= WINDOW_S


async def test_a_pause_gives_the_calls_back() -> None:
    """Who asks seldom never waits."""
    now, slept = [0.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pace = CallPace(lambda: now[0], sleep)
    for _ in range(12):
        await pace.turn()
        now[0] += 3
    assert slept == []


@pytest.mark.parametrize("spelling", ["Failure", "Failed", "failure"])
def test_a_failure_is_one_however_it_is_spelled(spelling: str) -> None:
    """graph-api: "`Failure`/`Failed` ([U] spelling)"."""
    heard = words.report_answer(JOB, wire.decode_on_demand(answer(spelling, "Timeout", "No answer in time.")))
    assert heard.result is EntraResult.FAILED
    assert "Timeout: No answer in time." in heard.detail
    assert heard.remedy


def test_a_word_nobody_knows_is_no_success() -> None:
    """What is not understood is not reported as done."""
    assert words.report_answer(JOB, wire.decode_on_demand(answer("Perhaps"))).result is EntraResult.FAILED


def test_entras_own_advice_is_passed_on() -> None:
    """`statusInfo.recommendedAction` is there for the admin."""
    told = answer(
        "Failure", statusInfo={"errorCode": "Odd", "reason": "Odd.", "recommendedAction": "Turn it."}
    )
    assert words.report_answer(JOB, wire.decode_on_demand(told)).remedy == "Turn it."


def test_steps_are_named_as_the_portal_names_them_and_hide_secrets() -> None:
    """Steps: import, scoping, matching, export; "safe of secrets"."""
    step = {
        "name": "EntryImport",
        "type": "Import",
        "status": "Success",
        "description": "Retrieved",
        "details": {"userName": "ada", "passwordProfile": {"password": "hush"}},
    }
    heard = words.report_answer(JOB, wire.decode_on_demand(answer("Success", provisioningSteps=[step])))
    assert [each.name for each in heard.steps] == ["job", "import"]
    assert "hush" not in str(heard.steps)
    assert heard.steps[1].data["userName"] == "ada"


@pytest.mark.parametrize(
    "body", [b"{}", b'{"key": "no JSON", "value": "{}"}', b'{"key": {"result": "x"}, "value": "{}"}']
)
def test_an_answer_that_is_none_is_refused(body: bytes) -> None:
    """A 200 proves nothing: success is said inside the strings."""
    with pytest.raises(msgspec.DecodeError):
        wire.decode_on_demand(body)


def test_a_quarantine_says_since_when_why_and_what_ends_it() -> None:
    """graph-api: the job's status carries the quarantine with reason and error."""
    error = wire.JobError(
        "SystemForCrossDomainIdentityManagementCredentialValidationUnavailable", "Not validated."
    )
    quarantine = wire.Quarantine(
        "EncounteredQuarantineException", datetime(2026, 5, 10, 22, 1, tzinfo=UTC), error
    )
    job = wire.ProvisioningJob(
        "scim.1", "scim", wire.Schedule("Active"), wire.JobStatus("Quarantine", quarantine)
    )
    step = words.job_step(job)
    assert step.status is LogStatus.WARNING
    assert "since 2026-05-10 22:01 UTC" in step.detail
    assert "EncounteredQuarantineException" in step.detail
    remedy = words.quarantine_remedy(job)
    assert remedy is not None
    assert "Restart provisioning" in remedy


def test_the_rule_is_read_from_the_schema_by_type_of_object() -> None:
    """graph-api: "`ruleId` for users vs groups: take from schema"; a rule that is switched off is known as such."""
    mapping = wire.ObjectMapping
    schema = wire.Schema(
        [
            wire.Rule("users", [mapping("User", True)]),
            wire.Rule("groups#V2", [mapping("Group", False)]),
        ]
    )
    assert schema.rule_for("User") == ("users", True)
    assert schema.rule_for("Group") == ("groups#V2", False)
    assert schema.rule_for("Contact") is None


def test_a_group_of_many_calls_is_told_in_one_word_and_every_call() -> None:
    """One failing call is a failure of the whole, with the calls that worked still shown."""
    good, bad = (
        wire.decode_on_demand(answer("Success")),
        wire.decode_on_demand(answer("Failure", "Unauthorized")),
    )
    heard = words.report_member_answers(JOB, [(5, good), (5, bad), (2, good)], left=30)
    assert heard.result is EntraResult.FAILED
    assert [step.name for step in heard.steps] == ["job", "call 1", "call 2", "call 3"]
    assert "12 members in 3 calls; 1 failed" in heard.detail
    assert "30 more members were left" in heard.detail
