"""The main jobs of an admin beside a real worker: by mouse, by keyboard alone, and with JavaScript switched off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from simulator.graph.wire import GraphRequest, GraphResponse
from store import lifecycle
from store.records import Cause, MarkUser, Origin
from tests.builders.chromium import console_context, press
from tests.builders.console_scene import ConsoleScene, console_scene
from tests.databases.templates import copy_sqlite_template
from worker.process import working

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PATIENCE_MS = 30_000
"""For what a worker does: it ends a wait, it is no measure."""
APPLIED = "Applying the plan is done"


@dataclass
class Company:
    """A company in step with Entra, and a worker that waits for requests; nothing is due by itself."""

    scene: ConsoleScene
    chromium: Browser

    @property
    def base(self) -> str:
        return f"{self.scene.url}/connections/{self.scene.many.id}"

    def name_of(self, person: str) -> str:
        return self.scene.simulator.directory.users[person].user_principal_name

    def people(self) -> list[str]:
        return sorted(self.scene.simulator.directory.entitled())

    def admin(self) -> str:
        """An entitled person whose name is on Entra's page of sign-in, and no one else's."""
        users = self.scene.simulator.directory.users
        names = Counter(user.text("displayName") for user in users.values())
        listed = list(users)[:50]
        return next(
            each for each in listed if each in self.people() and names[users[each].text("displayName")] == 1
        )

    async def lose(self, number: int) -> list[str]:
        """So many people are disabled in Entra, and a cycle finds it; above the floor a plan is held."""
        leavers = self.people()[:number]
        for each in leavers:
            self.scene.pull.lose(each, "disabled")
        await self.scene.pull.cycle()
        await self.scene.pull.postpone()
        return leavers

    async def browser(self, **more: object) -> BrowserContext:
        """The browser of the tenant's admin, who has just signed in."""
        return await console_context(self.chromium, self.scene.url, await self.scene.sign_in(), **more)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, chromium: Browser
) -> AsyncIterator[Company]:
    """One for all tests: each has its own leavers, and leaves nothing that waits."""
    url = copy_sqlite_template(sqlite_template, tmp_path_factory.mktemp("company") / "leaver.db")
    async with console_scene(url, users=80) as scene:
        await scene.pull.cycle()
        await scene.pull.postpone()
        async with working(scene.services.settings, scene.database):
            yield Company(scene, chromium)


@pytest_asyncio.fixture(loop_scope="session")
async def page(company: Company) -> AsyncIterator[Page]:
    context = await company.browser()
    yield await context.new_page()
    await context.close()


