"""Every address of the console."""

from __future__ import annotations

from console.web.pages import home, users
from console.web.routes import WebRoute

PAGES = (home.routes, users.routes)

ROUTES: tuple[WebRoute, ...] = tuple(route for each in PAGES for route in each.routes)
