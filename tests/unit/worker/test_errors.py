"""Whatever comes up is sorted by who must act next."""

from __future__ import annotations

import pytest

from config.errors import SealError
from store import errors as store_errors
from worker.errors import (
    DatabaseAway,
    InstallationFault,
    LeaseLost,
    NeedsHuman,
    Terminal,
    TryAgain,
    WorkerError,
    as_worker_error,
)
from worker.graph.errors import ConsentMissing, Throttled
from worker.reconcile.mapping.attribute_paths import PolicyError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (store_errors.DatabaseUnreachable("away"), DatabaseAway),
        (store_errors.DatabaseBusy("held"), DatabaseAway),
        (store_errors.FencedOut("taken over"), LeaseLost),
        (store_errors.SchemaOutOfDate("old"), InstallationFault),
        (store_errors.DiskFull("full"), InstallationFault),
        (store_errors.NotFound("none"), Terminal),
        (PolicyError("no userName"), NeedsHuman),
        (SealError("wrong key"), InstallationFault),
        (Throttled("429", 30), Throttled),
        (ConsentMissing("403", "User.Read.All"), ConsentMissing),
        (RuntimeError("a bug"), TryAgain),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_every_error_finds_its_place(error: Exception, kind: type[WorkerError]) -> None:
    """Loops know only the three: try again, terminal, needs a human."""
    assert type(as_worker_error(error)) is kind


def test_of_a_group_the_first_decides() -> None:
    """Parts of Graph are read side by side; the first fault is what is reported."""
    group = ExceptionGroup("reading", [Throttled("429", 30), RuntimeError("a bug")])
    assert isinstance(as_worker_error(group), Throttled)


def test_the_delay_the_store_asks_for_is_kept() -> None:
    """Try again carries the delay."""
    sorted_error = as_worker_error(store_errors.DatabaseBusy("busy", 7.0))
    assert isinstance(sorted_error, TryAgain)
    assert sorted_error.delay_s == 7.0


def test_a_fault_of_our_own_tells_no_details() -> None:
    """I9: what a bug had in its hands may be a secret or a person; only its type is shown."""
    assert "ada@example.com" not in str(as_worker_error(RuntimeError("ada@example.com")))


def test_whoever_must_act_is_told_how() -> None:
    """Needs a human: the remedy comes with it."""
    sorted_error = as_worker_error(PolicyError("no userName"))
    assert isinstance(sorted_error, NeedsHuman)
    assert sorted_error.remedy
