"""A worker does not keep what the cycle of a large directory took."""

from __future__ import annotations

import weakref

from store.records import JsonValue
from worker.jobs.runner import release_memory
from worker.reconcile.snapshot import LazyMapping


class Directory:
    """What a result was computed from: in life, a whole reading."""

    def names(self) -> dict[str, JsonValue]:
        return {"userName": "ana"}


def test_results_of_a_cycle_and_what_they_were_computed_from_are_let_go() -> None:
    """Some thousand results stay computed, each of which may hold on to the whole reading."""
    directory = Directory()
    held = weakref.ref(directory)
    assert LazyMapping(Directory.names, directory)["userName"] == "ana"
    del directory
    assert held() is not None

    release_memory()

    assert held() is None
