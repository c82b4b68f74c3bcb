"""A slice of the simulation: some companies' lives on each database. The long run: `python -m tests.simulation`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog

from tests.databases.fresh import Fresh, fresh_databases
from tests.databases.shared_statements import shared_statements
from tests.simulation import story

SEED = os.environ.get("LEAVER_SIMULATION_SEED")
"""Replays one story: `LEAVER_SIMULATION_SEED=… pytest tests/simulation`."""
SEEDS = [int(SEED)] if SEED else list(range(1, 7))


@pytest.fixture(
    scope="module",
    params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    with fresh_databases(request.param, tmp_path_factory.mktemp("simulation")) as found, shared_statements():
        yield found


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of faults are meant to be met here; what went wrong is told by the story."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_all_promises_are_kept(seed: int, fresh: Fresh) -> None:
    """design.md §7: I1 to I8 hold in every cycle, whatever happens in Entra, on the way, and here meanwhile."""
    told = await story.tell(seed, fresh())
    assert told.counts["calm"], "a story in which nothing could be checked proves nothing"
