"""The provider by which the people of a connection sign in, and who is linked there."""

from __future__ import annotations

from console.admin.connections import openid_provider
from console.admin.connections.openid_provider import NewProvider
from console.admin.errors import Noun, UnknownReference
from console.documents.connections import sign_in_provider
from console.web import refusals
from console.web.pages.setup.settings import SETTINGS
from console.web.refusals import WebRefused
from console.web.routes import SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit

routes = WebRoutes()
PROVIDER = f"{SETTINGS}/sign-in"


@routes.page("settings.provider", PROVIDER, "admin:connection:read")
async def show(visit: Visit) -> WebAnswer:
    """Show by what people sign in, and which addresses to register there."""
    found = await openid_provider.show(visit.services, visit.actor, visit.connection_id)
    addresses = sign_in_provider(found.connection, found.other, visit.services.settings)
    return WebPage("setup/provider.html", {"found": found, "addresses": addresses})


@routes.form(
    "settings.provider_set",
    PROVIDER,
    "admin:connection:update",
    calls="connections.openid_provider.set_provider",
    recent=True,
)
async def set_provider(visit: Visit) -> WebAnswer:
    """Sign people in by another provider from now on."""
    wanted = NewProvider(
        visit.sent("issuer").strip(),
        visit.sent("client_id").strip(),
        visit.sent("secret").strip(),
        visit.sent("link_claim").strip() or None,
    )
    await openid_provider.set_provider(visit.services, visit.actor, visit.connection_id, wanted)
    return _shown(visit, "provider-set")


@routes.form(
    "settings.provider_removed",
    f"{PROVIDER}/remove",
    "admin:connection:update",
    calls="connections.openid_provider.remove_provider",
    recent=True,
)
async def remove(visit: Visit) -> WebAnswer:
    """Sign people in by Entra again."""
    await openid_provider.remove_provider(visit.services, visit.actor, visit.connection_id)
    return _shown(visit, "provider-removed")


@routes.form(
    "settings.provider_link",
    f"{PROVIDER}/link",
    "admin:connection:update",
    calls="connections.openid_provider.link",
    recent=True,
)
async def link(visit: Visit) -> WebAnswer:
    """Say which account a person of the provider has."""
    user, subject = visit.sent("user").strip(), visit.sent("subject").strip()
    try:
        await openid_provider.link(visit.services, visit.actor, visit.connection_id, user, subject)
    except UnknownReference as unknown:
        if unknown.noun is not Noun.USER:
            raise
        raise WebRefused(refusals.unusable("no account here has that userName or id")) from None
    return _shown(visit, "person-linked")


def _shown(visit: Visit, notice: str) -> SeeOther:
    return SeeOther(f"{visit.base}/settings/sign-in", notice)
