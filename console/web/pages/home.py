"""The start: the connections that a person may see, or the only one at once."""

from __future__ import annotations

from console.admin.connections import overview
from console.web.routes import SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit

routes = WebRoutes()


@routes.page("home", "/", "admin:connection:read")
async def home(visit: Visit) -> WebAnswer:
    """List the connections; a person with one goes straight to it."""
    if visit.may("admin:operator:read"):
        return SeeOther("/operator")
    found = await overview.list_all(visit.services, visit.actor)
    if len(found.connections) == 1:
        first = "" if visit.may("admin:user:read") else "/setup"
        return SeeOther(f"/connections/{found.connections[0].id}{first}")
    return WebPage("home.html", {"connections": found.connections, "slugs": found.slugs})