async def test_sync_now_shows_how_far_the_worker_is_and_is_found_again(
    company: Company, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """issue 12: "long work shows live progress with what is being done … and can be left and found again"."""
    graph, go_on = company.scene.simulator.simulation.graph, asyncio.Event()
    answer = graph.answer

    async def hold_back(request: GraphRequest) -> GraphResponse:
        if request.path.endswith("/appRoleAssignedTo"):
            await go_on.wait()
        return await answer(request)

    monkeypatch.setattr(graph, "answer", hold_back)
    try:
        await page.goto(company.base)
        await page.get_by_role("button", name="Read everything now").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("The cycle is under way")
        run = page.url
        await page.evaluate("document.body.dataset.same = 'yes'")
        live = page.locator("[data-stream]")
        await expect(live).to_contain_text("Reading people", timeout=PATIENCE_MS)
        assert await page.evaluate("document.body.dataset.same") == "yes", (
            "the stream brought it, no new page"
        )

        await page.goto(company.base)
        await expect(page.get_by_role("region", name="Running cycle")).to_contain_text("Reading people")
        await page.goto(run)
    finally:
        go_on.set()
    await expect(page.get_by_role("heading", level=1)).to_have_text("The cycle is done", timeout=PATIENCE_MS)
    await expect(page.get_by_text("Read in Entra")).to_be_visible()


async def test_applying_a_plan_is_watched_left_and_found_again_at_the_plan(
    company: Company, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 12: long work "can be left and found again"; the request that approves does not wait for it."""
    leavers = await company.lose(8)
    graph, go_on = company.scene.simulator.simulation.graph, asyncio.Event()
    answer = graph.answer

    async def hold_back(request: GraphRequest) -> GraphResponse:
        await go_on.wait()
        return await answer(request)

    monkeypatch.setattr(graph, "answer", hold_back)
    try:
        await page.goto(f"{company.base}/plans")
        await page.locator("tbody tr").filter(has_text="held").get_by_role("link").click()
        plan = page.url
        await page.get_by_role("button", name="Approve the selected rows").click()
        await page.get_by_role("button", name="Approve 8 rows").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Applying the plan is under way")
        asked = page.locator("[data-stream]").get_by_text("Asking Entra once more")
        await expect(asked).to_be_visible(timeout=PATIENCE_MS)
        await page.goto(plan)
        await expect(page.get_by_role("region", name="Applying")).to_contain_text("Asking Entra once more")
        assert set(leavers) <= await company.scene.pull.active()
    finally:
        go_on.set()
    await expect(page.get_by_role("region", name="Applying")).to_have_count(0, timeout=PATIENCE_MS)
    await expect(page.locator("tbody tr").filter(has_text="applied")).to_have_count(8)
    assert not set(leavers) & await company.scene.pull.active()


async def test_the_main_job_is_done_by_keyboard_alone(company: Company, page: Page) -> None:
    """issue 12: "Keyboard-only run of the main job": sign in at Entra, who left, why, sync now, approve."""
    scene, pull = company.scene, company.scene.pull
    leavers = await company.lose(8)
    admin = company.admin()
    account = (await pull.users())[admin]
    await lifecycle.perform(
        scene.database,
        account.tenant_id,
        account.connection_id,
        [MarkUser(account.id, is_admin=True)],
        Cause(Origin.CONSOLE, "test", "test"),
    )
    registration = scene.simulator.simulation.authority.registration
    registration.redirect_uris.add(f"{scene.url}/v1/admin/openid/{scene.many.id}/callback/login")
    await page.context.clear_cookies()

    await page.goto(company.base)
    await press(page, "Sign in")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Who are you?")
    await press(page, company.scene.simulator.directory.users[admin].text("displayName") or "")
    await expect(page.get_by_role("heading", level=1)).to_have_text("8 changes wait for your decision")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()

    await press(page, "Drift")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("between Entra and here")
    await press(page, company.name_of(leavers[0]))
    await expect(page.get_by_text("Left in Entra, still active here:")).to_be_visible()
    await expect(page.get_by_text("The account is disabled in Entra")).to_be_visible()

    await press(page, "Overview")
    await expect(page).to_have_url(company.base)
    await press(page, "Sync now")
    await expect(page.get_by_role("heading", level=1)).to_have_text("The cycle is done", timeout=PATIENCE_MS)

    await press(page, "Held plans")
    await expect(page.get_by_role("heading", level=1)).to_have_text("1 plan waits")
    await press(page, await page.locator("tbody a.row").first.inner_text())
    await expect(page.get_by_role("heading", name="Rows")).to_be_visible()
    await press(page, "Approve the selected rows")
    await expect(page.get_by_role("heading", level=1)).to_have_text("8 people would lose access")
    assert leavers[0] in await pull.active()
    await press(page, "Approve 8 rows")
    await expect(page.get_by_role("heading", level=1)).to_have_text(APPLIED, timeout=PATIENCE_MS)
    assert not set(leavers) & await pull.active()


async def test_a_held_plan_is_decided_row_by_row(company: Company, page: Page) -> None:
    """Some leave, one stays by a person's decision, the others go on waiting."""
    pull = company.scene.pull
    leavers = await company.lose(8)
    await page.goto(f"{company.base}/plans")
    await page.locator("tbody a.row").first.click()
    labels = {each: company.name_of(each) for each in leavers}
    await page.get_by_label("Select all rows").uncheck()
    for each in leavers[:2]:
        await page.get_by_label(f"disable {labels[each]}").check()
    await page.get_by_role("button", name="Approve the selected rows").click()
    await expect(page.get_by_text("6 other rows go on waiting")).to_be_visible()
    for each in leavers[:2]:
        await expect(page.get_by_text(labels[each])).to_be_visible()
    await page.get_by_role("button", name="Approve 2 rows").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(APPLIED, timeout=PATIENCE_MS)
    await page.get_by_role("link", name="The plan, row by row").click()
    await expect(page.locator("tbody tr").filter(has_text=labels[leavers[0]])).to_contain_text("applied")
    assert set(leavers) & await pull.active() == set(leavers[2:])

    await page.goto(f"{company.base}/plans")
    await page.locator("tbody tr").filter(has_text="held").get_by_role("link").click()
    await page.get_by_label("Select all rows").uncheck()
    await page.get_by_label(f"disable {labels[leavers[2]]}").check()
    await page.get_by_role("button", name="Reject the selected rows").click()
    await expect(page.get_by_role("status")).to_contain_text("stay as they are")
    await page.goto(company.base)
    await expect(page.get_by_role("heading", level=1)).to_have_text("5 changes wait for your decision")
    await page.get_by_role("link", name="Review 5 changes").click()
    await page.locator("tbody tr").filter(has_text="held").get_by_role("link").click()
    await page.get_by_role("button", name="Reject the selected rows").click()
    await expect(page.get_by_role("status")).to_contain_text("stay as they are")


async def test_on_demand_unfolds_its_steps_and_leads_to_the_log(company: Company, page: Page) -> None:
    """Seed 000: "manually trigger a sync by clicking Provision on demand"; a dry run comes first."""
    scene, who = company.scene, company.people()[0]
    scene.pull.lose(who, "disabled")
    await page.goto(f"{company.base}/provision?subject={who}")
    await page.get_by_role("button", name="Dry run").click()
    await expect(page.locator("ol.steps > li")).to_have_count(5, timeout=PATIENCE_MS)
    assert who in await scene.pull.active()
    await page.get_by_role("button", name="Do it: disable").click()
    await expect(page.get_by_text("every session ended, history stays")).to_be_visible(timeout=PATIENCE_MS)
    assert who not in await scene.pull.active()
    await page.get_by_role("link", name="Log entries").click()
    row = page.locator("tbody tr").filter(has_text="Disable")
    await expect(row).to_contain_text("success")
    await row.get_by_role("link").first.click()
    await expect(page.locator("dialog.panel")).to_contain_text("5. Perform")


async def test_without_javascript_every_form_of_the_main_job_works(company: Company) -> None:
    """issue 12: "without JavaScript every page still reads and every form still works"."""
    leavers = await company.lose(8)
    context = await company.browser(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{company.base}/logs?days=all")
    await page.get_by_label("Action").select_option("create")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("tbody tr").first).to_contain_text("Create")
    await page.locator("tbody a.row").first.click()
    await expect(page.get_by_role("heading", name="Modified properties")).to_be_visible()

    await page.get_by_role("link", name="API tokens").click()
    await page.get_by_role("link", name="New Token").click()
    await page.get_by_label("Key Name").fill("by hand")
    await page.get_by_role("button", name="Generate Token").click()
    await expect(page.get_by_text("This is the only time the token is shown.")).to_be_visible()

    await page.get_by_role("link", name="Settings").click()
    await page.get_by_label("Minutes between cycles").fill("15")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_contain_text("saved")
    await expect(page.get_by_label("Minutes between cycles")).to_have_value("15")

    await page.get_by_role("link", name="Held plans").click()
    await page.locator("tbody a.row").first.click()
    await page.get_by_role("button", name="Approve the selected rows").click()
    await page.get_by_role("button", name="Approve 8 rows").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(APPLIED, timeout=PATIENCE_MS)
    assert not set(leavers) & await company.scene.pull.active()
    await context.close()
