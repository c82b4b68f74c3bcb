"""Operations on the provider by which the people of a connection sign in."""

from __future__ import annotations

import hashlib
from typing import Annotated

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.connections import openid_provider
from console.admin.connections.openid_provider import NewProvider
from console.admin.references import lock_connection
from console.api.contract import Caller, Reply, Routes
from console.api.problems import Problem
from console.api.schemas import access as schemas
from console.documents import connections as documents
from console.documents.values import JsonDocument
from console.transactions import First, guarded
from store.integration.openid_providers import OpenIdProvider

routes = Routes("Sign-in")
PATH = "/connections/{connection}/sign-in-provider"


@routes.add("GET", PATH, "admin:connection:read", problems=("not-found",))
async def get_sign_in_provider(
    caller: Caller, connection: str
) -> Annotated[Reply, schemas.SignInProviderAnswer]:
    """Read by what people sign in, and which addresses to register there.

    The header ETag names the version.
    """
    return await _shown(caller, connection)


@routes.add(
    "PUT",
    PATH,
    "admin:connection:update",
    needs_version=True,
    problems=("not-found", "invalid-value", "operator-needed"),
)
async def set_sign_in_provider(
    caller: Caller, connection: str, body: schemas.SignInProviderBody
) -> Annotated[Reply, schemas.SignInProviderAnswer]:
    """Sign people in by a standard OpenID provider from now on.

    Sessions that live go on. Without `link_claim` each person is linked by hand.
    """
    wanted = NewProvider(body.issuer, body.client_id, body.client_secret.get_secret_value(), body.link_claim)
    services = guarded(caller.services, _is_unchanged(caller, connection))
    await openid_provider.set_provider(services, caller.actor, connection, wanted)
    return await _shown(caller, connection)


@routes.add("DELETE", PATH, "admin:connection:update", needs_version=True, problems=("not-found",))
async def remove_sign_in_provider(
    caller: Caller, connection: str
) -> Annotated[Reply, schemas.SignInProviderAnswer]:
    """Sign people in by Entra again; links of people stay."""
    services = guarded(caller.services, _is_unchanged(caller, connection))
    await openid_provider.remove_provider(services, caller.actor, connection)
    return await _shown(caller, connection)


@routes.add(
    "PUT",
    "/connections/{connection}/users/{user}/sign-in-subject",
    "admin:connection:update",
    problems=("not-found", "invalid-value"),
)
async def link_person(
    caller: Caller, connection: str, user: str, body: schemas.SubjectBody
) -> Annotated[JsonDocument, schemas.LinkedPersonAnswer]:
    """Say that a subject of the provider is the present holder of an account.

    The permission is one that Entra's own token has not.
    """
    account = await openid_provider.link(caller.services, caller.actor, connection, user, body.subject)
    return documents.linked_person(account, body.subject)


async def _shown(caller: Caller, reference: str) -> Reply:
    found = await openid_provider.show(caller.services, caller.actor, reference)
    document = documents.sign_in_provider(found.connection, found.other, caller.services.settings)
    return Reply(document, {"ETag": _etag(found.other)})


def _etag(other: OpenIdProvider | None) -> str:
    shown = None if other is None else [other.issuer, other.client_id, other.link_claim]
    return f'"{hashlib.sha256(orjson.dumps(shown)).hexdigest()[:32]}"'


def _is_unchanged(caller: Caller, reference: str) -> First:
    """Return the check that the provider is the one which If-Match names."""
    wanted = {each.strip().removeprefix("W/") for each in (caller.if_match or "").split(",")}

    async def compare(conn: AsyncConnection) -> None:
        locked = await lock_connection(conn, caller.actor, reference)
        now = _etag(await openid_provider.in_use(conn, locked))
        if not wanted & {"*", now}:
            raise Problem("precondition-failed", headers={"ETag": now}, extra={"current": now})

    return compare
