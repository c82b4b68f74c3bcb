"""Which objects a cycle looks at: everything in scope, or what the change feed names
since the watermark.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from simulator.directory import Directory
from simulator.objects import ChangeEvent
from simulator.provisioning.decide import group_in_scope
from simulator.provisioning.faults import Gap
from simulator.provisioning.job import Job
from simulator.provisioning.references import Pair
from simulator.provisioning.scope import assigned_users


@dataclass(slots=True)
class Affected:
    """What a cycle has to look at.

    Dicts as ordered sets: the same feed gives the same requests.
    """

    users: dict[str, None] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)
    pairs: dict[Pair, None] = field(default_factory=dict)
    """Memberships, as (group, member)."""
    managers: dict[str, None] = field(default_factory=dict)
    """Users whose manager may have changed."""
    left_groups: dict[str, list[str]] = field(default_factory=dict)
    """User -> groups that the user has left."""

    def __bool__(self) -> bool:
        return bool(self.users or self.groups or self.pairs or self.managers)


def everything(directory: Directory, job: Job) -> Affected:
    """Return what an initial cycle looks at: what is in scope now.

    A member who left before is lost.
    """
    users = directory.users if job.scope == "all" else assigned_users(directory)
    affected = Affected(users={user_id: None for user_id in directory.users if user_id in users})
    affected.managers = dict(affected.users)
    affected.groups = {g: None for g in directory.groups if group_in_scope(directory, job, g)}
    for group_id in affected.groups:
        _whole_group(directory, affected, group_id)
    _add_staged(directory, job, affected)
    return affected


def since_watermark(directory: Directory, job: Job) -> Affected:
    """Return what changed since the watermark, with what failed before and is due
    again.
    """
    affected = Affected()
    for event in _visible(directory, job):
        _add_event(directory, job, affected, event)
    for entry in job.due(directory.clock.now()):
        if entry.related_id is None:
            _add_object(directory, job, affected, entry.source_id)
        elif _is_group(directory, job, entry.source_id):
            affected.pairs[entry.source_id, entry.related_id] = None
        else:
            affected.managers[entry.source_id] = None
    _add_staged(directory, job, affected)
    return affected


def _visible(directory: Directory, job: Job) -> list[ChangeEvent]:
    """Return the events that can be seen: not the assignments that a stale read still
    hides.
    """
    now = directory.clock.now()
    ripe = [event for at, event in job.delayed if at <= now]
    job.delayed = [(at, event) for at, event in job.delayed if at > now]
    for event in directory.changes_since(job.watermark or 0):
        stale = job.faults.find(Gap.STALE_READ)
        if stale and event.kind == "assigned" and job.faults.fires(Gap.STALE_READ, event.object_id):
            job.delayed.append((now + timedelta(minutes=stale.minutes or 5), event))
        else:
            ripe.append(event)
    return ripe


def _add_event(directory: Directory, job: Job, affected: Affected, event: ChangeEvent) -> None:
    if event.object_type == "user":
        _add_user_event(job, affected, event)
    elif event.object_type == "assignment":
        if event.kind == "unassigned" and job.faults.fires(Gap.DROP_UNASSIGN, event.object_id):
            return
        _add_assignment(directory, job, affected, event.object_id)
    elif event.kind in {"member_added", "member_removed"}:
        _add_membership(directory, job, affected, event)
    else:
        _add_assignment(directory, job, affected, event.object_id)
        _release_withheld(job, affected, event.object_id)


def _add_user_event(job: Job, affected: Affected, event: ChangeEvent) -> None:
    if job.faults.fires(Gap.DROP_CHANGE, event.object_id):
        return
    if event.properties != ("manager",):
        affected.users[event.object_id] = None
    if "manager" in event.properties:
        affected.managers[event.object_id] = None


def _add_assignment(directory: Directory, job: Job, affected: Affected, principal_id: str) -> None:
    """Look at a principal, and for a group at its present and former members."""
    _add_object(directory, job, affected, principal_id)
    if not _is_group(directory, job, principal_id):
        return
    if principal_id in directory.groups:
        _whole_group(directory, affected, principal_id)
    for member in _members(directory, job, principal_id):
        if member in directory.users or member in directory.deleted_users:
            affected.users[member] = None


def _add_membership(directory: Directory, job: Job, affected: Affected, event: ChangeEvent) -> None:
    group_id, member_id = event.object_id, event.related_id or ""
    if event.kind == "member_removed":
        affected.left_groups.setdefault(member_id, []).append(group_id)
    if member_id in directory.users:
        affected.users[member_id] = None
    if event.kind == "member_removed" and job.faults.fires(Gap.DROP_MEMBER_REMOVAL, member_id, group_id):
        job.withheld_removals.setdefault(group_id, set()).add(member_id)
        return
    affected.pairs[group_id, member_id] = None
    _release_withheld(job, affected, group_id)


def _release_withheld(job: Job, affected: Affected, group_id: str) -> None:
    for member_id in sorted(job.withheld_removals.pop(group_id, ())):
        affected.pairs[group_id, member_id] = None


def _whole_group(directory: Directory, affected: Affected, group_id: str) -> None:
    for member_id in directory.groups[group_id].member_ids:
        affected.pairs[group_id, member_id] = None


def _add_object(directory: Directory, job: Job, affected: Affected, object_id: str) -> None:
    if _is_group(directory, job, object_id):
        affected.groups[object_id] = None
    else:
        affected.users[object_id] = None


def _add_staged(directory: Directory, job: Job, affected: Affected) -> None:
    if job.force_deletes:
        for object_id in sorted(job.staged):
            _add_object(directory, job, affected, object_id)


def _members(directory: Directory, job: Job, group_id: str) -> list[str]:
    group = directory.groups.get(group_id)
    if group is None and (deleted := directory.deleted_groups.get(group_id)):
        group = deleted.item
    return list(group.member_ids) if group else sorted(job.known_members.get(group_id, ()))


def _is_group(directory: Directory, job: Job, object_id: str) -> bool:
    link = job.links.get(object_id)
    known = object_id in directory.groups or object_id in directory.deleted_groups
    return known or object_id in job.known_members or (link is not None and link.kind == "Group")
