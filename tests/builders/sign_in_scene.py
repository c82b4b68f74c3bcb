"""A connection to a simulated directory, Leaver's server over HTTP, and a browser between them."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from console.admin.services import Services
from console.browser import SESSION_COOKIE
from simulator.server import Simulator
from store.database import Database
from store.directory import sessions
from store.records import Connection, CreateUser, GraphId, Session, User
from tests.builders.browser import Browser, Page
from tests.builders.store_rows import perform, person


@dataclass
class SignInScene:
    """One connection to a directory of a few people, none of whom has an account yet."""

    database: Database
    connection: Connection
    simulator: Simulator
    services: Services
    url: str
    browser: Browser
    app: web.Application

    @property
    def base(self) -> str:
        return f"{self.url}/v1/admin/openid/{self.connection.id}"

    @property
    def people(self) -> list[str]:
        """Object ids of those who may sign in, in a fixed order."""
        return sorted(self.simulator.directory.entitled())

    async def account(self, object_id: str, **more: object) -> User:
        """An account that the pull made for this person."""
        command = CreateUser(person("ann", **more), entra_object_id=GraphId(object_id))
        [outcome] = await perform(self.database, self.connection, command)
        assert isinstance(outcome.record, User)
        return outcome.record

    async def answer(self, object_id: str, *, return_to: str = "", browser: Browser | None = None) -> Page:
        """Goes to the provider and signs in there; gives the redirect that brings the answer."""
        browser = browser or self.browser
        more = f"&return_to={return_to}" if return_to else ""
        begun = await browser.get(f"{self.base}/login?login_hint={object_id}{more}")
        assert begun.status == 303, begun.text
        return await browser.follow(begun)

    async def sign_in(self, object_id: str, *, return_to: str = "", browser: Browser | None = None) -> Page:
        browser = browser or self.browser
        return await browser.follow(await self.answer(object_id, return_to=return_to, browser=browser))

    async def live(self, browser: Browser | None = None) -> Session | None:
        secret = (browser or self.browser).cookie(self.url, SESSION_COOKIE)
        async with self.database.reading() as conn:
            return await sessions.find_live(conn, secret) if secret else None

    def another_browser(self) -> Browser:
        return Browser(self.browser.http)
