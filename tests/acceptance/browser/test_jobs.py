"""The main jobs of an admin in a real browser: by mouse, by keyboard alone, and with JavaScript switched off."""

from __future__ import annotations

from contextlib import suppress

import pytest
from playwright.async_api import Browser, Error, expect

from tests.builders.chromium import OpenedPage, console_context
from tests.builders.console_scene import ConsoleScene

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_who_left_is_found_from_the_overview(scene: ConsoleScene, opened: OpenedPage) -> None:
    """Overview, search, the person: does she have access, and why not."""
    page = opened.page
    await opened.open(f"{scene.url}/connections/{scene.many.id}")
    await expect(page.locator("h1")).to_contain_text("for your decision")
    await page.get_by_label("Find a person").fill(scene.known["object"])
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No access.")).to_be_visible()
    await expect(page.get_by_text("Disabled in Entra.")).to_be_visible()
    assert opened.said == []


async def test_a_log_entry_opens_beside_the_list_and_closes_by_keyboard(
    scene: ConsoleScene, opened: OpenedPage
) -> None:
    """The panel has the entry's own address; j goes on, Escape closes and gives the focus back."""
    page = opened.page
    await opened.open(f"{scene.url}/connections/{scene.many.id}/logs?days=all")
    first = page.locator("a[data-panel]").first
    await first.focus()
    await page.keyboard.press("Enter")
    panel = page.locator("dialog.panel")
    await expect(panel.locator("h2").first).to_have_text("Steps")
    before = page.url
    assert "/logs/" in before
    await page.keyboard.press("j")
    await page.wait_for_url(lambda url: url != before)
    await page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    assert "?days=all" in page.url
    assert opened.said == []


async def test_without_javascript_a_dry_run_shows_its_five_steps(
    scene: ConsoleScene, chromium: Browser
) -> None:
    context = await console_context(chromium, scene.url, await scene.sign_in(), java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{scene.url}/connections/{scene.many.id}/users/{scene.known['user']}")
    await page.get_by_role("button", name="Check now in Entra").click()
    await expect(page.locator("ol.steps > li")).to_have_count(5)
    await expect(page.locator("h1")).to_have_text("Provision on demand")
    await context.close()


async def test_nothing_that_entra_sends_runs(scene: ConsoleScene, opened: OpenedPage) -> None:
    """Markup, javascript: addresses, bidi and control characters in every attribute of a person."""
    page = opened.page
    await opened.open(f"{scene.url}/connections/{scene.many.id}/users/{scene.known['hostile']}")
    await expect(page.locator("h1")).to_have_text('<script>alert("x")</script>')
    assert (
        await page.locator("[href^='javascript:' i], [src], [onerror], [style]").evaluate_all(
            "found => found.filter((each) => !each.matches('script[type=module]')).map((each) => each.outerHTML)"
        )
        == []
    )
    assert opened.said == []


async def test_selecting_rows_of_a_held_plan_counts_them_by_keyboard(
    scene: ConsoleScene, opened: OpenedPage
) -> None:
    page = opened.page
    await opened.open(f"{scene.url}/connections/{scene.many.id}/plans/{scene.known['plan']}")
    chosen = page.locator("[data-chosen=row]")
    before, rows = int(await chosen.inner_text()), page.locator("input[name=row]")
    assert before == await rows.and_(page.locator(":checked")).count()
    await rows.first.focus()
    await page.keyboard.press("Space")
    await expect(chosen).to_have_text(str(before - 1))
    await page.get_by_label("Select all rows").focus()
    await page.keyboard.press("Space")
    await expect(chosen).to_have_text(str(await rows.count()))


async def test_closing_a_token_that_was_not_copied_asks_once(scene: ConsoleScene, opened: OpenedPage) -> None:
    """console.md, API tokens: "Close asks once if nothing was copied"."""
    page = opened.page
    await opened.open(f"{scene.url}/connections/{scene.many.id}/tokens/new")
    await page.get_by_label("Key Name").fill("not copied")
    await page.get_by_role("button", name="Generate Token").click()
    close = page.get_by_role("link", name="Close")
    await close.click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was copied yet")
    await close.click()
    await expect(page).to_have_url(f"{scene.url}/connections/{scene.many.id}/tokens")
    assert opened.said == []


async def test_the_back_button_shows_how_things_stand_and_does_nothing_twice(
    scene: ConsoleScene, opened: OpenedPage
) -> None:
    """Issue 12, Security in the browser: "back button is harmless"."""
    page = opened.page
    person = f"{scene.url}/connections/{scene.many.id}/users/{scene.known['hostile']}"
    await opened.open(person)
    await page.get_by_role("button", name="Protect", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("is protected")
    await page.go_back()
    await expect(page.get_by_role("button", name="Stop protecting")).to_be_visible()
    await page.get_by_role("button", name="Stop protecting").click()
    await expect(page.get_by_role("button", name="Protect", exact=True)).to_be_visible()

    await opened.open(f"{scene.url}/connections/{scene.many.id}/tokens/new")
    await page.get_by_label("Key Name").fill("went back")
    await page.get_by_role("button", name="Generate Token").click()
    secret = await page.get_by_label("Token", exact=True).input_value()
    await opened.open(f"{scene.url}/connections/{scene.many.id}/tokens")
    made = page.get_by_role("row").filter(has_text="went back")
    await expect(made).to_have_count(1)
    with suppress(Error):  # the browser asks before it would send the form again: nobody answers
        await page.go_back()
    assert secret not in await page.content()
    await page.goto(f"{scene.url}/connections/{scene.many.id}/tokens")
    await expect(made).to_have_count(1)
