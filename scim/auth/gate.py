"""Authenticate a bearer token and find its connection (status codes: design.md §6).

A missing or unknown token is answered with 401. One that is revoked, suspended,
expired, used from a wrong address, or of another connection gets 403. A paused
connection gets 503.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from scim2_models import ForbiddenException, UnauthorizedException
from sqlalchemy.ext.asyncio import AsyncConnection

from scim.auth.access_tokens import (
    AccessTokens,
    looks_like_access_token,
    require_allowed_address,
    require_own_base,
    require_usable,
)
from scim.auth.federation import opened_by, read_assertion
from scim.auth.jwks import SigningKeys
from scim.auth.request_rate import RequestRate
from scim.errors import NotNow
from scim.limits import ScimLimits
from scim.schema.definitions import Declared, declared_by
from store.database import Database
from store.directory import users
from store.errors import NotFound
from store.logs import audit_log
from store.records import ApiToken, Connection, JsonValue, TokenId, UserId
from store.tenancy import api_tokens, connections, used_assertions

PAUSED_RETRY_S = 300
TOUCH_EVERY_S = 60.0
REFUSAL_EVERY_S = 3600.0
_MEMORY_SIZE = 10_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AuthenticatedToken:
    token: ApiToken
    connection: Connection
    declared: Declared
    """Custom attributes that the connection's attribute mapping adds to the schemas."""


