"""The true state of the company in one document: what an integration should have."""

from typing import Any

from simulator.directory import Directory
from simulator.entitlement import NotEntitled
from simulator.objects import DirUser
from simulator.provisioning.mapping import DEFAULT_USER_MAPPING, map_attributes, user_body


def directory_state(directory: Directory, *, with_scim: bool = True) -> dict[str, Any]:
    """Compute `{"users", "groups"}` from the directory's own data, deleted and purged
    people included.

    A user has `entitled`, `via` (`direct` or group ids), `reason` (why not) and `scim`,
    which is what the default mapping makes of the properties, or null for one who is
    gone. `userPrincipalName` is the name people know, without the prefix it has in the
    recycle bin.
    """
    entitled = directory.entitled()
    live = [
        _live_user(directory, user, entitled.get(user.id), with_scim) for user in directory.users.values()
    ]
    in_bin = [
        _gone(u, d.item.user_principal_name[32:], "soft_deleted") for u, d in directory.deleted_users.items()
    ]
    purged = [_gone(user_id, name, "purged") for user_id, name in directory.purged_users.items()]
    groups = [
        {
            "id": group.id,
            "displayName": group.display_name,
            "assigned": directory.is_assigned(group.id),
            "members": directory.live_members(group.id),
        }
        for group in directory.groups.values()
    ]
    return {"users": live + in_bin + purged, "groups": groups}


def _live_user(directory: Directory, user: DirUser, via: list[str] | None, with_scim: bool) -> dict[str, Any]:
    state: dict[str, Any] = {
        "id": user.id,
        "userPrincipalName": user.user_principal_name,
        "entitled": via is not None,
        "via": via or [],
        "reason": None if via else directory.reason_not_entitled(user.id),
        "manager": user.manager_id,
    }
    if with_scim:
        state["scim"] = scim_document(user, active=via is not None)
    return state


def _gone(user_id: str, name: str, reason: NotEntitled) -> dict[str, Any]:
    return {
        "id": user_id,
        "userPrincipalName": name,
        "entitled": False,
        "via": [],
        "reason": reason,
        "manager": None,
        "scim": None,
    }


def scim_document(user: DirUser, *, active: bool) -> dict[str, Any]:
    """Return what Entra's default mapping makes of a user: the attributes only, without
    `meta`.
    """
    source = {**user.properties, "id": user.id, "IsSoftDeleted": not active}
    document = user_body(map_attributes(DEFAULT_USER_MAPPING, source))
    return {name: value for name, value in document.items() if name not in {"meta", "roles"}}
