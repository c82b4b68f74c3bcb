"""Play many stories: each begins from a kept moment, and what two have in common is played once."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.databases.postgres_server import admin_connection, running_postgres
from tests.databases.shared_statements import shared_statements
from tests.databases.templates import copy_sqlite_template, make_postgres_template, make_sqlite_template
from tests.stories import orders, play
from tests.stories.company import Facts, Setting, Stage, World, company, kept, opened, stage
from tests.stories.play import NotPossible, Story, StoryBroken


class Databases(Protocol):
    """Databases that can be copied while they are closed."""

    template: str

    def copy(self, url: str) -> str:
        """Returns the URL of a copy."""

    def drop(self, url: str) -> None: ...


class SqliteFiles:
    def __init__(self, folder: Path) -> None:
        self._numbers = itertools.count(1)
        self._folder = folder
        self.template = f"sqlite+aiosqlite:///{make_sqlite_template(folder)}"

    def copy(self, url: str) -> str:
        return copy_sqlite_template(_path(url), self._folder / f"story{next(self._numbers)}.db")

    def drop(self, url: str) -> None:
        for leftover in self._folder.glob(f"{_path(url).name}*"):
            leftover.unlink()


def _path(url: str) -> Path:
    return Path(url.partition("///")[2])


class PostgresqlDatabases:
    def __init__(self, server: str) -> None:
        self._numbers = itertools.count(1)
        self._server = server
        self.template = f"{server.rpartition('/')[0]}/leaver_template"

    def copy(self, url: str) -> str:
        name = f"story{next(self._numbers)}"
        with admin_connection(self._server) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {_name(url)} STRATEGY FILE_COPY")
        return f"{self._server.rpartition('/')[0]}/{name}"

    def drop(self, url: str) -> None:
        with admin_connection(self._server) as admin:
            admin.execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")


def _name(url: str) -> str:
    return url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Moment:
    """A company at one moment: its facts, and a database that is only copied."""

    facts: Facts
    database: str


@dataclass(frozen=True, slots=True)
class _Orders:
    """Which orders are played."""

    most: int
    share: tuple[int, int]
    alphabet: Sequence[str]


@dataclass(slots=True)
class Theatre:
    """Where stories are played."""

    stage: Stage
    databases: Databases
    openings: dict[str, Moment] = field(default_factory=dict)
    played: int = 0
    steps: int = 0
    broken: list[StoryBroken] = field(default_factory=list)
    tell: Callable[[str], None] = lambda _: None
    """Told of every broken story at once."""

    async def play(self, story: Story) -> None:
        """Plays one story to its end; events that cannot happen are left out. Raises `StoryBroken`."""
        async with self._going_on(await self._opening(story.setting)) as world:
            for event in story.events:
                try:
                    await self._step(world, event)
                except NotPossible:
                    world.facts.told.pop()
            await play.rest(world)
        self.played += 1

    async def play_every_order(
        self,
        setting: Setting,
        most: int,
        *,
        share: tuple[int, int] = (0, 1),
        alphabet: Sequence[str] = orders.ABOUT_ONE,
    ) -> None:
        """Plays every order of up to so many events; broken ones are kept in `broken`.

        `share` is (number, of): that part of the orders, by their first event.
        """
        await self._extend(await self._opening(setting), (), _Orders(most, share, alphabet))

    def note(self, broken: StoryBroken) -> None:
        self.broken.append(broken)
        self.tell(f"BROKEN {broken}")

    async def _extend(self, moment: Moment, events: tuple[str, ...], wanted: _Orders) -> None:
        number, parts = wanted.share
        for place, event in enumerate(orders.extensions(events, wanted.most, wanted.alphabet)):
            if not events and place % parts != number:
                continue
            try:
                await self._play_on(moment, (*events, event), wanted)
            except NotPossible:
                continue
            except StoryBroken as broken:
                self.note(broken)

    async def _play_on(self, moment: Moment, events: tuple[str, ...], wanted: _Orders) -> None:
        """Plays one event more; one copy of what became of it comes to rest, others go on."""
        is_last = len(events) == wanted.most
        url = self.databases.copy(moment.database)
        try:
            facts = kept(moment.facts)
            async with opened(facts, url, self.stage) as world:
                await self._step(world, events[-1])
                if is_last:
                    await play.rest(world)
            self.played += 1
            if not is_last:
                await self._go_on_in_both_ways(Moment(facts, url), events, wanted)
        finally:
            self.databases.drop(url)

    async def _go_on_in_both_ways(self, reached: Moment, events: tuple[str, ...], wanted: _Orders) -> None:
        try:
            async with self._going_on(reached) as world:
                await play.rest(world)
        finally:
            await self._extend(reached, events, wanted)

    async def _step(self, world: World, event: str) -> None:
        self.steps += 1
        await play.step(world, event)

    async def _opening(self, setting: Setting) -> Moment:
        """The company as it begins, played once for all its stories."""
        if setting.name not in self.openings:
            facts, url = company(setting), self.databases.copy(self.databases.template)
            async with opened(facts, url, self.stage) as world:
                await play.begin(world)
            self.openings[setting.name] = Moment(facts, url)
        return self.openings[setting.name]

    @asynccontextmanager
    async def _going_on(self, moment: Moment) -> AsyncIterator[World]:
        url = self.databases.copy(moment.database)
        try:
            async with opened(kept(moment.facts), url, self.stage) as world:
                yield world
        finally:
            self.databases.drop(url)


@contextmanager
def theatre(folder: Path, database: str = "sqlite") -> Iterator[Theatre]:
    """`database` is `sqlite` or `postgresql`; files go to `folder`."""
    with stage() as on, shared_statements():
        if database == "sqlite":
            yield Theatre(on, SqliteFiles(folder))
            return
        with running_postgres() as server:
            make_postgres_template(server)
            yield Theatre(on, PostgresqlDatabases(server))
