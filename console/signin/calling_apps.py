"""Who asks about sessions: the vendor's app, by a token of one connection, or of an
operator for all tenants.
"""

from __future__ import annotations

import binascii
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from scim2_models import ForbiddenException, UnauthorizedException

from console.admin.actor import Actor, ActorKind
from scim.auth.gate import Authenticator
from store.database import Database
from store.integration import operator_tokens
from store.records import ApiToken, OperatorToken, TenantId, TokenId

SECTION, ACTION = "admin:session", "introspect"
_ANY_OF = frozenset({f"{SECTION}:{ACTION}", f"{SECTION}:*", SECTION, "*"})
_MEMORY_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class CallingApp:
    """The vendor's app, and whose sessions it can ask about."""

    token_id: TokenId
    actor: Actor
    """The app as the actor of a use case; of an operator's token without a tenant: for
    the sessions of all.
    """
    may_introspect: bool
    """Whether it may ask about sessions, and fetch them after sign-in."""

    @classmethod
    def of(cls, token: ApiToken) -> CallingApp:
        """Return the app that a connection's token stands for."""
        return cls.made_of(token.id, token.name, token.permissions, token.tenant_id)

    @classmethod
    def made_of(
        cls, token_id: TokenId, name: str, permissions: Sequence[str], tenant_id: TenantId | None
    ) -> CallingApp:
        """Return the app that a token of any kind stands for."""
        actor = Actor(ActorKind.API, name, tenant_id)
        return cls(token_id, actor, not _ANY_OF.isdisjoint(permissions))


@dataclass(slots=True)
class CallingApps:
    """Authenticates apps; an operator's token is remembered as long as a connection's
    is (`token_memory_s`), and its revocation takes effect within that time.
    """

    db: Database
    tokens: Authenticator
    memory_s: float
    clock: Callable[[], float] = time.monotonic
    _operators: dict[str, tuple[float, OperatorToken]] = field(default_factory=dict)
    _apps: dict[TokenId, tuple[ApiToken, CallingApp]] = field(default_factory=dict)
    """What was made of tokens, for as long as these are remembered."""

    async def bearer(self, authorization: str, address: str | None) -> CallingApp:
        """Return the app of a bearer header.

        Raises scim2_models.UnauthorizedException or ForbiddenException.
        """
        try:
            return self._app_of(await self.tokens.authenticate_app(authorization, address))
        except UnauthorizedException:
            operator = await self.operator(authorization.strip().partition(" ")[2])
            if operator is None:
                raise
            return operator

    async def basic(self, encoded: str, address: str | None) -> CallingApp:
        """Return the app of a Basic header: the id of a connection and a token.

        Raises what `bearer` raises.
        """
        try:
            client_id, found, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            found = ""
        if not found:
            raise UnauthorizedException(detail="The Basic header holds no client id and secret.")
        try:
            token = await self.tokens.identify(unquote_plus(secret), unquote_plus(client_id), address)
        except UnauthorizedException:
            operator = await self.operator(unquote_plus(secret))
            if operator is None:
                raise
            return operator
        return CallingApp.of(token)

    async def operator(self, secret: str) -> CallingApp | None:
        """Return the app of an operator's token; None for another secret.

        Raises scim2_models.ForbiddenException for a token that is over.
        """
        token = await self._operator_token(secret.strip())
        if token is None:
            return None
        if token.revoked_at is not None:
            raise ForbiddenException(detail=f"The operator's token '{token.name}' was revoked.")
        if token.expires_at is not None and token.expires_at <= datetime.now(UTC):
            raise ForbiddenException(detail=f"The operator's token '{token.name}' has expired.")
        return CallingApp.made_of(token.id, token.name, token.permissions, None)

    def _app_of(self, token: ApiToken) -> CallingApp:
        """Return the app of a token, made once for each token that was read."""
        known = self._apps.get(token.id)
        if known is None or known[0] is not token:
            if len(self._apps) >= _MEMORY_SIZE:
                self._apps.clear()
            known = self._apps[token.id] = (token, CallingApp.of(token))
        return known[1]

    async def _operator_token(self, secret: str) -> OperatorToken | None:
        known = self._operators.get(secret)
        if known is not None and self.clock() - known[0] < self.memory_s:
            return known[1]
        async with self.db.reading(single_statement=True) as conn:
            token = await operator_tokens.find_by_secret(conn, secret)
        if token is not None:
            if len(self._operators) >= _MEMORY_SIZE:
                self._operators.clear()
            self._operators[secret] = (self.clock(), token)
        return token
