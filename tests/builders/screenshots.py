"""Picture every page of the console: 0, 1 and many rows, phone and desktop, light and dark;
and what its forms answer.

`python -m tests.builders.screenshots FOLDER [--axe] [NAME ...]`; the folder is not committed. With `--axe`
each picture is judged too, and the command fails where axe finds a violation or something is too wide.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from console.web.app import ROUTES
from store.migrations import upgrade
from tests.builders.chromium import DESKTOP, PHONE, OpenedPage, console_context
from tests.builders.console_pages import EXAMPLES
from tests.builders.console_scene import ConsoleScene, console_scene, fill
from tests.builders.form_pictures import FORM_PICTURES

WIDTHS = {"phone": PHONE, "desktop": DESKTOP}
SCHEMES = ("light", "dark")
STATES = ("many", "one", "empty")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]


@dataclass
class Pictures:
    """What is pictured, and what was found wrong with it."""

    folder: Path
    names: list[str]
    is_judged: bool
    number: int = 0
    wrong: list[str] = field(default_factory=list)

    async def take(self, opened: OpenedPage, name: str) -> None:
        """Write the picture of what is open; judge it."""
        await opened.page.screenshot(path=self.folder / f"{name}.png", full_page=True)
        self.number += 1
        if self.is_judged:
            self.wrong += [f"{name}: {each}" for each in await opened.faults()]

    def wants(self, name: str) -> bool:
        return not self.names or name in self.names


async def picture_all(pictures: Pictures) -> None:
    """Write the pictures of every page in both widths and both schemes."""
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite+aiosqlite:///{scratch}/leaver.db"
        await upgrade.upgrade(url)
        async with console_scene(url) as scene, async_playwright() as playwright:
            await fill(scene)
            path = shutil.which("chromium")
            browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            for scheme in SCHEMES:
                for width, viewport in WIDTHS.items():
                    await _picture(pictures, browser, scene, f"{width}-{scheme}", scheme, viewport)
            await browser.close()


async def _picture(
    pictures: Pictures,
    browser: Browser,
    scene: ConsoleScene,
    ending: str,
    scheme: str,
    viewport: ViewportSize,
) -> None:
    context = await console_context(
        browser, scene.url, scene.secret, viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
    )
    page: Page = await context.new_page()
    opened = OpenedPage(page)
    await page.goto(scene.url)  # the zone cookie is set from here on
    for route in ROUTES:
        if route.is_form or route.name not in EXAMPLES or not pictures.wants(route.name):
            continue
        for state, path in zip(STATES, EXAMPLES[route.name](scene), strict=False):
            await page.goto(scene.url + path)
            await pictures.take(opened, f"{route.name}-{state}-{ending}")
    for deed, steps in FORM_PICTURES.items():
        if pictures.wants(deed):
            await steps(page, scene)
            await pictures.take(opened, f"{deed}-{ending}")
    await context.close()


def _asked() -> Pictures:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--axe", action="store_true")
    asked = parser.parse_intermixed_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    return Pictures(asked.folder, asked.names, asked.axe)


if __name__ == "__main__":
    asked = _asked()
    asyncio.run(picture_all(asked))
    sys.stdout.write("".join(f"{each}\n" for each in asked.wrong))
    sys.stdout.write(f"{asked.number} pictures in {asked.folder}, {len(asked.wrong)} faults\n")
    sys.exit(1 if asked.wrong else 0)
