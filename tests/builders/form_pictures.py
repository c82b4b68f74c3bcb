"""Pages that only a click leads to, for `tests.builders.screenshots`: what a form answers, panels, refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from playwright.async_api import Page

from console.admin.operators import people
from console.admin.setup import links
from tests.builders.console_scene import ConsoleScene
from tests.builders.setup_scene import ADA

Steps = Callable[[Page, ConsoleScene], Awaitable[None]]


def pressing(path: str, button: str, **typed: str) -> Steps:
    """Open a page of the connection with many people, fill its fields in, press the button."""

    async def steps(page: Page, scene: ConsoleScene) -> None:
        known = {key: str(value) for key, value in scene.known.items()}
        await page.goto(f"{scene.url}/connections/{scene.many.id}{path.format(**known)}")
        await _open_all(page)
        for name, value in typed.items():
            field = page.locator(f"[name={name}]").last
            if await field.evaluate("each => each.tagName") == "SELECT":
                await field.select_option(value)
            else:
                await field.fill(value.format(**known))
        for choice in await page.locator("input[type=radio][required]").all():
            await choice.check()
        await page.get_by_role("button", name=button).first.click()
        await page.wait_for_load_state()

    return steps


def opening(path: str) -> Steps:
    """Open an address as it is."""

    async def steps(page: Page, scene: ConsoleScene) -> None:
        await page.goto(scene.url + path)

    return steps


def seeing(path: str) -> Steps:
    """Open an address of the connection with many people."""

    async def steps(page: Page, scene: ConsoleScene) -> None:
        await page.goto(f"{scene.url}/connections/{scene.many.id}{path}")

    return steps


async def _open_all(page: Page) -> None:
    await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


async def _panel(page: Page, scene: ConsoleScene) -> None:
    await page.goto(f"{scene.url}/connections/{scene.many.id}/logs?days=all")
    await page.locator("a[data-panel]").first.click()
    await page.locator("h2", has_text="Summary").wait_for()


async def _menu(page: Page, scene: ConsoleScene) -> None:
    await page.goto(f"{scene.url}/connections/{scene.many.id}")
    menu = page.get_by_role("button", name="Menu")
    if await menu.is_visible():
        await menu.click()


def without_session(then: Steps) -> Steps:
    """Do it as somebody who has not signed in, in the same browser; afterwards the admin is back."""

    async def steps(page: Page, scene: ConsoleScene) -> None:
        kept = await page.context.cookies()
        await page.context.clear_cookies()
        try:
            await then(page, scene)
        finally:
            await page.context.clear_cookies()
            await page.context.add_cookies(kept)  # type: ignore[arg-type]  # as they were read

    return steps


def as_operator(path: str) -> Steps:
    """Enter by an invitation, and open the address."""

    async def steps(page: Page, scene: ConsoleScene) -> None:
        made = await people.invite(scene.services, ADA, "olga")
        await page.goto(f"{scene.url}/sign-in/{made.secret}")
        await page.get_by_role("button", name="Sign in").click()
        await page.goto(scene.url + path.format(foreign=scene.foreign.id))

    return without_session(steps)


async def _set_up(page: Page, scene: ConsoleScene) -> None:
    made = await links.create_setup_link(scene.services, ADA, scene.empty.id)
    await page.goto(f"{scene.url}/setup/{made.secret}")
    await page.get_by_role("button", name="Begin the set-up").click()
    await page.locator("h1", has_text="Connect Entra").wait_for()


def _sign_in(rest: str) -> Steps:
    """A page of sign-in, at the connection of the admin."""

    async def steps(page: Page, scene: ConsoleScene) -> None:
        await page.goto(f"{scene.url}/v1/admin/openid/{scene.one.id}{rest}")

    return steps


FORM_PICTURES: Mapping[str, Steps] = {
    "provision.dry-run": pressing("/provision?subject={leaver}", "Dry run"),
    "provision.unknown": pressing("/provision?subject=no.body@contoso.example", "Dry run"),
    "provision.found": seeing("/provision?q=kl"),
    "users.found": seeing("/users?q=an"),
    "tokens.generated": pressing("/tokens/new", "Generate Token", name="entra"),
    "setup.tested": pressing("/setup", "Test"),
    "setup.link": pressing("/setup", "Make a setup link"),
    "setup.status_link": pressing("/setup", "Make a status link"),
    "settings.scope": pressing("/settings", "See who would be in", scope="all"),
    "settings.refused": pressing("/settings", "Try and store", secret="not the secret"),
    "settings.saved": pressing("/settings", "Save"),
    "settings.end_wrong": pressing("/settings/end", "End the connection", name="Another"),
    "mapping.checked": pressing("/mapping", "Check"),
    "mapping.preview": pressing("/mapping", "Preview", person="{user_name}"),
    "plans.not_typed": pressing("/plans/{plan}", "Approve the selected"),
    "sync.without_worker": pressing("", "Sync now"),
    "logs.panel": _panel,
    "overview.menu": _menu,
    "refusal.not_found": opening("/connections/none"),
    "refusal.sign_in": without_session(opening("/connections/01a2237d-6574-7eee-81c8-5596dae3a76a/users")),
    "operator.all": as_operator("/operator"),
    "webhooks.none": as_operator("/connections/{foreign}/webhooks"),
    "operators": as_operator("/operators"),
    "setup.stranger": without_session(_set_up),
    "sign_in.over": _sign_in("/callback/login?code=x&state=x"),
    "sign_in.sessions": _sign_in("/session"),
    "link.unknown": opening("/sign-in/garbled"),
}
"""By the name of the picture."""
