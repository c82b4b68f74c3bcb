"""The console over HTTP on SQLite, and a browser without script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from console.browser import SESSION_COOKIE
from tests.builders.browser import Browser
from tests.builders.console_scene import ConsoleScene, console_scene
from tests.builders.console_visitor import ConsoleVisitor
from tests.databases.templates import copy_sqlite_template


@pytest.fixture
async def scene(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[ConsoleScene]:
    async with console_scene(copy_sqlite_template(sqlite_template, tmp_path / "leaver.db"), users=12) as made:
        yield made


@pytest.fixture
async def visitor(scene: ConsoleScene) -> AsyncIterator[ConsoleVisitor]:
    """The admin of the tenant."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        browser = Browser(http)
        browser.cookies[scene.url.removeprefix("http://")] = {SESSION_COOKIE: scene.secret}
        yield ConsoleVisitor(scene, browser)
