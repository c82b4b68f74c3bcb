"""Both setup guides from the first click to the last, as an admin would, against the simulated Entra."""

from __future__ import annotations

import runpy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import Browser, Page, expect
from sqlalchemy import update

from console.admin.actor import Actor, ActorKind
from console.admin.operators import people
from console.admin.setup import links
from simulator.provisioning import ProvisioningService
from simulator.provisioning.errors import JobStopped
from simulator.provisioning.mapping import DEFAULT_USER_MAPPING
from store import tables
from store.tenancy import api_tokens, connections
from tests.builders.chromium import OpenedPage, console_context
from tests.builders.console_scene import ConsoleScene, console_scene
from tests.builders.processes.waiting import until
from tests.databases.templates import copy_sqlite_template

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ADA = Actor(ActorKind.CLI, "ada")
EXAMPLE = Path(__file__).parents[3] / "examples/python/vendor_app.py"


@dataclass
class Guide:
    """A company that nobody connected yet, and the browser of somebody who is invited."""

    scene: ConsoleScene
    page: Page
    opened: OpenedPage
    chromium: Browser

    @property
    def base(self) -> str:
        return f"{self.scene.url}/connections/{self.scene.many.id}"

    @property
    def entra(self) -> ProvisioningService:
        return self.scene.simulator.simulation.provisioning

    async def enter(self) -> None:
        """Sign in as an operator by a one-time link."""
        made = await people.invite(self.scene.services, ADA, "olga")
        await self.page.goto(f"{self.scene.url}/sign-in/{made.secret}")
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page).to_have_url(f"{self.scene.url}/operator")

    async def new_token(self, name: str) -> str:
        """Admin Center > Security > API Tokens > New Token, in the words of the guide."""
        page = self.page
        await page.goto(f"{self.base}/tokens")
        await page.get_by_role("link", name="New Token").click()
        await page.get_by_label("Key Name").fill(name)
        section = page.get_by_role("group", name="Admin:user")
        await section.get_by_label("read").uncheck()
        await section.get_by_role("button", name="Select All").click()
        await page.get_by_role("button", name="Generate Token").click()
        await expect(page.get_by_role("heading", name="Token Generated")).to_be_visible()
        await expect(page.get_by_text("This is the only time the token is shown.")).to_be_visible()
        await expect(page.get_by_role("button", name="Copy")).to_be_visible()
        return await page.get_by_label("Token", exact=True).input_value()

    async def done(self, step: str) -> None:
        """The step is ticked on Setup."""
        await self.page.goto(f"{self.base}/setup")
        row = self.page.locator("li.check", has=self.page.get_by_text(step, exact=True))
        await expect(row.locator(".badge")).to_have_text("done")

    async def tenant_url(self, label: str) -> str:
        await self.page.goto(f"{self.base}/setup")
        at = self.page.get_by_role("button", name=f"Copy {label}", exact=True)
        return (await self.page.locator(f"#{await at.get_attribute('data-copy')}").inner_text()).strip()


async def is_refused(entra: ProvisioningService) -> bool:
    """Whether Entra's Test Connection fails."""
    try:
        await entra.test_connection()
    except JobStopped:
        return True
    return False


