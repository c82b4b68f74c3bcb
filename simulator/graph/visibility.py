"""What a token shows of an object: permissions by type of object, and hidden
memberships.

- A list of mixed types is 200 although the token may not read one of the types. Objects
  of that type come with `@odata.type` and `id`; every other property is null
  (permissions-overview, *Limited information returned for inaccessible member
  objects*).
- The members of a group with `visibility: HiddenMembership` are left out, status 200,
  unless the token has `Member.Read.Hidden`; `Directory.Read.All` is not enough. So is
  the group in `memberOf` of its members (group-list-members,
  microsoft-graph-docs#12552, #12285).
- `User.ReadBasic.All` shows names and mail of a user (permissions reference). That it
  shows the other properties as null is not verified.
"""

from collections.abc import Collection, Mapping, Sequence

from simulator.objects import DirGroup, JsonValue

Roles = frozenset[str]
"""Application permissions."""

DIRECTORY = frozenset({"Directory.Read.All", "Directory.ReadWrite.All"})
HIDDEN_MEMBERS = "Member.Read.Hidden"

READERS: Mapping[str, Roles] = {
    "user": DIRECTORY | {"User.Read.All", "User.ReadWrite.All"},
    "group": DIRECTORY
    | {
        *("Group.ReadBasic.All", "Group.Read.All", "Group.ReadWrite.All"),
        *("GroupMember.Read.All", "GroupMember.ReadWrite.All"),
    },
    "device": DIRECTORY | {"Device.Read.All", "Device.ReadWrite.All"},
    "orgContact": DIRECTORY | {"OrgContact.Read.All"},
    "servicePrincipal": DIRECTORY | {"Application.Read.All", "Application.ReadWrite.All"},
}
"""Type of object -> permissions of which one is enough to read its properties."""

BASIC_READERS: Roles = frozenset({"User.ReadBasic.All"})
BASIC_PROPERTIES = frozenset(
    {"id", "displayName", "givenName", "surname", "mail", "userPrincipalName", "userType"}
)


def may_read(roles: Roles, kind: str) -> bool:
    """Return whether a token shows the properties of objects of a type."""
    return bool(READERS[kind] & roles)


def shown_properties(properties: Mapping[str, JsonValue], kind: str, roles: Roles) -> Mapping[str, JsonValue]:
    """Return what a token shows of an object's properties; the others are null to
    it."""
    if may_read(roles, kind):
        return properties
    if kind == "user" and BASIC_READERS & roles:
        return {name: value for name, value in properties.items() if name in BASIC_PROPERTIES}
    return {}


def hides_members(group: DirGroup, roles: Roles) -> bool:
    """Return whether the memberships of a group are kept from a token."""
    return group.properties.get("visibility") == "HiddenMembership" and HIDDEN_MEMBERS not in roles


def without_hidden(group_ids: Sequence[str], groups: Mapping[str, DirGroup], roles: Roles) -> list[str]:
    """Return the groups of which a token may learn that an object is a member."""
    return [group_id for group_id in group_ids if not hides_members(groups[group_id], roles)]


def hidden_groups(groups: Mapping[str, DirGroup], roles: Roles) -> Collection[str]:
    """Return the ids of the groups whose members a token does not see."""
    return {group_id for group_id, group in groups.items() if hides_members(group, roles)}
