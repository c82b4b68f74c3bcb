"""The route table of the console: method, path, permission, handler, and the use case
that a form calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from console.web.visit import Visit

CONNECTION = "/connections/{connection}"


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page to be rendered: its template and what the template shows."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)
    status: int = 200
    is_secret: bool = False
    """It shows a secret: no cache may keep it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """In place of those of every page."""


@dataclass(frozen=True, slots=True)
class SeeOther:
    """The page to go to after a form, and a message to show there.

    `notice` is one of `console.web.wording.notices`.
    """

    location: str
    notice: str | None = None


WebAnswer = WebPage | SeeOther | web.StreamResponse
WebHandler = Callable[[Visit], Awaitable[WebAnswer]]


@dataclass(frozen=True, slots=True)
class WebRoute:
    """One address of the console."""

    name: str
    method: str
    path: str
    permission: str | None
    """What the person needs; None: no session."""
    handler: WebHandler
    calls: str | None = None
    """Of a form: the use case, as `module.function` below `console.admin`."""
    needs_recent_sign_in: bool = False

    @property
    def is_form(self) -> bool:
        """Return whether it changes something."""
        return self.method == "POST"


@dataclass(frozen=True, slots=True)
class WebRoutes:
    """Collects the routes of a page module."""

    routes: list[WebRoute] = field(default_factory=list)

    def page(
        self, name: str, path: str, permission: str | None, *, recent: bool = False
    ) -> Callable[[WebHandler], WebHandler]:
        """Add a page, which changes nothing."""

        def add(handler: WebHandler) -> WebHandler:
            self.routes.append(WebRoute(name, "GET", path, permission, handler, None, recent))
            return handler

        return add

    def form(
        self, name: str, path: str, permission: str | None, *, calls: str, recent: bool = False
    ) -> Callable[[WebHandler], WebHandler]:
        """Add what a form is sent to; `calls` names the use case that does the deed."""

        def add(handler: WebHandler) -> WebHandler:
            self.routes.append(WebRoute(name, "POST", path, permission, handler, calls, recent))
            return handler

        return add
