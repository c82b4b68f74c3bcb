"""Whose access does not end by a push or a pull, and what lifts it."""

from __future__ import annotations

from dataclasses import dataclass

from store.errors import Protected
from store.records import DIRECTORY, Cause, Origin, User


@dataclass(frozen=True, slots=True)
class AccessGuards:
    """Whose access must not end by a cause without a person."""

    protected: bool
    admins_and_local: bool
    last_admin: bool

    @classmethod
    def of(cls, cause: Cause) -> AccessGuards:
        """Return the guards against a cause: a person may do everything, a push what
        the connection's policy says.
        """
        is_push, is_pull = cause.origin is Origin.SCIM, cause.origin is Origin.GRAPH
        protects = is_push and cause.push_rules.protects_accounts
        return cls(
            is_pull or protects, protects, is_pull or (is_push and cause.push_rules.protects_last_admin)
        )

    def check_marks(self, user: User) -> None:
        """Raise `Protected` for an account that keeps its access."""
        if self.protected and user.is_guarded:
            raise Protected(_PROTECTED.format(user=user))
        if self.admins_and_local and user.is_admin:
            raise Protected(_ADMIN.format(user=user))
        if self.admins_and_local and user.origin not in DIRECTORY:
            raise Protected(_LOCAL.format(user=user))


_BY_POLICY = (
    "Or let the push end the access of such accounts: leaver connection set {user.connection_id} "
    "--no-protect-from-push"
)
_PROTECTED = (
    "This account is marked protected: its access ends when the mark is taken away, with: "
    "leaver user unprotect {user.connection_id} {user.id}. " + _BY_POLICY
)
_ADMIN = (
    "This account is an admin's: its access ends when it is one no more, with: "
    "leaver user admin {user.connection_id} {user.id} --off. " + _BY_POLICY
)
_LOCAL = "This account was made here and not by Entra: a push does not end its access. " + _BY_POLICY
LAST_ADMIN = (
    "This is the last active admin of the tenant: name another one first, with: "
    "leaver user admin {user.connection_id} USER"
)
