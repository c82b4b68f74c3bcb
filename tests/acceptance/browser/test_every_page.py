"""What every page of the console is, without a test of its own: one test over the route table."""

from __future__ import annotations

import pytest

from console.web.app import ROUTES
from tests.builders.chromium import BYTES, OpenedPage
from tests.builders.console_pages import EXAMPLES
from tests.builders.console_scene import ConsoleScene

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PAGES = [
    route.name for route in ROUTES if not route.is_form and not route.name.endswith((".export", ".events"))
]
FIRST_BYTES, NEXT_BYTES = 100_000, 30_000


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_is_sound_in_a_browser(name: str, scene: ConsoleScene, opened: OpenedPage) -> None:
    """Reads, fits a phone, is reached by keyboard, says nothing wrong and loads little: whatever its data."""
    for number, path in enumerate(EXAMPLES[name](scene)):
        await opened.open(scene.url + path)
        if number == 0:
            await opened.check()
            assert await opened.page.evaluate(BYTES) <= NEXT_BYTES * 2
        else:
            await opened.check_quickly()
