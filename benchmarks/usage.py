"""What a piece of work cost this process."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Usage:
    cpu_s: float = 0.0
    """User and system time of this process, threads included."""
    wall_s: float = 0.0
    peak_mb: float = 0.0
    """Most resident memory since the process began: imports included."""


@contextmanager
def measured() -> Iterator[Usage]:
    """Gives a `Usage` that is filled in when the body ends."""
    usage = Usage()
    cpu, wall = time.process_time(), time.perf_counter()
    yield usage
    usage.cpu_s = time.process_time() - cpu
    usage.wall_s = time.perf_counter() - wall
    usage.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tell(usage: Usage, **facts: float) -> None:
    """Prints the one JSON line by which a child process answers the benchmark."""
    sys.stdout.write(json.dumps({**asdict(usage), **facts}) + "\n")
