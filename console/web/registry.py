"""Every address of the console."""

from __future__ import annotations

from console.web.pages import drift, groups, home, logs, overview, person, plans, provision, run, users
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
PAGES = (
    *(home.routes, overview.routes, users.routes, person.routes, groups.routes, logs.routes),
    *(drift.routes, plans.routes, provision.routes, run.routes, *SETUP_PAGES),
)

ROUTES: tuple[WebRoute, ...] = tuple(route for each in PAGES for route in each.routes)
