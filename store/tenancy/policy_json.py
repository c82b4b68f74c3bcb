"""A connection's policy as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from store.records import Ceilings, MembershipMode, Mode, Policy, Scope, ScopingClause


def to_json(policy: Policy) -> dict[str, Any]:
    return asdict(policy)


def from_json(body: Mapping[str, Any]) -> Policy:
    """Read a stored policy.

    An absent field has its default. An unknown field is from a newer version and
    ignored.
    """
    default = Policy()
    mapping = body.get("mapping")
    return Policy(
        mode=Mode(body.get("mode", default.mode)),
        scope=Scope(body.get("scope", default.scope)),
        membership=MembershipMode(body.get("membership", default.membership)),
        mapping=None if mapping is None else dict(mapping),
        mapping_confirmed=body.get("mapping_confirmed", default.mapping_confirmed),
        extensions=tuple(body.get("extensions", ())),
        scoping_filters=tuple(
            tuple(ScopingClause(**clause) for clause in group) for group in body.get("scoping_filters", ())
        ),
        clear_emptied_attributes=body.get("clear_emptied_attributes", default.clear_emptied_attributes),
        deprovision_local_accounts=body.get("deprovision_local_accounts", default.deprovision_local_accounts),
        ceilings=Ceilings(**body.get("ceilings", {})),
        held_plan_days=body.get("held_plan_days", default.held_plan_days),
        full_every_hours=body.get("full_every_hours", default.full_every_hours),
        evidence_max_age_s=body.get("evidence_max_age_s", default.evidence_max_age_s),
        protect_from_push=body.get("protect_from_push", default.protect_from_push),
        brake_push=body.get("brake_push", default.brake_push),
    )
