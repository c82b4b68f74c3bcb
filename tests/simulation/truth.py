"""What is true in Entra, by the simulator's own directory, and what stayed true over a stretch of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.directory import Directory
from simulator.objects import DirUser
from simulator.provisioning.mapping import AttributeMappings, map_attributes
from store.records import MembershipMode, Policy, Scope


def assigned_groups(directory: Directory) -> frozenset[str]:
    """Entra provisions assigned security groups."""
    groups = directory.groups
    return frozenset(
        each
        for each in directory.assignments
        if each in groups and groups[each].properties.get("securityEnabled")
    )


def members_of(directory: Directory, group_id: str, policy: Policy) -> frozenset[str]:
    """Users and groups in a group, by the policy's notion of membership."""
    direct = frozenset(directory.live_members(group_id))
    if policy.membership is MembershipMode.DIRECT:
        return direct
    everybody = directory.transitive_members(group_id)
    return direct | frozenset(each for each in everybody if each in directory.users)


def entitled(directory: Directory, policy: Policy) -> frozenset[str]:
    """Everybody with a right to an account."""
    people = directory.users
    if policy.scope is Scope.ALL:
        return frozenset(each for each, user in people.items() if user.enabled)
    found = {each for each in directory.assignments if each in people}
    found.update(*(members_of(directory, group, policy) for group in assigned_groups(directory)))
    return frozenset(each for each in found if each in people and people[each].enabled)


def memberships(directory: Directory, policy: Policy) -> frozenset[tuple[str, str]]:
    """(group, member) of every assigned group."""
    return frozenset(
        (group, member)
        for group in assigned_groups(directory)
        for member in members_of(directory, group, policy)
    )


def attributes(user: DirUser, mapping: AttributeMappings) -> Mapping[str, str]:
    """SCIM path -> text, by a mapping of Entra's job; `active` aside."""
    mapped = map_attributes(mapping, {**user.properties, "id": user.id, "IsSoftDeleted": False})
    return {path: value for path, value in mapped.items() if path != "active"}


@dataclass(slots=True)
class Throughout:
    """What was so from the beginning to the end of a stretch of time; `look` at every change in between."""

    directory: Directory
    policy: Policy
    entitled: frozenset[str] = field(init=False)
    groups: frozenset[str] = field(init=False)
    memberships: frozenset[tuple[str, str]] = field(init=False)
    changed: bool = False

    def __post_init__(self) -> None:
        self.entitled = entitled(self.directory, self.policy)
        self.groups = assigned_groups(self.directory)
        self.memberships = memberships(self.directory, self.policy)

    def look(self) -> None:
        self.changed = True
        self.entitled &= entitled(self.directory, self.policy)
        self.groups &= assigned_groups(self.directory)
        self.memberships &= memberships(self.directory, self.policy)
