"""What Entra said about a finding, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from store.records import DriftFinding

KIND_WORDS: Mapping[str, str] = {
    "missed_deprovision": "Left in Entra, still active here",
    "missed_provision": "Entitled in Entra, not active here",
    "attribute_mismatch": "An attribute differs",
    "membership_missing": "Member in Entra, not here",
    "membership_extra": "Member here, not in Entra",
    "group_missing": "Assigned in Entra, not here",
    "group_extra": "Here, not assigned in Entra",
    "local_account": "An account that Entra does not know",
    "unmatched_account": "Came by push; no user in Entra answers to it",
    "holder_changed": "The account stands for another person now",
    "shared_anchor": "Two accounts claim one person",
    "anchor_broken": "What links the account to Entra does not hold any more",
    "mapping_mismatch": "The mapping does not fit what Entra sends",
    "match_conflict": "More than one possible match",
    "state_unknown": "Microsoft Graph does not say enough",
}


def in_words(finding: DriftFinding) -> str:
    """Return what Entra answered about this one subject, or why nothing was done."""
    evidence: Mapping[str, Any] = finding.evidence
    answer = evidence.get("graph")
    if not answer:
        said = evidence.get("why") or evidence.get("note") or evidence.get("detail")
        return str(said or ", ".join(finding.after) or "Compared in the reading")
    if not answer["readable"]:
        return f"No usable answer: {answer['detail']}"
    if answer["soft_deleted_at"]:
        return "In Entra's recycle bin"
    if not answer["user_found"]:
        return "Does not exist in Entra"
    if answer["account_enabled"] is False:
        return "The account is disabled in Entra"
    is_assigned = answer["assigned_directly"] or answer["assigned_by_group"]
    return "Entitled in Entra" if is_assigned else "Not assigned in Entra"
