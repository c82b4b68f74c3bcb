"""Records of the store as SCIM resources: schemas, id, meta, references."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from scim2_server.conditions import Conditions

from scim.endpoints.projection import EVERYTHING, Projection, project
from scim.request import ScimRequest
from scim.schema.definitions import ENTERPRISE_URN, GROUP_URN, USER_URN
from store.records import Group, Membership, ShownUser, SubjectType, User


def user_resource(user: ShownUser, base: str, projection: Projection = EVERYTHING) -> dict[str, Any]:
    """Return a user as its SCIM resource. `base` is the base URL of the request, for
    locations.
    """
    body = {**_head(USER_URN, user), **user.document, "active": user.active}
    enterprise = body.get(ENTERPRISE_URN)
    if isinstance(enterprise, Mapping) and isinstance(enterprise.get("manager"), Mapping):
        body[ENTERPRISE_URN] = {**enterprise, "manager": _with_reference(enterprise["manager"], base)}
    body["meta"] = _meta("User", user, f"{base}/Users/{user.id}")
    return project(body, projection)


def group_resource(group: Group, base: str, projection: Projection = EVERYTHING) -> dict[str, Any]:
    """Return a group as its SCIM resource, without members."""
    body = {
        **_head(GROUP_URN, group),
        **group.document,
        "meta": _meta("Group", group, f"{base}/Groups/{group.id}"),
    }
    return project(body, projection)


def member_value(membership: Membership, base: str) -> dict[str, Any]:
    """Return one element of a group's `members`."""
    is_user = membership.member_type is SubjectType.USER
    kind, endpoint = ("User", "Users") if is_user else ("Group", "Groups")
    member_id = membership.member_id
    return {"value": member_id, "$ref": f"{base}/{endpoint}/{member_id}", "type": kind}


def group_value(membership: Membership, base: str) -> dict[str, Any]:
    """Return one element of a user's `groups`."""
    group_id = membership.group_id
    return {"value": group_id, "$ref": f"{base}/Groups/{group_id}", "type": "direct"}


def resource_headers(record: User | Group, base: str) -> dict[str, str]:
    """Return the headers of an answer that holds a resource (RFC 7643 §3.1, RFC 7644
    §3.14).
    """
    endpoint = "Users" if isinstance(record, User) else "Groups"
    return {"Content-Location": f"{base}/{endpoint}/{record.id}", "ETag": version_tag(record.version)}


def version_tag(version: int) -> str:
    return f'W/"{version}"'


@lru_cache(maxsize=1024)
def timestamp(moment: datetime) -> str:
    """Return a time in UTC, with all the digits that the store compares."""
    return moment.isoformat().replace("+00:00", "Z")


def _head(urn: str, record: ShownUser | Group) -> dict[str, Any]:
    extensions = [name for name in record.document if name.startswith("urn:")]
    return {"schemas": [urn, *extensions], "id": record.id}


def _meta(kind: str, record: ShownUser | Group, location: str) -> dict[str, str]:
    return {
        "resourceType": kind,
        "created": timestamp(record.created_at),
        "lastModified": timestamp(record.last_modified),
        "location": location,
        "version": version_tag(record.version),
    }


def _with_reference(manager: Mapping[str, Any], base: str) -> Mapping[str, Any]:
    if "$ref" in manager or "value" not in manager:
        return manager
    return {**manager, "$ref": f"{base}/Users/{manager['value']}"}


# Conditional requests (RFC 7644 §3.14): honoured, never required. Entra sends none.


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
