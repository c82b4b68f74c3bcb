"""Database URLs: the drivers that Leaver opens, and the same database for others.

Everything that depends on the form of a database URL is here. Other rooms import it
from `store.database`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from store.errors import WrongDatabase

DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg", "postgresql+psycopg")
"""Names of the drivers that `store.database` opens."""

_EXAMPLE = "for example sqlite+aiosqlite:///./leaver.db"


def parse_url(url: str) -> URL:
    """Read a database URL; raise `WrongDatabase`, whose message holds no password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in DRIVERS:
        schemes = ", ".join(f"{name}://" for name in DRIVERS)
        raise WrongDatabase(f"LEAVER_DATABASE_URL must start with {schemes}, {_EXAMPLE}")
    return parsed


def is_sqlite(url: str) -> bool:
    """Return whether the URL names a SQLite database."""
    return parse_url(url).get_backend_name() == "sqlite"


def sqlite_path(url: str) -> Path:
    """Return the file of a SQLite database.

    Raises `WrongDatabase` for a database in memory, which no other process can share.
    """
    database = parse_url(url).database
    if not database or database == ":memory:":
        raise WrongDatabase(
            "LEAVER_DATABASE_URL names a SQLite database in memory, and a worker needs a file that other "
            f"processes can open: {_EXAMPLE}"
        )
    return Path(database)


def libpq_url(url: str, *, with_password: bool = True) -> str:
    """Return the URL of the same PostgreSQL database for libpq.

    asyncpg calls libpq's `sslmode` by the name `ssl`.
    """
    parsed = _for_driver(url, "postgresql")
    if not with_password:
        parsed = parsed._replace(password=None)
    return parsed.render_as_string(hide_password=False)


def jobs_database_url(url: str) -> str:
    """Return the URL of the database of the job engine (DBOS), for its own drivers.

    On SQLite that is the file of `jobs_path`; on PostgreSQL it is the same database, in
    which DBOS has a schema of its own.
    """
    if is_sqlite(url):
        return f"sqlite:///{jobs_path(url)}"
    return _for_driver(url, "postgresql+psycopg").render_as_string(hide_password=False)


def jobs_path(url: str) -> Path:
    """Return the file of the job engine beside a SQLite database."""
    database = sqlite_path(url)
    return database.with_name(database.name + ".jobs")


def _for_driver(url: str, drivername: str) -> URL:
    parsed = parse_url(url).set(drivername=drivername)
    if "ssl" not in parsed.query:
        return parsed
    return parsed.difference_update_query(["ssl"]).update_query_dict({"sslmode": parsed.query["ssl"]})
