"""The actor of a use case: who asks, through which face, and for which tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from console.admin.errors import PermissionMissing, SignInTooOld
from store.keys import utc_now
from store.records import Connection, ConnectionId, Mode, TenantId

RECENT = timedelta(minutes=15)
"""Approving, credentials, tokens and enforcing need a sign-in that is not older."""

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class ActorKind(StrEnum):
    """The face through which a use case is called."""

    CLI = "cli"
    API = "api"
    WEB = "web"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Actor:
    """The person or program that calls a use case."""

    kind: ActorKind
    name: str
    tenant: TenantId | None = None
    """The only tenant whose rows this actor can find; None for an operator of all
    tenants."""
    connection: ConnectionId | None = None
    """The only connection that this actor can find; None for all of the tenant."""
    permissions: frozenset[str] | None = None
    """None where the face has checked them, or the actor may do everything."""
    grants: frozenset[str] = frozenset()
    """Permissions that the actor may give to a token beside the own ones."""
    signed_in_at: datetime | None = None
    """When a person at a browser signed in."""

    @property
    def label(self) -> str:
        """Return the actor as the audit log names it, for example `cli:ada`."""
        return f"{self.kind}:{self.name}"

    def sees(self, tenant_id: TenantId) -> bool:
        """Return whether the rows of this tenant can be found by the actor."""
        return self.tenant is None or self.tenant == tenant_id

    def may(self, permission: str) -> bool:
        """Return whether the actor has a permission, or all of its section."""
        section = permission.rpartition(":")[0]
        return self.permissions is None or not self.permissions.isdisjoint({permission, f"{section}:*"})

    def require_grant(self, permission: str) -> None:
        """Refuse to give a token what the actor may not. Raises `PermissionMissing`."""
        if permission not in self.grants:
            self.require(permission)

    def require_setting_up(self, connection: Connection) -> None:
        """Refuse a person with a setup link to change a connection that enforces: who
        has access hangs on it by then. Raises `PermissionMissing`.
        """
        if self.connection is not None and connection.policy.mode is Mode.ENFORCE:
            self.require("admin:sync:approve")

    @property
    def is_recent(self) -> bool:
        """Return whether the sign-in is young enough for what is hard to undo."""
        return self.signed_in_at is None or utc_now() - self.signed_in_at < RECENT

    def require(self, permission: str, *, recent: bool = False) -> None:
        """Raise `PermissionMissing`, and with `recent` `SignInTooOld`."""
        if not self.may(permission):
            raise PermissionMissing(permission)
        if recent and not self.is_recent:
            raise SignInTooOld(permission)


def requires(
    permission: str, *, recent: bool = False
) -> Callable[
    [Callable[Concatenate[S, Actor, P], Awaitable[R]]], Callable[Concatenate[S, Actor, P], Awaitable[R]]
]:
    """Refuse the use case to an actor without the permission.

    `recent`: a person at a browser has to have signed in within `RECENT`.
    """

    def declare(
        use_case: Callable[Concatenate[S, Actor, P], Awaitable[R]],
    ) -> Callable[Concatenate[S, Actor, P], Awaitable[R]]:
        @wraps(use_case)
        async def checked(services: S, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R:
            actor.require(permission, recent=recent)
            return await use_case(services, actor, *args, **kwargs)

        return checked

    return declare
