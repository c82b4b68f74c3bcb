"""The admin side of the company: its users, groups and assignments."""

from typing import Any, get_args

import orjson
from aiohttp import web

from simulator.directory import Directory
from simulator.objects import (
    DEFAULT_ACCESS,
    DirGroup,
    DirUser,
    OtherKind,
)
from simulator.state import directory_state


def json_answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


async def read_body(request: web.Request) -> dict[str, Any]:
    """Read a JSON object; no body is an empty one."""
    raw = await request.read()
    document = orjson.loads(raw) if raw else {}
    if not isinstance(document, dict):
        raise ValueError("the body must be a JSON object")
    return document


def _shown(found: DirUser | DirGroup) -> dict[str, Any]:
    manager = {"manager": found.manager_id} if isinstance(found, DirUser) else {}
    return {"id": found.id, **found.properties, **manager}


class DirectoryAdmin:
    """Changes of the company, one method for each route."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def create_user(self, request: web.Request) -> web.Response:
        """Create a user from Graph property names; `manager` is an object id."""
        properties = await read_body(request)
        manager = properties.pop("manager", None)
        return json_answer(_shown(self._directory.create_user(properties, manager_id=manager)), 201)

    async def change_user(self, request: web.Request) -> web.Response:
        """Set properties; null clears one."""
        properties = await read_body(request)
        user_id = request.match_info["id"]
        if "manager" in properties:
            self._directory.set_manager(user_id, properties.pop("manager"))
        return json_answer(_shown(self._directory.change_user(user_id, properties)))

    async def delete_user(self, request: web.Request) -> web.Response:
        """Move a user to the recycle bin."""
        self._directory.soft_delete_user(request.match_info["id"])
        return web.Response(status=204)

    async def restore_user(self, request: web.Request) -> web.Response:
        """Take a user out of the recycle bin."""
        return json_answer(_shown(self._directory.restore_user(request.match_info["id"])))

    async def purge_user(self, request: web.Request) -> web.Response:
        """Delete a user for good."""
        self._directory.purge_user(request.match_info["id"])
        return web.Response(status=204)

    async def create_group(self, request: web.Request) -> web.Response:
        """Create a group; `members` (ids) and `assigned` (boolean) are done along."""
        properties = await read_body(request)
        members, assigned = properties.pop("members", []), properties.pop("assigned", False)
        group = self._directory.create_group(properties)
        for member in members:
            self._directory.add_member(group.id, member)
        if assigned:
            self._directory.assign(group.id)
        return json_answer(_shown(group), 201)

    async def create_other(self, request: web.Request) -> web.Response:
        """Create a `device`, `orgContact` or `servicePrincipal` (`type`): a mere
        member.
        """
        properties = await read_body(request)
        kind = properties.pop("type", None)
        if kind not in get_args(OtherKind):
            raise ValueError(f"type must be one of {', '.join(get_args(OtherKind))}, not {kind!r}")
        other = self._directory.create_other(kind, properties)
        return json_answer({"id": other.id, "type": other.kind, **other.properties}, 201)

    async def change_group(self, request: web.Request) -> web.Response:
        """Set properties of a group; null clears one."""
        return json_answer(
            _shown(self._directory.change_group(request.match_info["id"], await read_body(request)))
        )

    async def delete_group(self, request: web.Request) -> web.Response:
        """Move a group to the recycle bin."""
        self._directory.delete_group(request.match_info["id"])
        return web.Response(status=204)

    async def restore_group(self, request: web.Request) -> web.Response:
        """Take a group out of the recycle bin."""
        return json_answer(_shown(self._directory.restore_group(request.match_info["id"])))

    async def purge_group(self, request: web.Request) -> web.Response:
        """Delete a group for good."""
        self._directory.purge_group(request.match_info["id"])
        return web.Response(status=204)

    async def add_member(self, request: web.Request) -> web.Response:
        """Add a member to a group."""
        changed = self._directory.add_member(request.match_info["id"], request.match_info["member"])
        return json_answer({"changed": changed})

    async def remove_member(self, request: web.Request) -> web.Response:
        """Remove a member from a group."""
        changed = self._directory.remove_member(request.match_info["id"], request.match_info["member"])
        return json_answer({"changed": changed})

    async def assign(self, request: web.Request) -> web.Response:
        """Assign a user or group to the application; `appRoleId` is default access
        unless given.
        """
        role = (await read_body(request)).get("appRoleId", DEFAULT_ACCESS)
        assignment = self._directory.assign(request.match_info["id"], role)
        return json_answer(
            {"id": assignment.id, "principalType": assignment.principal_type, "appRoleId": role}
        )

    async def unassign(self, request: web.Request) -> web.Response:
        """End one role (`?appRoleId=`) of a principal, or all."""
        changed = self._directory.unassign(request.match_info["id"], request.query.get("appRoleId"))
        return json_answer({"changed": changed})

    async def state(self, request: web.Request) -> web.Response:
        """Answer the true state of every user: entitled or not, why, and the SCIM
        attributes that follow (`?scim=false` leaves these out).
        """
        return json_answer(directory_state(self._directory, with_scim=request.query.get("scim") != "false"))
