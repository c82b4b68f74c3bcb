"""Provisioning one person on demand: a connection of 100 people against one of 20,000, on both databases."""

from __future__ import annotations

from benchmarks.company import company
from benchmarks.cycles.full_cycle import child, connect, databases
from tests.builders.secret_keys import secret_key

SMALL, LARGE = (100, 10), (20_000, 500)
ROW = "{:<44}{:>12}{:>12}{:>12}"


def run() -> None:
    print(f"\nOn demand: one person, {SMALL[0]} people on the connection against {LARGE[0]:,}")
    print(ROW.format("", "p50 ms", "p95 ms", "CPU ms"))
    results: dict[tuple[str, int], dict[str, float]] = {}
    for users, groups in (SMALL, LARGE):
        with company(users, groups) as ready:
            for name, url, *_ in databases():
                environment = {
                    "LEAVER_DATABASE_URL": url,
                    "LEAVER_SECRET_KEY": secret_key("benchmarks"),
                    "LEAVER_ALLOW_SIMULATOR": "1",
                }
                connection = connect(environment, ready)
                child(environment, "benchmarks.cycles.one_cycle", connection)
                took = child(environment, "benchmarks.on_demand.one_by_one", connection)
                results[name, users] = took
                numbers = (f"{took['p50_ms']:.1f}", f"{took['p95_ms']:.1f}", f"{took['cpu_ms']:.1f}")
                print(ROW.format(f"{name}: {users:,} people", *numbers))
    for name in dict.fromkeys(name for name, _ in results):
        small, large = results[name, SMALL[0]], results[name, LARGE[0]]
        print(f"  {name}, large / small: {large['p50_ms'] / small['p50_ms']:.2f} (p50)")
