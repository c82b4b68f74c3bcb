"""Every address of the console."""

from __future__ import annotations

from console.web.pages import drift, groups, home, logs, overview, person, plans, provision, run, users
from console.web.routes import WebRoute

PAGES = (
    home.routes,
    overview.routes,
    users.routes,
    person.routes,
    groups.routes,
    logs.routes,
    drift.routes,
    plans.routes,
    provision.routes,
    run.routes,
)

ROUTES: tuple[WebRoute, ...] = tuple(route for each in PAGES for route in each.routes)
