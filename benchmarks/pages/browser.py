"""What headless Chromium loads and paints of the large company's pages: bytes, largest paint, layout shift.

`python -m benchmarks.pages.browser small` leaves the company at a hundred people: lists are as long, tables smaller.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from benchmarks.pages import rows
from benchmarks.pages.server_time import PEOPLE, addresses, operator_secret
from store.migrations import upgrade
from tests.builders.chromium import BYTES, CLS, console_context
from tests.builders.console_scene import ConsoleScene, console_scene, fill

PAINT = """() => new Promise((resolve) => {
  new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime))
    .observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => resolve(-1), 3000);
})"""
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
MOST_FIRST, MOST_AFTER, MOST_PAINT_MS, MOST_SHIFT = 100_000, 30_000, 1_000, 0.02


def run(size: str = "") -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder)}/leaver.db"
        asyncio.run(_run(url, is_small=size == "small"))


async def _run(url: str, *, is_small: bool) -> None:
    await upgrade.upgrade(url)
    async with console_scene(url, users=PEOPLE) as scene, async_playwright() as playwright:
        await fill(scene)
        operator = await operator_secret(scene)
        if not is_small:
            await rows.grow(scene.database, scene.many)
        path = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        people = PEOPLE if is_small else rows.LARGE.people
        print(
            f"\nPages in headless Chromium, {people:,} people: bytes at first and after, largest paint, shift"
        )
        for name, address in addresses(scene).items():
            secret = operator if name.startswith("operator") else scene.secret
            _print(name, await _look(browser, scene, secret, address))
        await browser.close()


async def _look(browser: Browser, scene: ConsoleScene, secret: str, address: str) -> Mapping[str, float]:
    """Opens the page in a browser that knows nothing yet, and once more."""
    context = await console_context(browser, scene.url, secret)
    page = await context.new_page()
    await page.goto(scene.url + address)
    paint = await page.evaluate(PAINT)
    first, shift = await page.evaluate(BYTES), await page.evaluate(CLS)
    await page.goto(scene.url + "/signed-out")
    await page.goto(scene.url + address)
    after = await page.evaluate(BYTES)
    await context.close()
    return {"first": first, "after": after, "paint": paint, "shift": shift}


def _print(name: str, seen: Mapping[str, float]) -> None:
    limits = {"first": MOST_FIRST, "after": MOST_AFTER, "paint": MOST_PAINT_MS, "shift": MOST_SHIFT}
    above = ", ".join(each for each, most in limits.items() if seen[each] > most)
    print(
        f"{name:<24}{seen['first'] / 1000:7.1f} kB{seen['after'] / 1000:7.1f} kB{seen['paint']:7.0f} ms"
        f"{seen['shift']:7.3f}{'  above: ' + above if above else ''}"
    )


if __name__ == "__main__":
    run(*sys.argv[1:2])
