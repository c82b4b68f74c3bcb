"""Why a person has access or not, from the account alone; and what Entra said about a
finding. Closed lists of phrases. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from store.records import DriftFinding, DriftKind, HolderBasis, LogStatus, Origin, Step, User

KIND_WORDS: Mapping[str, str] = {
    "missed_deprovision": "Left in Entra, still active here",
    "missed_provision": "Entitled in Entra, not active here",
    "attribute_mismatch": "An attribute differs",
    "membership_missing": "Member in Entra, not here",
    "membership_extra": "Member here, not in Entra",
    "group_missing": "Assigned in Entra, not here",
    "group_extra": "Here, not assigned in Entra",
    "local_account": "An account that Entra does not know",
    "unmatched_account": "Came by push; no user in Entra was found for it",
    "holder_changed": "The account stands for another person now",
    "shared_anchor": "Two accounts claim one person",
    "anchor_broken": "What links the account to Entra does not hold any more",
    "mapping_mismatch": "The mapping does not fit what Entra sends",
    "match_conflict": "More than one possible match",
    "state_unknown": "Microsoft Graph does not say enough",
}

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


HOLDERS: Mapping[HolderBasis | None, str] = {
    HolderBasis.PROOF: "proven by the Entra object id",
    HolderBasis.NAMES: "known by user name and external id",
    HolderBasis.PERSON: "as an administrator decided",
    None: "not proven yet",
}
"""How it is known which person an account stands for."""


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


def decisive(steps: Sequence[Step]) -> Step | None:
    """Return the step at which it ended: the first that failed, else the first that did
    not succeed. Those behind it were not reached.
    """
    failed = (step for step in steps if step.status is LogStatus.FAILURE)
    other = (step for step in steps if step.status is not LogStatus.SUCCESS)
    return next(failed, None) or next(other, None)


def since(user: User) -> datetime:
    """Return since when the account is as it is."""
    return user.deleted_at or (None if user.active else user.deprovisioned_at) or user.created_at


_URN = re.compile(r"urn:[A-Za-z0-9:._-]+:([A-Za-z0-9_.-]+)")
"""An attribute of an extension; RFC 7644 section 3.10."""


def shown_path(path: str) -> str:
    """Return an attribute as people name it: without the URN of its extension."""
    found = _URN.fullmatch(path)
    return found.group(1) if found else path


def changed(modified: Sequence[Mapping[str, Any]], most: int = 2) -> str:
    """Return what a log entry changed: the names, `× 8` where one comes eight times."""
    counts = Counter(shown_path(str(each["attribute"])) for each in modified)
    shown = [name if number == 1 else f"{name} × {number}" for name, number in counts.items()]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def in_words(finding: DriftFinding) -> str:
    """Return what Entra answered about this one subject, or why nothing was done."""
    evidence: Mapping[str, Any] = finding.evidence
    answer = evidence.get("graph")
    if not answer:
        said = evidence.get("why") or evidence.get("note") or evidence.get("detail")
        if said:
            return f"{str(said)[:1].upper()}{str(said)[1:]}"
        return ", ".join(map(shown_path, finding.after)) or "Compared in the reading"
    if not answer["readable"]:
        return f"No usable answer: {answer['detail']}"
    if answer["soft_deleted_at"]:
        return "In Entra's recycle bin"
    if not answer["user_found"]:
        is_search = finding.kind is DriftKind.UNMATCHED_ACCOUNT  # proves nothing (identity.md, W9)
        return "No one in Entra was found for it" if is_search else "Does not exist in Entra"
    if answer["account_enabled"] is False:
        return "The account is disabled in Entra"
    is_assigned = answer["assigned_directly"] or answer["assigned_by_group"]
    return "Entitled in Entra" if is_assigned else "Not assigned in Entra"
