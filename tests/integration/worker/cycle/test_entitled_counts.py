"""An increment counts the entitled people as a full cycle would, in every mode, over random lives."""

from __future__ import annotations

import random

import pytest

from store.records import CycleKind, CycleStatus, Mode
from tests.builders.simulated_connection import Pull
from tests.simulation.entra_life import Life
from worker.cycle.run import CycleRequest

WITNESS = CycleRequest(is_full=True, is_dry_run=True)
"""Reads everything and leaves the checkpoint as it is."""


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("seed", range(3))
async def test_an_increment_counts_what_a_full_cycle_counts(pull: Pull, mode: Mode, seed: int) -> None:
    dice = random.Random(seed)
    life = Life(pull.directory, dice)
    await pull.set_policy(mode=mode)
    await pull.cycle()
    told, increments = [], 0
    for _ in range(6):
        told += [life.happen() for _ in range(dice.randint(0, 4))]
        increment = await pull.increment()
        increments += increment.kind is CycleKind.INCREMENTAL
        assert increment.counts == (await pull.cycle(WITNESS)).counts, told
    assert increments > 1


async def test_counts_in_report_mode_stay_the_same_while_a_leaver_is_still_open_here(pull: Pull) -> None:
    """Row by row of the trial: 56, 51, 46 … 0 were counted where 51 was the truth."""
    await pull.cycle()
    leavers = sorted(pull.directory.entitled())[:4]
    await pull.set_policy(mode=Mode.REPORT)
    before = (await pull.cycle()).counts["users"]
    for leaver in leavers:
        pull.lose(leaver, "disabled")
    for number in range(3):
        pull.directory.change_user(leavers[0], {"jobTitle": f"Leaver {number}"})
        report = await pull.increment()
        assert (report.kind, report.counts["users"]) == (CycleKind.INCREMENTAL, before - 4)


async def test_people_of_a_group_that_is_not_here_lose_it_in_report_mode_too(pull: Pull) -> None:
    """Nothing here names the members of a group that was never made here: everything is read."""
    directory = pull.directory
    people = [
        directory.create_user({"userPrincipalName": f"new{n}@fabrikam-demo.example"}).id for n in (1, 2)
    ]
    group = directory.create_group({"displayName": "Late", "securityEnabled": True}).id
    await pull.set_policy(mode=Mode.REPORT)
    await pull.cycle()
    for person in people:
        directory.add_member(group, person)
    directory.assign(group)
    assert (await pull.increment()).status is CycleStatus.REPORTED
    directory.unassign(group)
    increment = await pull.increment()
    assert increment.counts == (await pull.cycle(WITNESS)).counts
