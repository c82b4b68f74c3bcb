"""Database URLs: which drivers Leaver opens, and what a wrong URL is answered with."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from store.errors import WrongDatabase

DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg", "postgresql+psycopg")
"""Names of the drivers that `store.database` opens."""


def parse_url(url: str) -> URL:
    """Reads a database URL; raises `WrongDatabase` (the message holds no password)."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in DRIVERS:
        raise WrongDatabase(
            "LEAVER_DATABASE_URL must start with "
            + ", ".join(f"{name}://" for name in DRIVERS)
            + ", for example sqlite+aiosqlite:///./leaver.db"
        )
    return parsed
