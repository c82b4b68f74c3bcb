"""The long run: `python -m tests.simulation --cycles 2000 --database sqlite`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from tests.databases.fresh import fresh_databases
from tests.databases.shared_statements import shared_statements
from tests.simulation import story


def main() -> int:
    asked = _arguments()
    tempfile.tempdir = asked.folder  # PostgreSQL's files go there too
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    began, cycles, broken = time.monotonic(), 0, 0
    counts: Counter[str] = Counter()
    seed = asked.seed
    with (
        tempfile.TemporaryDirectory(dir=asked.folder) as folder,
        fresh_databases(asked.database, Path(folder)) as fresh,
        shared_statements(),
    ):
        while cycles < asked.cycles:
            try:
                told = asyncio.run(story.tell(seed, fresh(), asked.length))
            except story.StoryBroken as error:
                broken += 1
                sys.stdout.write(f"{error}\n\n")
                sys.stdout.flush()
                cycles += asked.length
                if not asked.keep_going:
                    return 1
            else:
                cycles += told.cycles
                counts += told.counts
            seed += 1
    lasted_s = time.monotonic() - began
    sys.stdout.write(
        f"{cycles} cycles on {asked.database} in {lasted_s:.0f} s, {cycles / lasted_s:.1f} per second\n"
    )
    sys.stdout.write(f"seeds {asked.seed} to {seed - 1}, {broken} broken\n")
    for what, number in sorted(counts.items()):
        sys.stdout.write(f"  {number:7} {what}\n")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--cycles", type=int, default=2000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first story; each next story has the next"
    )
    parser.add_argument("--length", type=int, default=story.CYCLES, help="cycles in one story")
    parser.add_argument("--keep-going", action="store_true", help="go on after a broken promise")
    parser.add_argument("--folder", help="where databases go; in memory it is faster: /dev/shm")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
