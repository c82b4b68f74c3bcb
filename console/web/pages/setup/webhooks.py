"""Webhooks: where events are sent, and how that goes."""

from __future__ import annotations

from console.admin.events import webhooks
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit

routes = WebRoutes()
WEBHOOKS = f"{CONNECTION}/webhooks"


@routes.page("webhooks", WEBHOOKS, "admin:webhook:read")
async def list_webhooks(visit: Visit) -> WebAnswer:
    """List the webhooks of the tenant."""
    place = await visit.place()
    found = await webhooks.list_all(visit.services, visit.actor)
    shown = [each for each in found if each.tenant_id in (None, place.tenant.id)]
    return WebPage("setup/webhooks.html", {"webhooks": shown})


@routes.form("webhooks.create", WEBHOOKS, "admin:webhook:create", calls="events.webhooks.create", recent=True)
async def create(visit: Visit) -> WebAnswer:
    """Make a webhook and show its secret once."""
    place = await visit.place()
    types = visit.sent("types").replace(",", " ").split()
    made, secret = await webhooks.create(
        *(visit.services, visit.actor, visit.sent("url").strip(), types, place.tenant.id),
        acknowledges=bool(visit.sent("acknowledges")),
    )
    return _secret(visit, made.url, secret)


@routes.page("webhooks.show", f"{WEBHOOKS}/{{webhook}}", "admin:webhook:read")
async def show(visit: Visit) -> WebAnswer:
    """Show a webhook, and the events that it did not take."""
    found = await webhooks.show(visit.services, visit.actor, visit.part("webhook"))
    return WebPage("setup/webhook.html", {"found": found, "tested": None})


@routes.form(
    "webhooks.test", f"{WEBHOOKS}/{{webhook}}/test", "admin:webhook:update", calls="events.webhooks.send_test"
)
async def send_test(visit: Visit) -> WebAnswer:
    """Send a test event, and show the answer."""
    tested = await webhooks.send_test(visit.services, visit.actor, visit.part("webhook"))
    found = await webhooks.show(visit.services, visit.actor, visit.part("webhook"))
    return WebPage("setup/webhook.html", {"found": found, "tested": tested})


@routes.form(
    "webhooks.rotate",
    f"{WEBHOOKS}/{{webhook}}/rotate",
    "admin:webhook:update",
    calls="events.webhooks.rotate",
    recent=True,
)
async def rotate(visit: Visit) -> WebAnswer:
    """Make a new secret; both sign for a day."""
    made, secret = await webhooks.rotate(visit.services, visit.actor, visit.part("webhook"))
    return _secret(visit, made.url, secret)


@routes.form(
    "webhooks.replay",
    f"{WEBHOOKS}/{{webhook}}/replay",
    "admin:webhook:update",
    calls="events.webhooks.replay",
)
async def replay(visit: Visit) -> WebAnswer:
    """Send everything after a cursor again."""
    webhook = visit.part("webhook")
    await webhooks.replay(visit.services, visit.actor, webhook, visit.sent("after").strip())
    return SeeOther(f"{visit.base}/webhooks/{webhook}", "webhook-replayed")


@routes.form(
    "webhooks.delete",
    f"{WEBHOOKS}/{{webhook}}/delete",
    "admin:webhook:delete",
    calls="events.webhooks.delete",
)
async def delete(visit: Visit) -> WebAnswer:
    """Send nothing more there."""
    await webhooks.delete(visit.services, visit.actor, visit.part("webhook"))
    return SeeOther(f"{visit.base}/webhooks", "webhook-deleted")


def _secret(visit: Visit, url: str, secret: str) -> WebPage:
    return WebPage("setup/webhook_secret.html", {"url": url, "secret": secret}, is_secret=True)
