"""The database of the jobs is full, locked, damaged or away: one line that says so, and never a defect of Leaver."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store import write_check
from store.database import jobs_path
from store.records import ConnectionId
from tests.builders.small_disk import small_disk_at
from worker.errors import DatabaseAway, InstallationFault, WorkerError
from worker.jobs import dbos_queue
from worker.jobs.dbos_queue import DbosQueue
from worker.jobs.dbos_settings import DbosSettings
from worker.jobs.queue import Job, JobId, JobKind

REQUEST = Job(JobKind.ON_DEMAND, ConnectionId("contoso"), "slot", subjects=("ada",))


async def refusals(url: str) -> list[WorkerError]:
    """Submits and cancels a job a person waits for; gives both refusals."""
    engine = DbosQueue(DbosSettings(url))
    found = []
    for ask in (lambda: engine.submit(REQUEST), lambda: engine.cancel(JobId("job"))):
        with pytest.raises(WorkerError, match="database of the jobs") as refused:
            await ask()
        found.append(refused.value)
    await engine.aclose()
    return found


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/leaver.db"


async def test_a_file_that_another_process_holds_is_told_and_not_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DBOS waits for it without an end, and prints its SQL."""
    monkeypatch.setattr(write_check, "TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(jobs_path(url), isolation_level=None)) as holder:
        holder.execute("CREATE TABLE held (a)")
        holder.execute("BEGIN EXCLUSIVE")
        begin = time.monotonic()
        found = await refusals(url)
    assert time.monotonic() - begin < 5
    assert all(isinstance(each, DatabaseAway) for each in found)


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"no database " * 500), lambda path: path.mkdir()]
)
async def test_a_file_that_is_no_database_needs_a_person(url: str, spoil: Callable[[Path], object]) -> None:
    spoil(jobs_path(url))
    for refused in await refusals(url):
        assert isinstance(refused, InstallationFault)
        assert refused.remedy == "Run `leaver db check`."


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte without room; only root may make one."""
    with small_disk_at(tmp_path / "disk", megabytes=1) as disk:
        with closing(sqlite3.connect(jobs_path(f"sqlite+aiosqlite:///{disk}/leaver.db"))) as made:
            made.execute("CREATE TABLE there (a)")
        (disk / "filler").write_bytes(b"\0" * shutil.disk_usage(disk).free)
        yield disk


async def test_a_full_disk_is_told_with_what_to_do(full_disk: Path) -> None:
    for refused in await refusals(f"sqlite+aiosqlite:///{full_disk}/leaver.db"):
        assert isinstance(refused, InstallationFault)
        assert "Make room" in refused.remedy


async def test_a_server_that_is_away_is_told() -> None:
    for refused in await refusals("postgresql+asyncpg://leaver:secret@127.0.0.1:1/leaver"):
        assert isinstance(refused, DatabaseAway)
        assert "secret" not in str(refused)


async def test_an_answer_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbos_queue, "ANSWER_WITHIN_S", 0.01)
    with pytest.raises(DatabaseAway, match="has not answered"):
        await dbos_queue._when_tables_exist(lambda: asyncio.sleep(10))
