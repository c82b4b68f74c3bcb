"""What should happen to one user or group in the target, decided from the directory and
the job's memory.

| in the directory | linked, managed | linked, released | not linked |
|---|---|---|---|
| in scope, enabled | update | update (managed again) | match or create |
| in scope, disabled | disable | disable | nothing: never created |
| out of scope | disable, release | nothing | nothing |
| in the recycle bin | disable | nothing | nothing |
| purged, seen in the bin before | delete | nothing | nothing |
| purged, never seen there | nothing | nothing | nothing |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from simulator.directory import Directory
from simulator.objects import DirUser
from simulator.provisioning.job import Job, Link, ObjectKind
from simulator.provisioning.mapping import map_attributes
from simulator.provisioning.scope import is_security_group, passes


class Intent(StrEnum):
    CREATE = "create"
    """Match first; create if there is no match."""
    UPDATE = "update"
    DISABLE = "disable"
    DELETE = "delete"
    NOTHING = "nothing"


NOT_ENTITLED = "NotEffectivelyEntitled"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one object."""

    kind: ObjectKind
    source_id: str
    label: str
    """userPrincipalName or displayName, for the log."""
    intent: Intent
    desired: Mapping[str, str] = field(default_factory=dict)
    """SCIM path -> value to be there afterwards."""
    skip_reason: str | None = None
    """With NOTHING: what the log says, if anything."""
    release: bool = False
    """The object leaves the scope: not managed from now on."""
    seen_in_bin: bool = False
    """The user was found in the recycle bin, so that its purge will be recognised."""

    @property
    def takes_away(self) -> bool:
        return self.intent in {Intent.DISABLE, Intent.DELETE}


def user_source(user: DirUser, *, soft_deleted: bool) -> dict[str, Any]:
    """Return a user as attribute mappings and scoping filters see it."""
    return {**user.properties, "id": user.id, "IsSoftDeleted": soft_deleted}


def decide_user(directory: Directory, job: Job, user_id: str, assigned: set[str]) -> Decision:
    """Decide about a user, wherever it is in its life; `assigned` as
    `scope.assigned_users` gave it.
    """
    link = job.links.get(user_id)
    if user := directory.users.get(user_id):
        return _live_user(job, user, link, in_assignment=job.scope == "all" or user_id in assigned)
    if deleted := directory.deleted_users.get(user_id):
        return _deleted_user(directory, job, deleted.item, link)
    name = directory.purged_users.get(user_id, user_id)
    if link is None or link.released or not link.saw_soft_delete:
        return Decision("User", user_id, name, Intent.NOTHING)
    return Decision("User", user_id, name, Intent.DELETE)


def _live_user(job: Job, user: DirUser, link: Link | None, *, in_assignment: bool) -> Decision:
    name = user.user_principal_name
    in_scope = in_assignment and passes(job.settings.scoping_filters, user_source(user, soft_deleted=False))
    switched_off = user.state_known and not user.enabled
    desired = map_attributes(job.settings.user_mapping, user_source(user, soft_deleted=switched_off))
    if not user.state_known:  # neither enabled nor disabled: its state is left as it is
        desired.pop("active", None)
    if in_scope and link is None and not user.enabled:
        return Decision("User", user.id, name, Intent.NOTHING, skip_reason=NOT_ENTITLED)
    if in_scope:
        return Decision("User", user.id, name, _intent(job, link, desired), desired)
    if link is None or link.released:
        return Decision("User", user.id, name, Intent.NOTHING, skip_reason=NOT_ENTITLED if link else None)
    if job.settings.skip_out_of_scope_deletions:
        skipped = "SkipOutOfScopeDeletions"
        return Decision("User", user.id, name, Intent.NOTHING, skip_reason=skipped, release=True)
    return _disable(job, user, release=True)


def _deleted_user(directory: Directory, job: Job, user: DirUser, link: Link | None) -> Decision:
    if link is None or link.released:
        return Decision(
            "User", user.id, link.exported.get("userName", user.id) if link else user.id, Intent.NOTHING
        )
    still_assigned = job.scope == "all" or bool(directory.assigned_via(user.id))
    return replace(_disable(job, user, release=not still_assigned), seen_in_bin=True)


def _disable(job: Job, user: DirUser, *, release: bool) -> Decision:
    in_bin = user.properties.get("userPrincipalName", "")
    name = job.links[user.id].exported.get("userName") or str(in_bin)
    source = user_source(user, soft_deleted=True)
    active = {p: v for p, v in map_attributes(job.settings.user_mapping, source).items() if p == "active"}
    intent = _disabling(job) if active else Intent.NOTHING
    return Decision("User", user.id, name, intent, active, release=release)


def _intent(job: Job, link: Link | None, desired: Mapping[str, str]) -> Intent:
    if link is None:
        return Intent.CREATE
    turned_off = desired.get("active") == "False" and link.exported.get("active") != "False"
    return _disabling(job) if turned_off else Intent.UPDATE


def _disabling(job: Job) -> Intent:
    return Intent.DELETE if job.settings.delete_on_disable else Intent.DISABLE


def decide_group(directory: Directory, job: Job, group_id: str) -> Decision:
    """Decide about a group: in scope it is there, out of scope it is deleted."""
    link = job.links.get(group_id)
    group = directory.groups.get(group_id)
    name = group.display_name if group else (link.exported.get("displayName", group_id) if link else group_id)
    if group is not None and group_in_scope(directory, job, group_id):
        desired = map_attributes(job.settings.group_mapping, {**group.properties, "id": group.id})
        return Decision("Group", group_id, name, Intent.CREATE if link is None else Intent.UPDATE, desired)
    return Decision("Group", group_id, name, Intent.NOTHING if link is None else Intent.DELETE)


def group_in_scope(directory: Directory, job: Job, group_id: str) -> bool:
    """Return whether a group itself is provisioned."""
    group = directory.groups.get(group_id)
    if group is None or not job.settings.provision_groups or not is_security_group(group.properties):
        return False
    return job.scope == "all" or directory.is_assigned(group_id)
