"""Debian's Chromium, driven by Playwright's async API, on a console with data of every kind.

The plugin pytest-playwright is not used: it breaks the other async tests of the run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.builders.chromium import OpenedPage, console_context
from tests.builders.console_scene import ConsoleScene, console_scene, fill
from tests.databases.fixtures import sqlite_template  # noqa: F401  (a fixture of this folder)
from tests.databases.templates import copy_sqlite_template

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
HOW_TO_INSTALL = "Chromium is not installed: apt-get install -y --no-install-recommends chromium"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(HOW_TO_INSTALL)
        pytest.skip(HOW_TO_INSTALL)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scene(
    sqlite_template: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[ConsoleScene]:
    """One company for all pages that are only looked at."""
    url = copy_sqlite_template(sqlite_template, tmp_path_factory.mktemp("console") / "leaver.db")
    async with console_scene(url) as made:
        await fill(made)
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def admin(chromium: Browser, scene: ConsoleScene) -> AsyncIterator[BrowserContext]:
    """The browser of the tenant's admin, who has just signed in: on a busy machine the scene is older than
    a sign-in may be for a page that changes access.
    """
    context = await console_context(chromium, scene.url, await scene.sign_in())
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def opened(admin: BrowserContext) -> AsyncIterator[OpenedPage]:
    """A page of the admin that notes what the browser complains about."""
    page: Page = await admin.new_page()
    made = OpenedPage(page)
    yield made
    await page.close()
