"""Conditional requests (RFC 7644 §3.14): honoured, never required.

Entra does not send conditions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from scim2_server.conditions import Conditions

from scim.endpoints.representation import version_tag
from scim.request import ScimRequest
from store.records import Group, User


def conditions_of(request: ScimRequest) -> Conditions | None:
    """Return the conditions of a request, or None for one without."""
    conditions = Conditions(request.headers.get("If-Match"), request.headers.get("If-None-Match"))
    return None if conditions == Conditions() else conditions


async def expected_version(request: ScimRequest, read: Callable[[], Awaitable[User | Group]]) -> int | None:
    """Return the version a write must find, or None for an unconditional write.

    Raises scim2_models.PreconditionFailedException when the resource already has
    another version.
    """
    conditions = conditions_of(request)
    if conditions is None:
        return None
    record = await read()
    conditions.check(version_tag(record.version), request.method)
    return record.version


def is_unchanged(request: ScimRequest, record: User | Group) -> bool:
    """Whether the client has this version already, so that the answer is 304."""
    conditions = conditions_of(request)
    return conditions is not None and not conditions.check(version_tag(record.version), "GET")
