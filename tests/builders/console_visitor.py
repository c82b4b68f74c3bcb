"""A browser without script at the console."""

from __future__ import annotations

from dataclasses import dataclass

from tests.builders.browser import Browser, Page
from tests.builders.console_scene import ConsoleScene


@dataclass
class ConsoleVisitor:
    """A browser at the console."""

    scene: ConsoleScene
    browser: Browser

    async def get(self, path: str, **headers: str) -> Page:
        return await self.browser.get(self.scene.url + path, {"Accept": "text/html", **headers})

    async def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> Page:
        return await self.browser.post(self.scene.url + path, headers, form)

    def forget(self) -> None:
        """Drop every cookie."""
        self.browser.cookies.clear()
