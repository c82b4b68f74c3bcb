"""The migrations make exactly the tables the code declares, on both databases."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import text

from store.database import Database, open_database
from store.errors import SchemaOutOfDate, WrongDatabase
from store.migrations import upgrade
from store.tables import Base


async def test_the_migrated_schema_is_the_declared_one(database: Database) -> None:
    """Alembic, asked for the difference between the database and the tables, finds none."""

    def differences(connection: SyncConnection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[object] = compare_metadata(context, Base.metadata)
        return found

    async with database.reading() as conn:
        assert await conn.run_sync(differences) == []


async def test_every_table_names_its_tenant(database: Database) -> None:
    """design.md §2: every row belongs to one tenant, but for what is an operator's or a token's."""
    without = {table.name for table in Base.metadata.tables.values() if "tenant_id" not in table.c}

    assert without == {"tenants", "operator_tokens", "idempotency_keys", "event_retention"}


async def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    """`leaver db upgrade` can be run at every start."""
    assert await upgrade.upgrade(database_url) == await upgrade.upgrade(database_url)
    assert await upgrade.check(database_url) == upgrade.head()


@pytest.mark.parametrize(
    ("revision", "words"), [("v0000", "leaver db upgrade"), ("v9999", "newer than this version")]
)
async def test_another_schema_is_told_in_one_line(
    database: Database, database_url: str, revision: str, words: str
) -> None:
    """An older schema wants an upgrade, a newer one a newer Leaver."""
    pretend = text("UPDATE alembic_version SET version_num = :revision")
    await database.write(lambda conn: conn.execute(pretend, {"revision": revision}))

    with pytest.raises(SchemaOutOfDate, match=words):
        await upgrade.check(database_url)
    with pytest.raises(SchemaOutOfDate, match=words):
        await open_database(database_url)


@pytest.mark.parametrize("revision", ["0001", "0007", "0010"])
async def test_a_database_of_an_unreleased_version_is_refused(
    database: Database, database_url: str, revision: str
) -> None:
    """The ten development revisions became one: neither upgraded nor opened, nor changed."""
    pretend = text("UPDATE alembic_version SET version_num = :revision")
    await database.write(lambda conn: conn.execute(pretend, {"revision": revision}))

    for attempt in (upgrade.upgrade, upgrade.check, open_database):
        with pytest.raises(SchemaOutOfDate, match=f"{revision}, which only unreleased") as refusal:
            await attempt(database_url)
        assert "\n" not in str(refusal.value)

    async with database.reading() as conn:
        assert await conn.scalar(text("SELECT version_num FROM alembic_version")) == revision


async def test_a_database_of_a_newer_version_is_not_upgraded(database: Database, database_url: str) -> None:
    """Alembic, which does not know the revision, is not asked."""
    await database.write(lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = 'v9999'")))

    with pytest.raises(SchemaOutOfDate, match="newer than this version"):
        await upgrade.upgrade(database_url)


async def test_upgrading_where_no_file_can_be_says_so(tmp_path: Path) -> None:
    """A folder that is not there is a wrong URL, not a traceback."""
    with pytest.raises(WrongDatabase, match="unable to open database file"):
        await upgrade.upgrade(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder/leaver.db")


async def test_a_new_database_file_is_for_its_user_alone(tmp_path: Path) -> None:
    """issue 10, G: people's data and sealed credentials are in it, and in its log of writes."""
    url = f"sqlite+aiosqlite:///{tmp_path}/leaver.db"
    await upgrade.upgrade(url)
    database = await open_database(url)
    try:
        await database.write(
            lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = version_num"))
        )
        rights = _rights(tmp_path)
    finally:
        await database.close()
    assert rights.keys() >= {"leaver.db", "leaver.db-wal"}
    assert set(rights.values()) == {0o600}


async def test_the_rights_of_a_file_that_is_there_are_kept(tmp_path: Path) -> None:
    """A group that backs it up may have been given rights to it."""
    path = tmp_path / "leaver.db"
    path.touch()
    path.chmod(0o640)
    await upgrade.upgrade(f"sqlite+aiosqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def _rights(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
