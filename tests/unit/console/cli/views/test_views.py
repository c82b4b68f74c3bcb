"""What results look like, and which exit status they mean; no database, no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from console import errors
from console.admin.checks.check import Check, CheckStatus
from console.admin.reports.provisioning_log import LogList
from console.cli.output import plain
from console.cli.views import checks, cycles, log, provisioning
from console.documents.api_tokens import token_state
from console.documents.values import iso, utc_text
from console.rendering.reports import entra_says
from store.records import (
    Action,
    ApiToken,
    ConnectionId,
    DriftKind,
    LogEntry,
    LogStatus,
    Origin,
    Step,
    SubjectType,
    TenantId,
    TokenId,
)
from worker.cycle.report import CycleReport
from worker.on_demand.report import OnDemandReport

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def _report(**changes: Any) -> CycleReport:
    body = {
        "cycle_id": "c1",
        "kind": "full",
        "status": "applied",
        "complete": True,
        "counts": {"users": 1200, "groups": 12, "memberships": 4000},
        "drift": {},
        "applied": {},
        "skipped": 0,
        "failed": 0,
        "held_plan": None,
        "reasons": [],
        "duration_s": 1.5,
        "error": None,
        "remedy": None,
        **changes,
    }
    return CycleReport.from_json(body)


HELD = {"id": "p1", "checksum": "4f1d09c2a7b3" + "0" * 52, "reason": "18 of 120 users would be disabled"}


@pytest.mark.parametrize(
    ("changes", "remaining", "status"),
    [
        pytest.param({}, 0, errors.DONE, id="nothing-left"),
        pytest.param({"drift": {"local_account": 1}}, 1, errors.ATTENTION, id="drift-remains"),
        pytest.param({"status": "reported"}, 3, errors.ATTENTION, id="reported"),
        pytest.param({"status": "held", "held_plan": HELD}, 0, errors.ATTENTION, id="held"),
        pytest.param({"status": "incomplete"}, 0, errors.FAILED, id="incomplete"),
        pytest.param({"status": "failed"}, 0, errors.FAILED, id="failed"),
        pytest.param({"status": "yielded"}, 0, errors.FAILED, id="gave-way"),
    ],
)
def test_the_exit_status_of_a_cycle(changes: Mapping[str, Any], remaining: int, status: int) -> None:
    """design.md §6: "0 done, 1 failed, 2 wrong use, 3 done but drift remains or a plan is held"."""
    assert cycles.exit_code(_report(**changes, findings={"open": remaining})) == status


def test_a_cycle_without_drift_says_so_in_words() -> None:
    """A person who looks at a table with nothing in it does not know whether all is well."""
    page = plain(cycles.synced(_report()).text())
    assert "No drift" in page
    assert "1,200 users" in page


def test_a_held_plan_comes_with_the_commands_that_decide_it() -> None:
    """field.md, UX notes: "state word + since when + next action"."""
    page = plain(cycles.synced(_report(status="held", held_plan=HELD)).text())
    assert "18 of 120 users would be disabled" in page
    assert "leaver plan show" in page
    assert "leaver plan approve 4f1d09c2a7b3" in page


def test_why_something_was_not_removed_is_said() -> None:
    """design.md §7, I2: "unless held by the guard: and then somebody is told"."""
    page = plain(cycles.synced(_report(reasons=["The list of users broke off."])).text())
    assert "The list of users broke off." in page


@pytest.mark.parametrize(
    ("error", "remedy", "line"),
    [
        ("No token.", "Set a secret.", "the cycle failed: No token. Set a secret."),
        ("No token. Set a secret.", "Set a secret.", "the cycle failed: No token. Set a secret."),
        (
            "Two\nlines",
            None,
            "the cycle failed: Two lines The next cycle tries again; `leaver doctor` looks closer.",
        ),
    ],
)
def test_a_failed_cycle_is_one_line_with_its_remedy_once(error: str, remedy: str | None, line: str) -> None:
    """issue 2, Bad input: "one line that says what, why and what to do"."""
    assert cycles.failure(_report(status="failed", error=error, remedy=remedy)) == line


def test_five_steps_are_shown_with_what_was_read_and_in_the_order_given() -> None:
    """issue 2: "five explained steps (find in Entra, scope, match, evaluate, perform)"."""
    steps = [
        {
            "name": name,
            "status": "success",
            "detail": f"detail of {name}",
            "data": {"id": "42", "raw": {"a": 1}},
        }
        for name in ("find", "scope", "match", "evaluate", "perform")
    ]
    report = _provisioned("ada", "disabled", steps=steps)
    page = plain(provisioning.provisioned(report).text())
    places = [page.index(f"detail of {step['name']}") for step in steps]
    assert places == sorted(places)
    assert "42" in page


def _provisioned(subject: str, result: str, **more: Any) -> OnDemandReport:
    names = ("find", "scope", "match", "evaluate", "perform")
    steps = [
        {"name": name, "status": "success", "detail": f"{name} of {subject}", "data": {}} for name in names
    ]
    body = {"subject": subject, "result": result, "steps": steps, "cycle_id": "c1", **more}
    return OnDemandReport.from_json(body)


def test_a_list_is_told_in_numbers_and_every_failure() -> None:
    """Lists: a summary with numbers, each failure with its reason; `--json` has `results` and `counts`."""
    done = [_provisioned(f"p{number}", "created") for number in range(7)]
    done.append(_provisioned("ghost", "failed", error="Nobody goes by that."))
    view = provisioning.listed(done, repeated=2)
    page = plain(view.text())
    assert "8 subjects (2 named more than once): 7 created, 1 failed." in page
    assert "ghost: Nobody goes by that." in page
    document: Any = view.document
    assert document["counts"] == {
        "subjects": 8,
        "created": 7,
        "failed": 1,
        **dict.fromkeys(("updated", "disabled", "enabled", "unchanged", "skipped"), 0),
    }
    assert [result["subject"] for result in document["results"]] == [report.subject for report in done]


def test_of_a_short_list_every_subject_has_its_steps() -> None:
    """Per subject the five steps."""
    page = plain(provisioning.listed([_provisioned("ada", "created"), _provisioned("bo", "updated")]).text())
    assert all(f"{name} of bo" in page for name in ("find", "scope", "match", "evaluate", "perform"))


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([("a", "created", {}), ("b", "unchanged", {})], 0),
        ([("a", "skipped", {"would": "created"})], 0),
        ([("a", "created", {}), ("b", "skipped", {})], 3),
        ([("a", "skipped", {}), ("b", "failed", {})], 1),
        (
            [
                (
                    "a",
                    "created",
                    {"entra": {"result": "failed", "detail": "No.", "remedy": "Do.", "steps": []}},
                )
            ],
            1,
        ),
        ([("a", "created", {"entra": {"result": "skipped", "detail": "Fine.", "steps": []}})], 0),
    ],
)
def test_the_exit_status_tells_what_is_left(
    results: list[tuple[str, str, dict[str, Any]]], status: int
) -> None:
    """design.md §6: "0 done, 1 failed, 2 wrong use, 3 done but drift remains"."""
    assert provisioning.exit_code([_provisioned(s, r, **more) for s, r, more in results]) == status


def test_something_kept_beside_what_was_done_is_drift_that_remains() -> None:
    """A group of whom one member stays although they should go: done, and not all."""
    done = _provisioned("crew", "updated")
    kept = structs.replace(done.steps[3], status=LogStatus.WARNING)
    assert provisioning.exit_code([replace(done, steps=(*done.steps[:3], kept, done.steps[4]))]) == 3


def _token(**changes: Any) -> ApiToken:
    values: dict[str, Any] = {
        "id": TokenId("t"),
        "tenant_id": TenantId("x"),
        "connection_id": ConnectionId("c"),
        "name": "entra",
        "prefix": "leaver_abc",
        "permissions": ("admin:user:*",),
        "created_at": NOW,
        "expires_at": None,
        **changes,
    }
    return ApiToken(**values)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "active"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW + timedelta(seconds=1)}, "active"),
        ({"suspended_at": NOW}, "suspended"),
        ({"suspended_at": NOW, "expires_at": NOW, "revoked_at": NOW}, "revoked"),
    ],
)
def test_a_token_is_what_the_strongest_fact_makes_it(changes: Mapping[str, Any], state: str) -> None:
    """Revoked is for good, whatever else is true of the token."""
    assert token_state(_token(**changes), NOW) == state


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"readable": False, "detail": "403"}, "no usable answer: 403"),
        ({"soft_deleted_at": "2026-11-01T00:00:00Z"}, "in the recycle bin"),
        ({"user_found": False}, "does not exist"),
        ({"account_enabled": False}, "account disabled"),
        ({"assigned_directly": False, "assigned_by_group": False}, "not assigned"),
        ({"assigned_directly": False, "assigned_by_group": True}, "entitled"),
    ],
)
def test_evidence_is_read_out_in_a_few_words(answer: Mapping[str, Any], words: str) -> None:
    """design.md §5, rule 2: the answer of Entra about this one person "is kept as evidence"."""
    whole = {
        "readable": True,
        "detail": "",
        "soft_deleted_at": None,
        "user_found": True,
        "account_enabled": True,
        "assigned_directly": True,
        "assigned_by_group": False,
    }
    assert entra_says({"graph": {**whole, **answer}}) == words


def test_a_search_that_found_no_one_is_not_told_as_an_absence() -> None:
    """identity.md, W9: absence is proven about an object id only."""
    evidence = {"graph": {"readable": True, "soft_deleted_at": None, "user_found": False}}
    assert entra_says(evidence, DriftKind.UNMATCHED_ACCOUNT) == "no one was found"
    assert entra_says(evidence, DriftKind.MISSED_DEPROVISION) == "does not exist"


def test_doctor_tells_what_failed_from_what_waits_and_shows_every_remedy() -> None:
    """design.md §6: `doctor`: "each with its remedy"."""
    warned = [
        Check("A", "one", CheckStatus.OK, "well"),
        Check("A", "two", CheckStatus.WARNING, "soon", "Renew it"),
    ]
    failed = [*warned, Check("B", "three", CheckStatus.FAILED, "gone", "Bring it back")]
    assert checks.exit_code(warned[:1]) == errors.DONE
    assert checks.exit_code(warned) == errors.ATTENTION
    assert checks.exit_code(failed) == errors.FAILED
    page = plain(checks.shown(failed).text())
    assert "Renew it" in page
    assert "Bring it back" in page
    assert page.index("A\n") < page.index("B\n")


def test_times_are_utc_for_people_and_for_programs() -> None:
    """Two people in two countries must read the same moment."""
    moment = NOW.astimezone()
    assert utc_text(moment) == "2026-11-22 08:00:00Z"
    assert iso(moment) == "2026-11-22T08:00:00Z"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (errors.CommandError("what", "why", "do this"), "what: why. do this."),
        (KeyError("x"), "unexpected KeyError"),
        (ValueError("two\nlines"), "two lines"),
    ],
)
def test_every_error_becomes_one_line(error: Exception, says: str) -> None:
    """Ours are written for people; anything else is a defect, and says so without a traceback."""
    line = errors.explain(error)
    assert says in line
    assert "\n" not in line


def test_a_cycle_says_why_it_read_everything() -> None:
    """Issue 3: whatever is doubtful is decided by a full cycle, and a person can see the reason."""
    page = plain(cycles.synced(_report(why_full="The delta links are older than 6 days.")).text())
    assert "Read in full" in page
    assert "older than 6 days" in page
    assert "Read in full" not in plain(cycles.synced(_report(kind="incremental")).text())


def test_drift_that_increments_missed_is_pointed_out() -> None:
    """Issue 3: a rotating full cycle proves the increments right, and reports it when they were not."""
    page = plain(cycles.synced(_report(drift={"missed_deprovision": 2}, increments_missed=2)).text())
    assert "2 of it the incremental cycles before had missed" in page
    assert "missed:" not in plain(cycles.synced(_report(increments_missed=0)).text())


def test_the_log_tells_which_step_failed_not_which_came_last() -> None:
    """An on-demand request that fails early ends with steps that were not reached."""
    steps = (
        Step("find", LogStatus.FAILURE, "Nobody goes by that."),
        Step("perform", LogStatus.SKIPPED, "Not reached."),
    )
    entry = LogEntry(
        id=1,
        at=NOW,
        tenant_id=TenantId("t"),
        connection_id=ConnectionId("c"),
        action=Action.OTHER,
        status=LogStatus.FAILURE,
        subject_type=SubjectType.USER,
        subject_id=None,
        subject_label="ada",
        origin=Origin.GRAPH,
        actor=None,
        steps=steps,
        modified=(),
        correlation_id="x",
    )
    page = plain(log.listed(LogList((entry,), None)).text())
    assert "Nobody goes by" in page
    assert "Not reached." not in page


def test_an_empty_log_says_whether_a_filter_made_it_so() -> None:
    """Empty states say what to do next: the first cycle is awaited, or an option left out."""
    empty = LogList((), None)
    assert "40 minutes" in plain(log.listed(empty).text())
    assert "Leave out an option" in plain(log.listed(empty, is_filtered=True).text())
