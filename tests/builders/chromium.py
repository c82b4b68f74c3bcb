"""What every page of the console has to be in a browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    ViewportSize,
    expect,
)

from console.browser import SESSION_COOKIE

PHONE, DESKTOP = ViewportSize(width=360, height=740), ViewportSize(width=1280, height=900)
AXE = {
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
TABLET = ViewportSize(width=920, height=900)
CUT = """() => [...document.querySelectorAll(".card.flush")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.innerText.slice(0, 80))"""
"""Tables of which a column is cut off."""
CLS = """() => new Promise((resolve) => {
  let shift = 0;
  new PerformanceObserver((list) => { for (const each of list.getEntries()) shift += each.value; })
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(shift), 30);
})"""
MOST_SHIFT = 0.02
PATIENCE_MS = 20_000
"""For what a page does: it ends a wait, it is no measure; the machine may be busy."""
expect.set_options(timeout=PATIENCE_MS)
BYTES = """() => performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
  .reduce((sum, each) => sum + each.transferSize, 0)"""
OUT_OF_REACH = """() => {
  const wanted = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
    .filter((each) => !each.disabled && each.checkVisibility({ visibilityProperty: true }));
  return wanted.filter((each) => {
    each.focus({ preventScroll: true });
    return document.activeElement !== each || each.tabIndex < 0;
  }).map((each) => each.outerHTML.slice(0, 120));
}"""


async def console_context(browser: Browser, url: str, secret: str | None, **more: Any) -> BrowserContext:
    """A browser of its own, signed in with the secret of a session."""
    options: dict[str, Any] = {"locale": "en-GB", "timezone_id": "Europe/Berlin", "viewport": DESKTOP}
    context = await browser.new_context(**{**options, **more})
    context.set_default_timeout(PATIENCE_MS)
    if secret is not None:
        await context.add_cookies(
            [
                {
                    "name": SESSION_COOKIE,
                    "value": secret,
                    "url": url.replace("http:", "https:"),
                    "secure": True,
                    "httpOnly": True,
                    "sameSite": "Lax",
                }
            ]
        )
    return context


FOCUSED = """() => {
  const at = document.activeElement;
  return (at.getAttribute("aria-label") || at.innerText || at.labels?.[0]?.innerText || at.value || "").trim();
}"""
MOST_TABS = 150


async def press(page: Page, words: str) -> None:
    """Go by Tab alone to what says these words, or begins with them, and press Enter."""
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if str(await page.evaluate(FOCUSED)).startswith(words):
            await page.keyboard.press("Enter")
            return
    raise AssertionError(f"the keyboard does not reach {words!r} on {page.url}")


class OpenedPage:
    """A page, and what the browser said about it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}"))
        page.on("request", self._note_foreign)

    def _note(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)

    def _note_foreign(self, request: Request) -> None:
        """What goes to another host than the page's: a page asks no third party for anything."""
        host = urlsplit(self.page.url).netloc
        if host and not request.is_navigation_request() and urlsplit(request.url).netloc != host:
            self.said.append(f"asked of another host: {request.url}")

    async def open(self, url: str, status: int = 200) -> Response:
        answer = await self.page.goto(url)
        assert answer is not None
        assert answer.status == status, f"{url}: {answer.status}\n{await answer.text()}"
        return answer

    async def check(self) -> None:
        """One heading, no complaint of the browser, nothing out of reach, no sideways scrolling, axe finds nothing."""
        page = self.page
        assert self.said == []
        assert await page.locator("h1").count() == 1
        assert await page.title()
        assert await self._least_shift() <= MOST_SHIFT
        assert await page.evaluate(OUT_OF_REACH) == []
        await self.check_widths()
        found = await Axe().run(page, options=AXE)
        assert found.violations_count == 0, found.generate_report()
        assert self.said == []

    async def _least_shift(self) -> float:
        """A busy machine paints before the whole page has come; what is ours shifts each time."""
        least: float = await self.page.evaluate(CLS)
        for _ in range(4):
            if least <= MOST_SHIFT:
                break
            await self.page.reload()
            least = min(least, await self.page.evaluate(CLS))
        return least

    async def check_quickly(self) -> None:
        """One heading, no complaint of the browser, axe finds nothing, nothing too wide."""
        assert await self.page.locator("h1").count() == 1
        found = await Axe().run(self.page, options=AXE)
        assert found.violations_count == 0, found.generate_report()
        await self.check_widths()
        assert self.said == []

    async def faults(self) -> list[str]:
        """What is wrong with the page as it stands, in its width and colours: for one that is not reopened."""
        found = await Axe().run(self.page, options=AXE)
        wrong = [
            f"{each['id']}: {node['target']} {node.get('failureSummary', '')}"
            for each in found.response["violations"]
            for node in each["nodes"]
        ]
        wrong += [f"wider than the window: {each}" for each in await self._overflow()]
        return wrong + [f"cut off: {each}" for each in await self.page.evaluate(CUT)]

    async def check_widths(self) -> None:
        """Nothing is wider than a phone, with text of twice the size neither."""
        page = self.page
        await page.set_viewport_size(PHONE)
        assert await self._overflow() == [], "at 360 px"
        await page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
        assert await self._overflow() == [], "at 360 px and 200 % text"
        await page.evaluate("document.documentElement.style.removeProperty('font-size')")
        await page.set_viewport_size(TABLET)
        assert await page.evaluate(CUT) == [], "at 920 px"
        await page.set_viewport_size(DESKTOP)
        assert await page.evaluate(CUT) == [], "at 1280 px"

    async def _overflow(self) -> list[str]:
        found: list[str] = await self.page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth ? [] :
              [...document.querySelectorAll("main *, .bar *")]
                .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
                .slice(0, 5).map((each) => each.outerHTML.slice(0, 160))"""
        )
        return found
