"""Operations on the API tokens of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from console.admin import api_tokens
from console.admin.api_tokens import NewToken
from console.admin.permissions import FOR_ENTRA
from console.api.contract import Caller, Routes
from console.api.schemas import tenancy as schemas
from console.documents import api_tokens as documents
from console.documents.values import JsonDocument
from store.records import ApiToken

routes = Routes("API tokens")


@routes.add("GET", "/connections/{connection}/tokens", "admin:token:read", problems=("not-found",))
async def list_tokens(caller: Caller, connection: str) -> Annotated[JsonDocument, schemas.TokenPage]:
    """List the tokens of a connection, the oldest first; never a secret."""
    found = await api_tokens.list_for(caller.services, caller.actor, connection)
    return caller.page(_document(each) for each in found)


@routes.add(
    "POST",
    "/connections/{connection}/tokens",
    "admin:token:create",
    status=201,
    shows_secret=True,
    problems=("not-found", "invalid-value"),
)
async def create_token(
    caller: Caller, connection: str, body: schemas.NewTokenBody
) -> Annotated[JsonDocument, schemas.CreatedTokenAnswer]:
    """Create a token; the answer is the only place that shows its secret.

    It has no permission that the calling token lacks.
    """
    wanted = NewToken(
        name=body.name,
        permissions=body.permissions,
        expires_days=body.expires_days,
        allowed_addresses=body.allowed_addresses,
    )
    _require_all(caller, wanted.permissions if wanted.permissions is not None else FOR_ENTRA)
    made = await api_tokens.create(caller.services, caller.actor, connection, wanted)
    return documents.created_token(made.token, made.secret)


@routes.add(
    "POST",
    "/tokens/{token}/rotate",
    "admin:token:create",
    status=201,
    shows_secret=True,
    problems=("not-found", "ambiguous-reference"),
)
async def rotate_token(
    caller: Caller, token: str, body: schemas.RotationBody
) -> Annotated[JsonDocument, schemas.CreatedTokenAnswer]:
    """Create a successor of a token; the old one ends after the overlap."""
    old = await api_tokens.show(caller.services, caller.actor, token)
    _require_all(caller, old.permissions)
    made = await api_tokens.rotate(
        caller.services, caller.actor, old.id, body.overlap_days, body.expires_days
    )
    return documents.created_token(made.token, made.secret)


@routes.add("DELETE", "/tokens/{token}", "admin:token:revoke", problems=("not-found", "ambiguous-reference"))
async def revoke_token(caller: Caller, token: str) -> Annotated[JsonDocument, schemas.TokenAnswer]:
    """End a token at once and for good."""
    return _document(await api_tokens.revoke(caller.services, caller.actor, token))


@routes.add(
    "POST",
    "/tokens/{token}/suspend",
    "admin:token:revoke",
    problems=("not-found", "ambiguous-reference", "conflict"),
)
async def suspend_token(caller: Caller, token: str) -> Annotated[JsonDocument, schemas.TokenAnswer]:
    """Refuse a token until it is resumed."""
    return _document(await api_tokens.suspend(caller.services, caller.actor, token))


@routes.add(
    "POST",
    "/tokens/{token}/resume",
    "admin:token:create",
    problems=("not-found", "ambiguous-reference", "conflict"),
)
async def resume_token(caller: Caller, token: str) -> Annotated[JsonDocument, schemas.TokenAnswer]:
    """Accept a suspended token again."""
    return _document(await api_tokens.resume(caller.services, caller.actor, token))


@routes.add(
    "PUT",
    "/tokens/{token}/addresses",
    "admin:token:create",
    problems=("not-found", "ambiguous-reference", "invalid-value"),
)
async def restrict_token(
    caller: Caller, token: str, body: schemas.AddressesBody
) -> Annotated[JsonDocument, schemas.TokenAnswer]:
    """Accept a token from these addresses only; with none, from everywhere."""
    found = await api_tokens.allow_addresses(caller.services, caller.actor, token, body.allowed_addresses)
    return _document(found)


def _document(token: ApiToken) -> JsonDocument:
    return documents.token(token, datetime.now(UTC))


def _require_all(caller: Caller, permissions: Sequence[str]) -> None:
    """Refuse to make a token that may more than the calling one."""
    for permission in permissions:
        caller.require(permission if permission.count(":") > 1 else f"{permission}:*")
