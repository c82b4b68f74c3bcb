"""Operations on operators, set-ups and links."""

from __future__ import annotations

from typing import Annotated

from console.admin.operators import people
from console.admin.setup import checklist
from console.admin.setup import links as link_use_cases
from console.admin.setup.checklist import SetupChecklist
from console.admin.setup.links import CreatedLink
from console.api.contract import Caller, Routes
from console.api.schemas import access as schemas
from console.documents import access as documents
from console.documents import connections as connection_documents
from console.documents import logs as log_documents
from console.documents.values import JsonDocument
from store.access.records import AccessLink, LinkKind
from store.keys import utc_now

routes = Routes("Access")
PATHS = {LinkKind.SIGN_IN: "sign-in", LinkKind.SETUP: "setup", LinkKind.STATUS: "status"}


@routes.add("GET", "/operators", "admin:operator:read", problems=("operator-required",))
async def list_operators(caller: Caller) -> Annotated[JsonDocument, schemas.OperatorPage]:
    """List the people who enter the console by an invitation."""
    found = await people.list_all(caller.services, caller.actor)
    return caller.page(
        documents.operator(each, found.slugs.get(each.tenant_id) if each.tenant_id else None)
        for each in found.operators
    )


@routes.add(
    "POST",
    "/operators",
    "admin:operator:create",
    status=201,
    shows_secret=True,
    problems=("operator-required", "name-taken", "invalid-value", "not-found"),
)
async def invite_operator(
    caller: Caller, body: schemas.InvitationBody
) -> Annotated[JsonDocument, schemas.CreatedLinkAnswer]:
    """Make a link that signs a person in once, within 15 minutes."""
    made = await people.invite(caller.services, caller.actor, body.name, body.role, body.tenant)
    return _created(caller, made.link, made.secret)


@routes.add(
    "DELETE", "/operators/{operator}", "admin:operator:revoke", problems=("operator-required", "not-found")
)
async def remove_operator(caller: Caller, operator: str) -> Annotated[JsonDocument, schemas.OperatorAnswer]:
    """End the access of an operator at once, with every session."""
    return documents.operator(await people.remove(caller.services, caller.actor, operator), None)


@routes.add("GET", "/connections/{connection}/setup", "admin:connection:read", problems=("not-found",))
async def get_setup(caller: Caller, connection: str) -> Annotated[JsonDocument, schemas.SetupAnswer]:
    """Get the checklist of a connection: what was seen, when, and how it is known."""
    return _setup(caller, await checklist.show(caller.services, caller.actor, connection))


@routes.add(
    "POST", "/connections/{connection}/setup/test", "admin:connection:update", problems=("not-found",)
)
async def test_setup(caller: Caller, connection: str) -> Annotated[JsonDocument, schemas.TestedSetupAnswer]:
    """Try token, permissions and every query of a cycle, and tick what they prove."""
    tested = await checklist.examine(caller.services, caller.actor, connection)
    checks = [
        log_documents.check(
            each.area,
            each.name,
            each.found,
            each.detail,
            each.remedy if isinstance(each.remedy, str) else each.remedy.remedy,
        )
        for each in tested.checks
    ]
    return _setup(caller, tested.checklist, checks)


@routes.add("GET", "/connections/{connection}/links", "admin:connection:read", problems=("not-found",))
async def list_links(caller: Caller, connection: str) -> Annotated[JsonDocument, schemas.LinkPage]:
    """List setup links and status links, the newest first; never a secret."""
    now = utc_now()
    found = [
        each
        for kind in (LinkKind.SETUP, LinkKind.STATUS)
        for each in await link_use_cases.list_for(caller.services, caller.actor, connection, kind)
    ]
    return caller.page(documents.link(each, now) for each in found)


@routes.add(
    "POST",
    "/connections/{connection}/setup-links",
    "admin:connection:create",
    status=201,
    shows_secret=True,
    problems=("not-found",),
)
async def create_setup_link(
    caller: Caller, connection: str
) -> Annotated[JsonDocument, schemas.CreatedLinkAnswer]:
    """Make a link by which a customer's admin connects Entra without an account."""
    made = await link_use_cases.create_setup_link(caller.services, caller.actor, connection)
    return _link(caller, made)


@routes.add(
    "POST",
    "/connections/{connection}/status-links",
    "admin:connection:create",
    status=201,
    shows_secret=True,
    problems=("not-found", "invalid-value"),
)
async def create_status_link(
    caller: Caller, connection: str, body: schemas.StatusLinkBody
) -> Annotated[JsonDocument, schemas.CreatedLinkAnswer]:
    """Make a link to a page that shows the state of a connection."""
    made = await link_use_cases.create_status_link(
        caller.services, caller.actor, connection, body.frame_ancestors, may_sync=body.may_sync
    )
    return _link(caller, made)


@routes.add(
    "DELETE", "/connections/{connection}/links/{link}", "admin:connection:create", problems=("not-found",)
)
async def revoke_link(
    caller: Caller, connection: str, link: str
) -> Annotated[JsonDocument, schemas.LinkAnswer]:
    """End a link at once, with the session that it opened."""
    ended = await link_use_cases.revoke(caller.services, caller.actor, connection, link)
    return documents.link(ended, utc_now())


def _link(caller: Caller, made: CreatedLink) -> JsonDocument:
    return _created(caller, made.link, made.secret)


def _created(caller: Caller, link: AccessLink, secret: str) -> JsonDocument:
    url = f"{caller.services.settings.base_url}/{PATHS[link.kind]}/{secret}"
    return documents.created_link(link, url, utc_now())


def _setup(caller: Caller, found: SetupChecklist, checks: list[JsonDocument] | None = None) -> JsonDocument:
    refused = found.refused
    return documents.setup(
        connection_documents.connection(found.connection, caller.services.settings),
        [documents.setup_step(s.step, is_done=s.is_done, at=s.at, proof=s.proof) for s in found.steps],
        documents.refused_push(refused.at, refused.why, refused.address) if refused else None,
        checks,
    )
