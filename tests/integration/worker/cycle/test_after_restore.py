"""The first cycle after a restore: the database is older than what was done since."""

from __future__ import annotations

from sqlalchemy import update

from store import tables
from store.records import CycleStatus
from tests.builders.simulated_connection import Pull


async def _restore(pull: Pull) -> None:
    """What `leaver db restore` notes on every connection."""
    now = pull.services.clock()
    await pull.db.write(lambda conn: conn.execute(update(tables.connections).values(restored_at=now)))


async def test_the_first_cycle_after_a_restore_holds_every_removal(pull: Pull) -> None:
    """docs/upgrade.md: a backup knows nothing of what a person decided since; additions go on."""
    await pull.cycle()
    leaver = sorted(pull.directory.entitled())[0]
    pull.lose(leaver, "disabled")
    await _restore(pull)

    report = await pull.increment()

    assert report.status is CycleStatus.HELD
    assert report.why_full is not None
    assert any("restored from a backup" in reason for reason in report.reasons)
    assert leaver in await pull.active()


async def test_the_hold_of_a_restore_does_not_last(pull: Pull) -> None:
    """A cycle that held nothing is the baseline again: whoever leaves later is out at once."""
    await pull.cycle()
    await _restore(pull)
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    leaver = sorted(pull.directory.entitled())[0]
    pull.lose(leaver, "disabled")

    assert (await pull.increment()).status is CycleStatus.APPLIED
    assert leaver not in await pull.active()
