"""Operators, links and the checklist of a set-up as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from config.settings import Settings
from console.admin.connections.openid_provider import SignInProvider
from console.admin.operators.people import Invitation, OperatorList
from console.admin.setup.checklist import SetupChecklist, SetupStep
from console.cli.output import View
from console.documents import access as documents
from console.documents import connections as connection_documents
from console.documents.values import page, utc_text
from console.rendering import text
from store.access.records import AccessLink, ConsoleOperator, LinkKind
from store.keys import utc_now

PATHS = {LinkKind.SIGN_IN: "sign-in", LinkKind.SETUP: "setup", LinkKind.STATUS: "status"}

STEPS = {
    SetupStep.TOKEN_MADE: "API token made",
    SetupStep.TEST_CONNECTION: "Test Connection seen",
    SetupStep.FIRST_USER: "First user pushed",
    SetupStep.FIRST_GROUP: "First group pushed",
    SetupStep.FIRST_DISABLE: "First person disabled",
    SetupStep.CREDENTIAL_STORED: "App credentials stored",
    SetupStep.GRAPH_TOKEN: "Graph gives a token",
    SetupStep.PERMISSIONS: "Permissions granted",
    SetupStep.APPLICATION: "Application found",
    SetupStep.MAPPING_FITS: "Mapping fits",
    SetupStep.FIRST_READING: "First complete reading",
    SetupStep.ENFORCE: "Mode enforce",
}


def invitation(made: Invitation, settings: Settings) -> View:
    """Show the link of an invitation, the only time."""
    url = _url(made.link, made.secret, settings)
    document = documents.created_link(made.link, url, utc_now())
    head = f"{made.operator.name} ({made.operator.role}) signs in once with this link, within 15 minutes:"
    return View(document, lambda: Group(head, "", _whole(url)))


def operators(found: OperatorList) -> View:
    """Show operators, one a line."""
    document = page(
        documents.operator(each, found.slugs.get(each.tenant_id) if each.tenant_id else None)
        for each in found.operators
    )
    lines = [
        f"{each.name}  {each.role}  {found.slugs.get(each.tenant_id) if each.tenant_id else 'all tenants'}"
        for each in found.operators
    ]
    return View(document, lambda: Group(*(lines or ["No operators yet: leaver operator invite NAME"])))


def removed(operator: ConsoleOperator) -> View:
    """Confirm that an operator's access ended."""
    line = f"{operator.name} enters the console no more: every session has ended."
    return View({"id": operator.id, "name": operator.name}, lambda: Text(line))


def created_link(link: AccessLink, secret: str, settings: Settings) -> View:
    """Show a new link, the only time."""
    url = _url(link, secret, settings)
    document = documents.created_link(link, url, utc_now())
    head = f"Valid until {utc_text(link.expires_at)}; it is stored as a hash and never shown again:"
    return View(document, lambda: Group(head, "", _whole(url)))


def links(found: Sequence[AccessLink]) -> View:
    """Show links, one a line."""
    now = utc_now()
    lines = [
        f"{each.id}  {each.kind}  {documents.link_state(each, now)}  until {utc_text(each.expires_at)}"
        + (f"  opened {utc_text(each.used_at)} from {each.used_from or 'unknown'}" if each.used_at else "")
        for each in found
    ]
    return View(
        page(documents.link(each, now) for each in found),
        lambda: Group(*(lines or ["No links: leaver setup link CONNECTION"])),
    )


def revoked(link: AccessLink) -> View:
    """Confirm that a link ended."""
    line = "The link opens nothing any more, and the session that it opened has ended."
    return View({"id": link.id, "kind": link.kind}, lambda: Text(line))


def setup(found: SetupChecklist, settings: Settings) -> View:
    """Show the checklist of a set-up."""
    connection = connection_documents.connection(found.connection, settings)
    refused = found.refused
    document = documents.setup(
        connection,
        [documents.setup_step(s.step, is_done=s.is_done, at=s.at, proof=s.proof) for s in found.steps],
        documents.refused_push(refused.at, refused.why, refused.address) if refused else None,
    )
    lines = [
        Text.assemble(
            ("✓ " if each.is_done else "○ ", text.GOOD if each.is_done else text.QUIET),
            f"{STEPS[each.step]:<24}",
            (f"{utc_text(each.at)}  {each.proof}" if each.is_done else "", text.QUIET),
        )
        for each in found.steps
    ]
    head = f"{found.done} of {len(found.steps)} done"
    last = [f"Entra was refused at {utc_text(refused.at)}: {refused.why}"] if refused else []
    return View(document, lambda: Group(head, *lines, *last))


def sign_in_provider(found: SignInProvider, settings: Settings) -> View:
    """Show by what people sign in, and which addresses to register there."""
    other = found.other
    document = connection_documents.sign_in_provider(found.connection, other, settings)
    shown = [
        ("Provider", "Entra, the connection's own directory" if other is None else other.issuer),
        *(() if other is None else (("Client id", other.client_id),)),
        *(() if other is None else (("Links by", other.link_claim or "hand: leaver provider link"),)),
        ("Redirect URI", str(document["redirect_uri"])),
        ("Front-channel logout", str(document["front_channel_logout_uri"])),
        ("Back-channel logout", str(document["back_channel_logout_uri"])),
    ]
    return View(document, lambda: text.facts(shown))


def _url(link: AccessLink, secret: str, settings: Settings) -> str:
    return f"{settings.base_url}/{PATHS[link.kind]}/{secret}"


def _whole(url: str) -> Text:
    return Text(f"  {url}", style="bold", no_wrap=True, overflow="ignore")
