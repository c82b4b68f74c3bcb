"""One cycle from the simulated Graph to the store, on both databases."""

from __future__ import annotations

from store.records import CycleKind, CycleStatus
from tests.integration.worker.conftest import Pull


def entitled(pull: Pull) -> set[str]:
    return set(pull.directory.entitled())


async def test_the_first_cycle_brings_in_who_is_entitled_and_nobody_else(pull: Pull) -> None:
    """design.md §5: assigned to the application, enabled, not deleted."""
    report = await pull.cycle()
    assert report.error is None
    assert (report.status, report.kind, report.complete) == (CycleStatus.APPLIED, CycleKind.INITIAL, True)
    assert await pull.active() == entitled(pull)
