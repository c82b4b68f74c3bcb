"""Setup: what to paste into Entra, and a checklist that ticks itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from console.admin.checks.check import Advice, Check, Remedy
from console.admin.setup import checklist, links
from console.admin.setup.checklist import PUSH_STEPS, SetupChecklist, SetupProgress, SetupStep
from console.documents import access as documents
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from store.access.records import AccessLink, LinkKind
from store.keys import utc_now
from store.records import Connection
from worker.graph.read.application import missing_roles

routes = WebRoutes()


@dataclass(frozen=True, slots=True)
class StepWords:
    """A step as an admin reads it: its name, and what to do while it is not done."""

    name: str
    to_do: str


STEPS: Mapping[SetupStep, StepWords] = {
    SetupStep.TOKEN_MADE: StepWords(
        "Token made", "Make the token that Entra sends with each request: New Token."
    ),
    SetupStep.TEST_CONNECTION: StepWords(
        "Test Connection seen",
        "In Entra: Provisioning, Provisioning Mode Automatic, paste Tenant URL and Secret Token, press Test "
        "Connection. It shows here at once.",
    ),
    SetupStep.FIRST_USER: StepWords(
        "First user",
        "Provisioning Status On? Users or groups assigned under Users and groups? Entra's first cycle takes up to "
        "40 minutes.",
    ),
    SetupStep.FIRST_GROUP: StepWords(
        "First group", "Assign a group, for example All Employees: who joins it later gets access by itself."
    ),
    SetupStep.FIRST_DISABLE: StepWords(
        "First disable",
        "Take a test person out of the assignment, or disable the account. Access ends here within Entra's next cycle.",
    ),
    SetupStep.CREDENTIAL_STORED: StepWords(
        "App credentials stored", "Enter client id and secret, or a certificate, under Settings."
    ),
    SetupStep.GRAPH_TOKEN: StepWords("Graph gives a token", "Press Test: Leaver asks Entra for a token."),
    SetupStep.PERMISSIONS: StepWords(
        "Permissions granted", "Add the permissions below, then grant admin consent, then press Test."
    ),
    SetupStep.APPLICATION: StepWords(
        "Application found",
        "Press Test: Leaver looks for the enterprise application whose assignments count.",
    ),
    SetupStep.MAPPING_FITS: StepWords(
        "Mapping fits", "Open Mapping and press Check: it compares what Entra wrote with the directory."
    ),
    SetupStep.FIRST_READING: StepWords(
        "First complete reading",
        "Comes with the next cycle, or at once by Sync now. Nothing is removed by it.",
    ),
    SetupStep.ENFORCE: StepWords(
        "Drift is repaired", "When the reports look right, switch from report to enforce under Settings."
    ),
}

REMEDIES: Mapping[Remedy, str] = {
    Remedy.STORE_CREDENTIAL: "Enter the app's credentials under Settings.",
    Remedy.RESTORE_SECRET_KEY: "Enter the app's credentials again under Settings: they were stored under another key.",
}


@routes.page("setup", f"{CONNECTION}/setup", "admin:connection:read")
async def setup(visit: Visit) -> WebAnswer:
    """Show the guide of one connection."""
    found = await checklist.show(visit.services, visit.actor, visit.connection_id)
    return await _page(visit, found)


@routes.form(
    "setup.test", f"{CONNECTION}/setup/test", "admin:connection:update", calls="setup.checklist.examine"
)
async def test(visit: Visit) -> WebAnswer:
    """Try Microsoft Graph, and show each check with its remedy."""
    tested = await checklist.examine(visit.services, visit.actor, visit.connection_id)
    return await _page(visit, tested.checklist, tested.checks)


@routes.form(
    "setup.link",
    f"{CONNECTION}/setup/links",
    "admin:connection:create",
    calls="setup.links.create_setup_link",
    recent=True,
)
async def make_link(visit: Visit) -> WebAnswer:
    """Make a setup link and show it once."""
    made = await links.create_setup_link(visit.services, visit.actor, visit.connection_id)
    values = {
        "url": f"{visit.public_url}/setup/{made.secret}",
        "link": made.link,
        "heading": "Setup link made",
        "back": f"{visit.base}/setup",
    }
    return WebPage("setup/link_made.html", values, is_secret=True)


@routes.form(
    "setup.status_link",
    f"{CONNECTION}/setup/status-links",
    "admin:connection:create",
    calls="setup.links.create_status_link",
    recent=True,
)
async def make_status_link(visit: Visit) -> WebAnswer:
    """Make a link to the status page and show it once."""
    origins = visit.sent("frame").split()
    made = await links.create_status_link(
        visit.services, visit.actor, visit.connection_id, origins, may_sync=bool(visit.sent("sync"))
    )
    values = {
        "url": f"{visit.public_url}/status/{made.secret}",
        "link": made.link,
        "heading": "Status link made",
        "back": f"{visit.base}/setup",
    }
    return WebPage("setup/link_made.html", values, is_secret=True)


@routes.form(
    "setup.revoke_link",
    f"{CONNECTION}/setup/links/{{link}}/revoke",
    "admin:connection:create",
    calls="setup.links.revoke",
)
async def revoke_link(visit: Visit) -> WebAnswer:
    """End a link and the session that it opened."""
    await links.revoke(visit.services, visit.actor, visit.connection_id, visit.part("link"))
    return SeeOther(f"{visit.base}/setup", "link-revoked")


async def _page(visit: Visit, found: SetupChecklist, checks: Sequence[Check] = ()) -> WebPage:
    connection, now = found.connection, utc_now()
    shown: list[AccessLink] = []
    if visit.may("admin:connection:create"):
        for kind in (LinkKind.SETUP, LinkKind.STATUS):
            shown += await links.list_for(visit.services, visit.actor, visit.connection_id, kind)
    values = {
        "found": found,
        "push": _worded(found.steps[: len(PUSH_STEPS)]),
        "pull": _worded(found.steps[len(PUSH_STEPS) :]),
        "urls": urls(visit, connection),
        "consent_url": consent_url(visit, connection),
        "permissions": sorted(missing_roles(frozenset())),
        "checks": [(each, remedy_of(each)) for each in checks],
        "links": [(each, documents.link_state(each, now)) for each in shown],
    }
    return WebPage("setup/guide.html", values)


def _worded(steps: Sequence[SetupProgress]) -> list[tuple[SetupProgress, StepWords]]:
    return [(each, STEPS[each.step]) for each in steps]


def urls(visit: Visit, connection: Connection) -> Mapping[str, str]:
    """Return what is pasted into Entra, by the name of its field there."""
    return {
        "Tenant URL": f"{visit.public_url}/api/scim/v2",
        "Tenant URL of this connection": f"{visit.public_url}/v1/admin/scim/{connection.id}",
        "Redirect URI": f"{visit.public_url}/v1/admin/openid/{connection.id}/callback/login",
    }


def consent_url(visit: Visit, connection: Connection) -> str | None:
    """Return where an admin grants the permissions; None before the client is known."""
    if not connection.client_id or not connection.entra_tenant_id:
        return None
    query = {
        "client_id": connection.client_id,
        "redirect_uri": urls(visit, connection)["Redirect URI"],
    }
    return f"{connection.login_url}/{connection.entra_tenant_id}/adminconsent?{urlencode(query)}"


def remedy_of(check: Check) -> str:
    """Return what to do about a check, with the controls of the console."""
    if isinstance(check.remedy, Advice):
        return REMEDIES.get(check.remedy.remedy, "Open Settings and look at the credentials.")
    return check.remedy
