"""Play a story: its events, what follows each, and what must hold; at its end everything comes to rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.stories import oracle, rounds
from tests.stories.company import SETTINGS, Setting, World
from tests.stories.events import EVENTS, QUIET, read_event
from tests.stories.promise import Broken, keep

REST = 3
"""Rounds at most until push and pull have nothing to do any more."""


class NotPossible(Exception):
    """The event cannot happen as things are: the story says nothing."""


class StoryBroken(AssertionError):
    """A promise was not kept; the message has the story in the words it is played by."""


@dataclass(frozen=True, slots=True)
class Story:
    setting: Setting
    events: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.setting.name}: {'; '.join(self.events)}"

    @classmethod
    def read(cls, text: str) -> Story:
        """`push first: leave A; purge A`; without a setting it is `push first`. Raises ValueError."""
        head, colon, tail = text.partition(":")
        name = head.strip() if colon else "push first"
        if name not in SETTINGS:
            raise ValueError(f"{name!r} is no setting; there are: {', '.join(SETTINGS)}")
        events = tuple(each.strip() for each in (tail if colon else text).split(";") if each.strip())
        for event in events:
            read_event(event)
        return cls(SETTINGS[name], events)


async def begin(world: World) -> None:
    """The company is pushed and pulled, and everybody has signed in."""
    world.facts.pull_stands = world.facts.setting.is_unread
    await _round(world)
    await _round(world)
    await oracle.after_step(world)


async def step(world: World, event: str) -> None:
    """Lets one event happen and what follows it. Raises `NotPossible`, `StoryBroken`."""
    name, people = read_event(event)
    world.tell(event)
    try:
        if not await EVENTS[name](world, *people):
            raise NotPossible(event)
        if name not in QUIET:
            await oracle.after_step(world)
            await _round(world)
    except Broken as broken:
        raise _told(world, broken) from broken


async def rest(world: World) -> None:
    """The push and the pull go on; after some rounds neither has anything to do, and everything is right."""
    try:
        world.facts.push_stands = world.facts.pull_stands = world.facts.is_worker_killed = False
        world.tell("rest")
        before = await oracle.fingerprint(world)
        for _ in range(REST):
            await _round(world)
            after = await oracle.fingerprint(world)
            if after == before:
                return
            before = after
        keep(False, "no fights", "push and pull still undo each other at the end")
    except Broken as broken:
        raise _told(world, broken) from broken


async def _round(world: World) -> None:
    facts = world.facts
    if facts.setting.pulls_first:
        await _pull(world)
    if facts.setting.has_push and not facts.push_stands:
        await rounds.push(world)
        await oracle.after_step(world)
    if not facts.setting.pulls_first or not facts.push_stands:
        await _pull(world)


async def _pull(world: World) -> None:
    if world.facts.pull_stands:
        return
    if world.facts.is_worker_killed:
        world.facts.is_worker_killed = False
        await rounds.killed_pull(world)
        await oracle.after_step(world)
        return
    report = await rounds.pull(world)
    await oracle.after_step(world)
    await oracle.after_cycle(world, report)


def _told(world: World, broken: Broken) -> StoryBroken:
    return StoryBroken(f"{broken}\n  after {world.facts.setting.name}: {'; '.join(world.facts.told)}")


def shorter(events: Sequence[str]) -> list[tuple[str, ...]]:
    """The story without one of its events, each in turn."""
    return [tuple(events[:place]) + tuple(events[place + 1 :]) for place in range(len(events))]
