"""Every address of the console."""

from __future__ import annotations

from console.web.pages import home, users
from console.web.pages.setup import (
    audit,
    enter,
    guide,
    mapping,
    operator,
    settings,
    status,
    tokens,
    webhooks,
)
from console.web.routes import WebRoute

SETUP_PAGES = (
    *(enter.routes, guide.routes, tokens.routes, mapping.routes, settings.routes, webhooks.routes),
    *(operator.routes, status.routes, audit.routes),
)
PAGES = (home.routes, users.routes, *SETUP_PAGES)

ROUTES: tuple[WebRoute, ...] = tuple(route for each in PAGES for route in each.routes)