@asynccontextmanager
async def example_app(scene: ConsoleScene, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The vendor's app of docs/developer.md, whose people sign in through Leaver."""
    port, of = unused_port(), (scene.many.tenant_id, scene.many.id)
    url = f"http://127.0.0.1:{port}"
    redirect = f"{scene.url}/v1/admin/openid/{scene.many.id}/callback/login"
    scene.simulator.simulation.authority.registration.redirect_uris.add(redirect)
    await scene.database.write(lambda conn: connections.set_return_urls(conn, *of, [f"{url}/signed-in"]))
    _, token = await scene.database.write(
        lambda conn: api_tokens.create(conn, *of, "app", ["admin:session:introspect"])
    )
    values = {"URL": scene.url, "TOKEN": token, "CONNECTION": scene.many.id, "WEBHOOK_SECRET": ""}
    for name, value in values.items():
        monkeypatch.setenv(f"APP_LEAVER_{name}", value)
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    example = runpy.run_path(str(EXAMPLE))
    with example["leaver"]:
        async with TestServer(example["app"], port=port):
            yield url


@pytest_asyncio.fixture(loop_scope="session")
async def guide(sqlite_template: Path, tmp_path: Path, chromium: Browser) -> AsyncIterator[Guide]:
    url = copy_sqlite_template(sqlite_template, tmp_path / "leaver.db")
    async with console_scene(url, users=14) as scene:
        context = await console_context(chromium, scene.url, None)
        page = await context.new_page()
        made = Guide(scene, page, OpenedPage(page), chromium)
        await made.enter()
        yield made
        assert made.opened.said == []
        await context.close()


async def test_the_guide_runs_from_the_token_to_the_person_who_leaves(
    guide: Guide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 000: token, Test Connection, provisioning on, people appear, someone leaves, the session dies in the
    example app, on demand, logs.
    """
    page, scene, entra = guide.page, guide.scene, guide.entra
    await page.get_by_role("link", name="Entra", exact=True).first.wait_for()
    token = await guide.new_token("entra")
    await page.reload()
    assert token not in await page.content()

    entra.configure(await guide.tenant_url("Tenant URL"), token)
    await entra.test_connection()
    await guide.done("Token made")
    await guide.done("Test Connection seen")

    await entra.start()
    assert (await entra.run_cycle()).code is None
    await guide.done("First user")
    await guide.done("First group")
    await scene.pull.cycle()  # who signs in is known by the object id, which a pull proves
    leaver, later, *_ = sorted(scene.simulator.directory.entitled())
    name, other = (scene.simulator.directory.users[each].user_principal_name for each in (leaver, later))
    await page.goto(f"{guide.base}/users")
    await expect(page.get_by_text(name).first).to_be_visible()

    async with example_app(scene, monkeypatch) as app_url:
        context = await console_context(guide.chromium, scene.url, None)
        app = await context.new_page()
        await app.goto(app_url)
        await app.get_by_role("link", name="Sign in").click()
        await app.get_by_role("listitem").filter(has_text=name).get_by_role("link").click()
        await expect(app.get_by_text(f"Hello, {name}")).to_be_visible()

        scene.pull.lose(leaver, "disabled")
        await entra.run_cycle()
        answer = await app.reload()
        assert answer is not None
        assert answer.status == 401
        await app.get_by_role("link", name="Sign in").click()
        await app.get_by_role("listitem").filter(has_text=name).get_by_role("link").click()
        await expect(app.get_by_text("AADSTS50057")).to_be_visible()
        await context.close()
    await guide.done("First disable")

    scene.pull.lose(later, "disabled")
    await page.goto(f"{guide.base}/users?q={other}")
    await page.locator("tbody a.row").first.click()
    await page.get_by_role("button", name="Check now in Entra").click()
    await page.get_by_role("button", name="Do it: disable").click()
    await expect(page.get_by_text("every session ended, history stays")).to_be_visible()

    await page.goto(f"{guide.base}/logs?action=disable")
    for who, origin in ((name, "Push"), (other, "Pull")):
        await expect(page.locator("tbody tr").filter(has_text=who)).to_contain_text(origin)
    await page.locator("tbody tr").filter(has_text=other).get_by_role("link").click()
    await expect(page.locator("dialog.panel")).to_contain_text("5. Perform")


async def test_a_lost_token_is_replaced_and_the_revoked_one_is_told_with_its_remedy(guide: Guide) -> None:
    """Seed 000: wrong token, wrong URL, 403: the message says what to do."""
    page, entra = guide.page, guide.entra
    token, url = await guide.new_token("entra"), await guide.tenant_url("Tenant URL")
    for target, secret in ((url, f"{token[:-1]} "), (f"{url}x", token)):
        entra.configure(target, secret)
        with pytest.raises(JobStopped):
            await entra.test_connection()
    entra.configure(await guide.tenant_url("Tenant URL of this connection"), token)
    await entra.test_connection()

    await page.goto(f"{guide.base}/tokens")
    await page.get_by_role("link", name="Revoke").click()
    await expect(page.get_by_text("provisioning stops with 403")).to_be_visible()
    await page.get_by_role("button", name="Revoke entra").click()
    await expect(page.get_by_role("status")).to_contain_text("revoked for good")
    await until(lambda: is_refused(entra))  # an accepted token is remembered for a moment
    await guide.scene.database.write(  # longer ago: the refusal comes after the last use
        lambda conn: conn.execute(
            update(tables.api_tokens).values(last_used_at=tables.api_tokens.c.created_at)
        )
    )
    await page.goto(f"{guide.base}/setup")
    await expect(page.get_by_role("heading", name="Entra was refused")).to_be_visible()
    await expect(page.get_by_text("make a new token and paste it")).to_be_visible()

    entra.configure(url, await guide.new_token("entra again"))
    await entra.test_connection()

    async def is_told_no_more() -> bool:
        await page.goto(f"{guide.base}/setup")
        return not await page.get_by_role("heading", name="Entra was refused").count()

    await until(is_told_no_more)  # when a token was used is written a moment later


async def test_graph_is_tested_and_a_mapping_that_does_not_fit_is_taken_over(guide: Guide) -> None:
    """Seed 004, next step: app credentials, tested from the console; identity.md: the mapping is taken over."""
    page, scene, entra = guide.page, guide.scene, guide.entra
    await page.goto(f"{guide.base}/setup")
    await page.get_by_role("button", name="Test", exact=True).click()
    await expect(page.locator("#checks .badge.bad")).to_have_count(0)
    await guide.done("Permissions granted")
    await page.goto(f"{guide.base}/settings")
    await page.get_by_text("Replace the credential").click()
    await page.get_by_label("Client secret").fill("not the secret")
    await page.get_by_role("button", name="Try and store").click()
    await expect(page.get_by_text("Entra refuses the credential")).to_be_visible()
    guide.opened.said.clear()  # the browser notes the status of the refusal

    other = {"externalId": "employeeId"}
    rows = tuple(replace(row, source=other.get(row.target, row.source)) for row in DEFAULT_USER_MAPPING)
    entra.job.settings = replace(entra.job.settings, user_mapping=rows)
    for user in list(scene.simulator.directory.users.values()):
        if not user.text("employeeId"):
            scene.simulator.directory.change_user(user.id, {"employeeId": f"E{user.id[:6]}"})
    await entra.start(await guide.tenant_url("Tenant URL"), await guide.new_token("entra"))
    await entra.run_cycle()
    await page.goto(f"{guide.base}/mapping")
    await page.get_by_role("button", name="Check").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("The mapping does not fit")
    await page.get_by_role("button", name="Take over from Entra").click()
    await page.get_by_role("button", name="Check").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("The mapping fits")


async def test_an_operator_finds_the_worst_connection(guide: Guide) -> None:
    """issue 12: all connections, the worst first with the reason in words, one click away."""
    page, scene = guide.page, guide.scene
    await scene.database.write(
        lambda conn: conn.execute(
            update(tables.connections)
            .where(tables.connections.c.id == scene.empty.id)
            .values(quarantined_at=scene.empty.created_at, quarantine_reason="consent was taken back")
        )
    )
    await page.goto(f"{scene.url}/")
    await expect(page.get_by_role("heading", level=1)).to_have_text("1 connection needs you now")
    first = page.locator("tbody tr").first
    await expect(first).to_contain_text("consent was taken back")
    await page.get_by_role("link", name="Needs you 1").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_role("link", name="Empty").click()
    await expect(page).to_have_url(f"{scene.url}/connections/{scene.empty.id}")
    await page.goto(f"{scene.url}/operators")
    await guide.opened.check()


async def test_a_setup_link_opens_one_connection_for_one_browser(guide: Guide) -> None:
    """issue 12: "a setup link used by a stranger"; the admin needs no account."""
    scene = guide.scene
    made = await links.create_setup_link(scene.services, ADA, scene.many.id)
    address = f"{scene.url}/setup/{made.secret}"
    admin = await console_context(guide.chromium, scene.url, None)
    page = await admin.new_page()
    await page.goto(address)
    await page.get_by_role("button", name="Begin the set-up").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Connect Entra")
    await expect(page.get_by_role("link", name="Users")).to_have_count(0)
    await expect(page.get_by_role("link", name="New Token").first).to_be_visible()
    for foreign, status in ((scene.one.id, 404), (scene.foreign.id, 404)):
        answer = await page.goto(f"{scene.url}/connections/{foreign}/setup")
        assert answer is not None
        assert answer.status == status
    await page.goto(address)
    await expect(page).to_have_url(f"{guide.base}/setup")

    stranger = await console_context(guide.chromium, scene.url, None)
    late = await stranger.new_page()
    answer = await late.goto(address)
    assert answer is not None
    assert answer.status == 410
    await expect(late.get_by_text("opened before")).to_be_visible()

    await guide.page.goto(f"{guide.base}/setup")
    await expect(guide.page.locator("tbody")).to_contain_text("127.0.0.1")
    await guide.page.get_by_role("button", name="Revoke").first.click()
    answer = await page.goto(f"{guide.base}/setup")
    assert answer is not None
    assert answer.status == 401
    await admin.close()
    await stranger.close()
