"""Entries of cycles in the provisioning log: the same five steps as on demand, and a link to the finding."""

from __future__ import annotations

from typing import Any

from console.admin.actor import Actor, ActorKind
from console.admin.reports import provisioning_log
from console.admin.services import Services
from console.documents.logs import log_entry
from store.records import LogEntry
from tests.builders.simulated_connection import Pull

FIVE = ["find", "scope", "match", "evaluate", "perform"]


async def _log(pull: Pull, cycle_id: str) -> tuple[LogEntry, ...]:
    services = Services(pull.services.settings, pull.db)
    query = provisioning_log.LogQuery(correlation=cycle_id, limit=1000)
    actor = Actor(ActorKind.CLI, "ada")
    return (await provisioning_log.log(services, actor, pull.connection.id, query)).entries


async def test_every_entry_of_a_cycle_has_the_five_steps(pull: Pull) -> None:
    """Issue 9: "Pull entries of the log have the same five steps as on demand, and a link to the finding"."""
    report = await pull.cycle()
    entries = await _log(pull, report.cycle_id)
    assert {entry.action.value for entry in entries} >= {"create", "add_member"}
    for entry in entries:
        assert [step.name for step in entry.steps] == FIVE
        document = log_entry(entry)
        assert document["cycle_id"] == report.cycle_id


async def test_the_entry_of_a_leaver_says_why_and_names_the_finding(pull: Pull) -> None:
    await pull.cycle()
    person = sorted(pull.directory.entitled())[0]
    pull.lose(person, "disabled")
    report = await pull.increment()
    [entry] = [each for each in await _log(pull, report.cycle_id) if each.action.value == "disable"]
    document: Any = log_entry(entry)
    steps = {step["name"]: step for step in document["steps"]}
    assert steps["find"]["data"]["object_id"] == person
    assert steps["find"]["data"]["graph"]["account_enabled"] is False
    assert steps["scope"]["detail"] == "Not entitled: the account is disabled in Entra."
    assert "missed deprovision" in steps["evaluate"]["detail"]
    assert steps["perform"]["status"] == "success"
    assert document["finding"] == {
        "cycle_id": report.cycle_id,
        "kind": "missed_deprovision",
        "subject_id": person,
    }


async def test_an_entry_on_demand_keeps_its_own_steps_and_has_the_fifth(pull: Pull) -> None:
    """What was read then stays as it was written; the finding is that of the run."""
    await pull.cycle()
    person = sorted(pull.directory.entitled())[0]
    pull.lose(person, "disabled")
    report = await pull.provision(person, actor="cli:ada")
    [entry] = [each for each in await _log(pull, report.cycle_id) if each.action.value == "disable"]
    assert [step.name for step in entry.steps] == FIVE
    assert entry.steps[0].detail == report.steps[0].detail
    assert entry.finding is not None
    assert entry.finding.subject_id == person
