"""Findings of a drift report in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.rendering import text
from store.records import JsonValue

KIND_WORDS: Mapping[str, str] = {
    "missed_deprovision": "left in Entra, still active here",
    "missed_provision": "entitled in Entra, not active here",
    "attribute_mismatch": "attribute differs",
    "membership_missing": "member in Entra, not here",
    "membership_extra": "member here, not in Entra",
    "group_missing": "group assigned in Entra, not here",
    "group_extra": "group here, not assigned in Entra",
    "local_account": "account here that Entra does not know",
    "match_conflict": "more than one possible match",
}


def differences(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> str:
    """Return `attribute: here → in Entra` for each attribute that differs."""
    names = sorted({*before, *after})
    return "; ".join(f"{n}: {text.brief(before.get(n), 30)} → {text.brief(after.get(n), 30)}" for n in names)


def entra_says(evidence: Mapping[str, Any]) -> str:
    """Return what Entra answered about this one user, or else why nothing was done."""
    answer = evidence.get("graph")
    if not answer:
        return str(evidence.get("why") or evidence.get("note") or evidence.get("detail") or "")
    if not answer["readable"]:
        return f"no usable answer: {answer['detail']}"
    if answer["soft_deleted_at"]:
        return "in the recycle bin"
    if not answer["user_found"]:
        return "does not exist"
    if answer["account_enabled"] is False:
        return "account disabled"
    is_assigned = answer["assigned_directly"] or answer["assigned_by_group"]
    return "entitled" if is_assigned else "not assigned"
