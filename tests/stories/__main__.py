"""Play stories of identity: every order of so many events, then random longer ones, or one story.

`python -m tests.stories --events 4 --random 100000 --database postgresql`
`python -m tests.stories --events 3 --part 2/16 --folder /dev/shm`
`python -m tests.stories --story "pull first: push stands; purge A; hire C as A"`
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import structlog

from tests.stories import orders
from tests.stories.company import SETTINGS, USUAL
from tests.stories.play import Story, StoryBroken, shorter
from tests.stories.theatre import Theatre, theatre


def main() -> int:
    asked = _arguments()
    tempfile.tempdir = asked.folder  # PostgreSQL's files go there too
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with (
        tempfile.TemporaryDirectory(dir=asked.folder) as folder,
        theatre(Path(folder), asked.database) as found,
    ):
        return asyncio.run(_play(found, asked))


async def _play(found: Theatre, asked: argparse.Namespace) -> int:
    began = time.monotonic()
    found.tell = _write
    if asked.story:
        await _one(found, Story.read(asked.story))
    else:
        for name in asked.setting or USUAL if asked.events else ():
            await found.play_every_order(SETTINGS[name], asked.events, share=_share(asked.share))
            _say(found, f"every order of {asked.events}, {name}", began)
        for seed in range(asked.seed, asked.seed + asked.random):
            await _one(found, orders.random_story(seed, asked.longest))
            if (seed + 1) % 100 == 0:
                _say(found, f"random to seed {seed}", began)
    _say(found, "all", began)
    return 1 if found.broken else 0


async def _one(found: Theatre, story: Story) -> None:
    """Plays one story; one that breaks is made as short as it still breaks."""
    try:
        await found.play(story)
    except StoryBroken as error:
        broken = error
        while (less := await _shorter(found, story)) is not None:
            story, broken = less
        found.note(StoryBroken(f'{broken}\n  --story "{story}"'))


async def _shorter(found: Theatre, story: Story) -> tuple[Story, StoryBroken] | None:
    for events in shorter(story.events):
        less = Story(story.setting, events)
        try:
            await found.play(less)
        except StoryBroken as broken:
            return less, broken
    return None


def _say(found: Theatre, what: str, began: float) -> None:
    told = f"{what}: {found.played} stories, {found.steps} events, {len(found.broken)} broken"
    _write(f"{told}, {time.monotonic() - began:.0f} s")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _share(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    return int(number) - 1, int(of)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stories", description=__doc__)
    parser.add_argument("--events", type=int, default=2, help="every order of up to so many; 0 for none")
    parser.add_argument("--random", type=int, default=0, help="so many random stories beside")
    parser.add_argument("--longest", type=int, default=8, help="events in a random story, at most")
    parser.add_argument("--seed", type=int, default=1, help="of the first random story")
    parser.add_argument(
        "--part",
        "--share",
        dest="share",
        metavar="N/OF",
        default="1/1",
        help="2/4: the second of four parts of the orders",
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--setting", action="append", choices=list(SETTINGS), help="only this way to begin")
    parser.add_argument("--story", help='one story: "pull first: purge A; hire C as A"')
    parser.add_argument("--folder", help="where databases go; in memory it is faster: /dev/shm")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
