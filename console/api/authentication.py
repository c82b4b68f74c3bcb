"""Authenticate the bearer token of a request: of a tenant's connection, or an
operator's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scim2_models import UnauthorizedException

from console.admin.actor import Actor, ActorKind
from console.api.problems import Problem
from scim.auth.gate import Authenticator
from scim.errors import TooManyRequests
from scim.limits import ScimLimits
from store.database import Database
from store.integration import operator_tokens
from store.records import OperatorToken

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Leaver admin API"'}


@dataclass(frozen=True, slots=True)
class Identity:
    """The token of a request, as an actor."""

    actor: Actor
    token_id: str
    permissions: frozenset[str]


@dataclass(slots=True)
class _Allowance:
    """Requests that a token has left, and when that was counted."""

    left: float
    at: float


@dataclass(slots=True)
class ApiAuthenticator:
    """Accepts the tokens that SCIM accepts, with its limits, and those of operators."""

    db: Database
    tenant_tokens: Authenticator
    limits: ScimLimits
    clock: Callable[[], float] = time.monotonic
    _allowances: dict[str, _Allowance] = field(default_factory=dict)

    async def authenticate(self, authorization: str | None, address: str | None) -> Identity:
        """Return who calls.

        Raises the SCIM exceptions of `scim.auth.gate`, and `Problem`.
        """
        operator = await self._operator(authorization)
        if operator is not None:
            self._count(operator)
            actor = Actor(ActorKind.API, f"{operator.name} ({operator.prefix}…)")
            return Identity(actor, operator.id, frozenset(operator.permissions))
        known = await self.tenant_tokens.authenticate(authorization, None, address, even_paused=True)
        token = known.token
        if token.user_id is not None:
            raise Problem("token-refused", "This API token stands for a user: it opens /Me only.")
        if self.tenant_tokens.due_touch(token):
            await self.tenant_tokens.touch(token, address)
        actor = Actor(ActorKind.API, f"{token.name} ({token.prefix}…)", token.tenant_id)
        return Identity(actor, token.id, frozenset(token.permissions))

    async def _operator(self, authorization: str | None) -> OperatorToken | None:
        scheme, _, secret = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthorizedException(detail="No API token: send it as 'Authorization: Bearer <token>'.")
        async with self.db.reading(single_statement=True) as conn:
            token = await operator_tokens.find_by_secret(conn, secret.strip())
        if token is None:
            return None
        if token.revoked_at is not None:
            raise Problem("token-refused", f"The operator's token '{token.name}' was revoked.")
        if token.expires_at is not None and token.expires_at <= datetime.now(UTC):
            raise Problem(
                "token-refused",
                f"The operator's token '{token.name}' expired on {token.expires_at:%Y-%m-%d}.",
            )
        return token

    def _count(self, token: OperatorToken) -> None:
        rate, burst, now = self.limits.requests_per_s, self.limits.burst, self.clock()
        if not rate:
            return
        allowance = self._allowances.setdefault(token.id, _Allowance(burst, now))
        allowance.left = min(burst, allowance.left + (now - allowance.at) * rate)
        allowance.at = now
        if allowance.left < 1:
            raise TooManyRequests((1 - allowance.left) / rate)
        allowance.left -= 1