class Authenticator:
    """Authenticates bearer tokens.

    Accepted tokens are cached for `token_memory_s` (1 s), since a lookup for each
    request would halve the throughput. A revocation takes effect within that time.
    """

    def __init__(
        self,
        db: Database,
        limits: ScimLimits,
        access_tokens: AccessTokens,
        keys: SigningKeys | None = None,
        clock: Callable[[], float] = time.monotonic,
        rate: RequestRate | None = None,
    ) -> None:
        self._db = db
        self._keys = keys or SigningKeys()
        self._access_tokens = access_tokens
        self._limits = limits
        self._clock = clock
        self._accepted: dict[str, tuple[float, AuthenticatedToken]] = {}
        self._touched: dict[TokenId, float] = {}
        self._warned: dict[TokenId, int] = {}
        self._refused: dict[TokenId, float] = {}
        self.rate = rate or RequestRate(limits, clock)
        self._guesses: dict[str, list[float]] = {}

    async def authenticate(
        self,
        authorization: str | None,
        connection_id: str | None,
        address: str | None,
        *,
        even_paused: bool = False,
    ) -> AuthenticatedToken:
        """Return the token and its connection.

        Raises scim2_models.UnauthorizedException or ForbiddenException,
        TooManyRequests, or NotNow while the connection is paused; with `even_paused`
        the pause is none of the caller's business.
        """
        secret = _bearer(authorization)
        authenticated = self._remembered(secret) or await self._look_up(secret)
        token, connection = authenticated.token, authenticated.connection
        try:
            require_usable(token)
            require_allowed_address(token, address)
            require_own_base(token, connection_id)
            if token.user_id is not None:
                await self._refuse_deprovisioned(token)
        except ForbiddenException as error:
            await self._note_refusal(token, error.detail, address)
            raise
        self.rate.count(token.id)
        if connection.paused_at is not None and not even_paused:
            reason = f" ({connection.paused_reason})" if connection.paused_reason else ""
            raise NotNow(f"The connection is paused in Leaver{reason}; resume it there.", PAUSED_RETRY_S)
        return authenticated

    async def authenticate_app(self, authorization: str | None, address: str | None) -> ApiToken:
        """Return the token of the vendor's app, also while its connection is paused.

        Its questions cost one indexed read each and do not count with the pushes.
        Raises scim2_models.UnauthorizedException or ForbiddenException.
        """
        secret = _bearer(authorization)
        token = (self._remembered(secret) or await self._look_up(secret)).token
        try:
            require_usable(token)
            require_allowed_address(token, address)
            if token.user_id is not None:
                await self._refuse_deprovisioned(token)
        except ForbiddenException as error:
            await self._note_refusal(token, error.detail, address)
            raise
        return token

    async def _note_refusal(self, token: ApiToken, why: str, address: str | None) -> None:
        """Record in the audit log that a refused token is still in use.

        Entra's own log says only 403. One entry an hour is written for each token, so
        that repeated requests do not fill the log.
        """
        now = self._clock()
        if now - self._refused.get(token.id, -REFUSAL_EVERY_S) < REFUSAL_EVERY_S:
            return
        self._refused[token.id] = now
        detail: dict[str, JsonValue] = {"why": why, "address": address}
        label = f"{token.name} ({token.prefix}…)"
        await self._db.write(
            lambda writing: audit_log.record(
                writing,
                token.tenant_id,
                token.connection_id,
                audit_log.NOBODY,
                "token.refused",
                token.id,
                label,
                detail,
            )
        )

    async def _refuse_deprovisioned(self, token: ApiToken) -> None:
        """Refuse a token of an inactive or missing user (design.md §7, I3).

        The user is read for each request: access ends with the commit that removes it.
        """
        async with self._db.reading() as reading:
            try:
                user = await users.get(reading, token.tenant_id, UserId(token.user_id or ""))
            except NotFound:
                user = None
        if user is None or not user.active:
            raise ForbiddenException(
                detail=f"The API token '{token.name}' stands for a user whose access was taken away."
            )
        if (user.holder_number, user.period) != (token.holder_number, token.period):
            raise ForbiddenException(
                detail=f"The API token '{token.name}' was issued before the user's access ended or the account "
                "changed its holder, and never works again: make a new one."
            )

    def due_touch(self, token: ApiToken) -> bool:
        """Whether the last use of a token is due to be recorded: once in
        `TOUCH_EVERY_S`.
        """
        now = self._clock()
        if now - self._touched.get(token.id, -TOUCH_EVERY_S) < TOUCH_EVERY_S:
            return False
        self._touched[token.id] = now
        return True

    async def touch(self, token: ApiToken, address: str | None) -> None:
        """Record the last use of a token; warn once for each step before it expires."""
        days = api_tokens.ends_within_days(token, datetime.now(UTC))
        if days is not None and self._warned.get(token.id) != days:
            self._warned[token.id] = days
            log.warning(
                "scim.token_ends_soon",
                token_id=token.id,
                connection_id=token.connection_id,
                ends_at=str(token.expires_at),
                within_days=days,
                remedy=f"leaver token rotate {token.id}, then paste the new one into Entra",
            )
        await self._db.write(lambda writing: api_tokens.touch(writing, token.tenant_id, token.id, address))

    def failed_attempts(self, address: str | None) -> int:
        """Count a refused token.

        Returns how many came from this address within the last minute, this one
        included.
        """
        now = self._clock()
        recent = [each for each in self._guesses.get(address or "", ()) if now - each < 60]
        if len(self._guesses) >= _MEMORY_SIZE:
            self._guesses.clear()
        self._guesses[address or ""] = [*recent[-100:], now]
        return len(recent) + 1

    def _remembered(self, secret: str) -> AuthenticatedToken | None:
        known = self._accepted.get(secret)
        if known is None or self._clock() - known[0] >= self._limits.token_memory_s:
            return None
        return known[1]

    async def identify(self, secret: str, client_id: str, address: str | None) -> ApiToken:
        """Return the API token that is the secret of an OAuth client, a connection.

        Raises what `authenticate` raises; a secret of another client counts as unknown.
        """
        if looks_like_access_token(secret):
            raise UnauthorizedException(detail="An access token is no client secret.")
        token = (await self._look_up(secret)).token
        if token.connection_id != client_id:
            raise UnauthorizedException(
                detail="No such client, or a wrong secret: the client id is the id of the connection, "
                "the secret one of its API tokens."
            )
        require_usable(token)
        require_allowed_address(token, address)
        self.rate.count(token.id)
        return token

    async def identify_workload(self, assertion: str, client_id: str, address: str | None) -> ApiToken:
        """Return the API token that an assertion of Entra stands for.

        The client id is that of a connection. An assertion is accepted once. Raises
        what `authenticate` raises, and NotNow while Entra's keys cannot be read.
        """
        async with self._db.reading(single_statement=True) as reading:
            connection = await _client(reading, client_id)
            known = await api_tokens.list_for(reading, connection.tenant_id, connection.id)
        shown = await read_assertion(assertion, connection, self._keys)
        token = opened_by(shown, known)
        require_usable(token)
        require_allowed_address(token, address)
        self.rate.count(token.id)
        is_first = await self._db.write(
            lambda writing: used_assertions.mark_used(
                writing, token.tenant_id, token.connection_id, shown.uti, shown.ends_at, datetime.now(UTC)
            )
        )
        if not is_first:
            raise UnauthorizedException(detail="The assertion is not accepted: it was used before.")
        return token

    async def _look_up(self, secret: str) -> AuthenticatedToken:
        async with self._db.reading(single_statement=True) as reading:
            if looks_like_access_token(secret):
                token = await api_tokens.get(reading, *self._access_tokens.read(secret))
            else:
                token = await _known(reading, secret)
            connection = await _connection_of(reading, token)
        policy = connection.policy
        authenticated = AuthenticatedToken(
            token, connection, declared_by((*(policy.mapping or ()), *policy.extensions))
        )
        if len(self._accepted) >= _MEMORY_SIZE:
            self._accepted.clear()
        self._accepted[secret] = (self._clock(), authenticated)
        return authenticated


async def _connection_of(reading: AsyncConnection, token: ApiToken) -> Connection:
    try:
        return await connections.get(reading, token.tenant_id, token.connection_id)
    except NotFound:
        raise UnauthorizedException(detail="The connection of this API token was deleted.") from None


async def _known(reading: AsyncConnection, secret: str) -> ApiToken:
    token = await api_tokens.find_by_secret(reading, secret)
    if token is None:
        raise UnauthorizedException(
            detail="This API token is not known. Paste it whole into Entra, or make a new one."
        )
    return token


async def _client(reading: AsyncConnection, client_id: str) -> Connection:
    """Find the connection with this id; its name is not accepted."""
    try:
        found = await connections.find(reading, client_id)
    except NotFound:
        found = None
    if found is None or found.id != client_id:
        raise UnauthorizedException(detail="No such client: the client id is the id of the connection.")
    return found


def _bearer(authorization: str | None) -> str:
    scheme, _, secret = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise UnauthorizedException(detail="No API token: send it as 'Authorization: Bearer <token>'.")
    return secret.strip()
