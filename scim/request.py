"""One SCIM request and its response as values.

A request comes by HTTP or as one operation of a Bulk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field, structs
from scim2_models import ForbiddenException

from scim.json_body import read_json
from scim.limits import ScimLimits, setting_of
from scim.schema.definitions import Declared, Shape, shapes
from scim.shared_load import SharedLoad
from store.database import Database
from store.records import ApiToken, Cause, Connection, LogStatus, Origin, Step

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,80}")


def is_request_id(text: str) -> bool:
    """Whether a client's X-Request-Id may stand in logs and answers as it is."""
    return _REQUEST_ID.fullmatch(text) is not None


class Principal(Struct, frozen=True):
    """The token of a request and its connection."""

    token: ApiToken
    connection: Connection
    base: str
    """The base URL the request came by, for the locations in its answer."""
    request_id: str
    declared: Declared = frozenset()

    @property
    def user_shape(self) -> Shape:
        """The schema of a user for this connection, custom extensions included."""
        return shapes(self.declared)["users"]

    @property
    def group_shape(self) -> Shape:
        return shapes(self.declared)["groups"]

    def may(self, section: str, action: str) -> bool:
        """Whether the token has a permission: the action, or all of its section
        (design.md §6).
        """
        granted = self.token.permissions
        return (
            f"{section}:{action}" in granted
            or f"{section}:*" in granted
            or section in granted
            or "*" in granted
        )

    def require(self, section: str, action: str) -> None:
        """Raise scim2_models.ForbiddenException when the token lacks a permission
        (design.md §6).
        """
        if not self.may(section, action):
            wanted = f"{section}:{action}"
            raise ForbiddenException(
                detail=f"The API token '{self.token.name}' lacks the permission {wanted}: make one that has it."
            )


class ScimRequest(Struct, frozen=True):
    principal: Principal
    db: Database
    limits: ScimLimits
    method: str
    path: str
    """Relative to the base URL: `/Users/2819c223`."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    raw_body: bytes = b""
    load: SharedLoad = field(default_factory=SharedLoad)
    charge: Callable[[float], None] = lambda _: None
    """Counts work that was worth so many requests more."""
    is_self: bool = False
    """Whether a user writes their own account (`/Me`)."""
    parsed_body: Any = None
    """The body where it was parsed already: an operation of a Bulk."""

    def body(self) -> Any:
        """Return the body as JSON; raises scim2_models.InvalidSyntaxException."""
        return (
            self.parsed_body
            if self.parsed_body is not None
            else read_json(self.raw_body, self.limits.max_depth, setting_of("max_depth"))
        )

    def cause(self, *details: Step) -> Cause:
        given = self.headers.get("X-Request-Id", "")
        # The id of the request at a proxy in front of us, beside Entra's.
        is_other = is_request_id(given) and given != self.principal.request_id
        named = {"request_id": given} if is_other else {}
        received = Step("receive", LogStatus.SUCCESS, f"{self.method} {self.path}", named)
        principal = self.principal
        return Cause(
            Origin.SCIM,
            principal.request_id,
            principal.token.name,
            steps=(received, *details),
            can_prove=principal.connection.has_credential,
            push_rules=principal.connection.policy.push_rules,
        )

    def within(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> ScimRequest:
        """Return the request for one operation of a Bulk."""
        return structs.replace(
            self, method=method, path=path, query={}, headers=headers, raw_body=b"", parsed_body=body
        )


class ScimResponse(Struct, frozen=True):
    status: int
    body: Any = None
    """JSON as a value or in bytes, or an async iterator of bytes for large responses.
    """
    headers: Mapping[str, str] = field(default_factory=dict)
