"""Live progress of a cycle on standard error, if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from console.cli.output import stderr

if TYPE_CHECKING:
    from store.sync.cycles import Progress
    from worker.progress import Watch

PHASES = {
    "users": "Reading users",
    "groups": "Reading group members",
    "evidence": "Asking Entra once more who is gone",
    "apply": "Applying",
    "subjects": "Provisioning",
    "steps": "Provisioning, step by step",
    "entra": "Asking Entra",
    "waiting": "Waiting for the running cycle to give way",
}


@contextmanager
def watching(at_first: str) -> Iterator[Watch]:
    """Give a function that reports progress.

    Draws a bar while standard error is a terminal.
    """
    if not sys.stderr.isatty():
        from worker.progress import ignore_progress

        yield ignore_progress
        return
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=stderr(), transient=True) as bars:
        task = bars.add_task(at_first, total=None, pace="")

        def watch(how_far: Progress) -> None:
            words = PHASES.get(how_far.phase, how_far.phase)
            bars.update(
                task, description=words, completed=how_far.done, total=how_far.total, pace=pace(how_far)
            )

        yield watch


def pace(how_far: Progress) -> str:
    """Return rate and time left in words; empty until they are known."""
    if not how_far.rate_per_s:
        return ""
    rate = f"{how_far.rate_per_s:,.0f}/s" if how_far.rate_per_s >= 10 else f"{how_far.rate_per_s:.1f}/s"
    if how_far.left_s is None:
        return rate
    minutes, seconds = divmod(round(how_far.left_s), 60)
    return f"{rate}, {minutes}:{seconds:02} left"
