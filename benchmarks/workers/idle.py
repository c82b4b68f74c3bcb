"""What a worker costs that has nothing to do: 10,000 idle connections against 100, on both databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.cycles.full_cycle import child, leaver
from benchmarks.push.rates import sqlite_file
from tests.builders.secret_keys import secret_key
from tests.databases.postgres_server import running_postgres

FEW, MANY = 100, 10_000
SECONDS = 20.0
ROW = "{:<36}{:>14}{:>14}{:>12}"


def run() -> None:
    """Prints the table."""
    print(f"\nIdle worker, {SECONDS:.0f} s each, load {os.getloadavg()[0]:.1f}")
    print(ROW.format("", "% of a core", "queries a s", "peak MB"))
    for name in ("SQLite", "PostgreSQL"):
        shares = [_measure(name, number) for number in (FEW, MANY)]
        print(
            ROW.format(
                f"  {MANY:,} / {FEW}", *(f"{many / few:.2f}" for few, many in zip(*shares, strict=True))
            )
        )


def _measure(name: str, number: int) -> tuple[float, float, float]:
    with _database(name) as url:
        environment = {
            "LEAVER_DATABASE_URL": url,
            "LEAVER_SECRET_KEY": secret_key("benchmarks"),
            "LEAVER_ALLOW_SIMULATOR": "1",
        }
        leaver(environment, "db", "upgrade")
        told = child(environment, "benchmarks.workers.idle_worker", str(number), str(SECONDS))
    share, queries, peak = told["core_share"] * 100, told["queries_per_s"], told["peak_mb"]
    print(ROW.format(f"{name}: {number:,} connections", f"{share:.1f}", f"{queries:.0f}", f"{peak:.0f}"))
    return share, queries, peak


@contextmanager
def _database(name: str) -> Iterator[str]:
    if name == "SQLite":
        with sqlite_file() as url:
            yield url
        return
    counting = ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=top")
    with running_postgres(*counting, durable=True) as url:
        yield url
