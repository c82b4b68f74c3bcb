"""Why a person has access or not: a closed list of phrases, from the account alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from store.records import Origin, User

ENDED: Mapping[str, str] = {
    "disabled": "Disabled in Entra",
    "soft_deleted": "Deleted in Entra, in its recycle bin",
    "purged": "Deleted in Entra for good",
    "unassigned": "Removed from the assignment",
    "out_of_scope": "Does not pass the scoping filters",
    "by scim": "Ended by Entra's push",
    "by graph": "Ended by a cycle",
    "by console": "Ended by an administrator",
    "by api": "Ended by the API",
}

ORIGINS: Mapping[Origin, str] = {
    Origin.SCIM: "Push",
    Origin.GRAPH: "Pull",
    Origin.CONSOLE: "Console",
    Origin.API: "API",
}


def why(user: User) -> str:
    """Return why the account is active or not, as a phrase."""
    if user.deleted_at is not None:
        return ENDED.get(user.deprovision_reason or "", "Deleted here")
    if not user.active:
        return ENDED.get(user.deprovision_reason or "", "Inactive since it came")
    if user.sealed_at is not None:
        return "Given again, the person is not proven"
    if user.entra_object_id is not None:
        return "Entitled in Entra"
    return "Came by push, not linked yet" if user.origin in (Origin.SCIM, Origin.GRAPH) else "Local account"


def since(user: User) -> datetime:
    """Return since when the account is as it is."""
    return user.deleted_at or (None if user.active else user.deprovisioned_at) or user.created_at
