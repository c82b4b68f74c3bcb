"""Picture every page of the console: 0, 1 and many rows, phone and desktop, light and dark;
and what its forms answer.

`python -m tests.builders.screenshots FOLDER [NAME ...]`; the folder is not committed.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, ViewportSize, async_playwright

from console.web.app import ROUTES
from store.migrations import upgrade
from tests.builders.chromium import DESKTOP, console_context
from tests.builders.console_pages import EXAMPLES
from tests.builders.console_scene import ConsoleScene, console_scene, fill
from tests.builders.form_pictures import FORM_PICTURES

WIDTHS = {"phone": ViewportSize(width=360, height=740), "desktop": DESKTOP}
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]


async def picture_all(folder: Path, names: list[str]) -> int:
    """Write the pictures; return their number."""
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite+aiosqlite:///{scratch}/leaver.db"
        await upgrade.upgrade(url)
        async with console_scene(url) as scene, async_playwright() as playwright:
            await fill(scene)
            path = shutil.which("chromium")
            browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            number = 0
            for scheme in ("light", "dark"):
                for width, viewport in WIDTHS.items():
                    number += await _picture(folder, browser, scene, names, scheme, width, viewport)
            await browser.close()
            return number


async def _picture(
    folder: Path,
    browser: Browser,
    scene: ConsoleScene,
    names: list[str],
    scheme: str,
    width: str,
    viewport: ViewportSize,
) -> int:
    context = await console_context(
        browser, scene.url, scene.secret, viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
    )
    page, number = await context.new_page(), 0
    await page.goto(scene.url)  # the zone cookie is set from here on
    for route in ROUTES:
        if route.is_form or route.name not in EXAMPLES or (names and route.name not in names):
            continue
        for place, path in enumerate(EXAMPLES[route.name](scene)):
            await page.goto(scene.url + path)
            name = f"{route.name}-{('many', 'one', 'empty')[place]}-{width}-{scheme}.png"
            await page.screenshot(path=folder / name, full_page=True)
            number += 1
    for deed, steps in FORM_PICTURES.items():
        if names and deed not in names:
            continue
        await steps(page, scene)
        await page.screenshot(path=folder / f"{deed}-{width}-{scheme}.png", full_page=True)
        number += 1
    await context.close()
    return number


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{asyncio.run(picture_all(target, sys.argv[2:]))} pictures in {target}\n")
