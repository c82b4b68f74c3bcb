"""The policy of a connection: what may be changed, checked, and put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from console.admin.errors import InvalidPolicy, ValueOutOfRange
from store.records import Ceilings, JsonValue, MembershipMode, Policy, Scope, ScopingClause
from store.records.connections import LIMITS
from worker.reconcile.mapping.attribute_paths import PolicyError
from worker.reconcile.mapping.scoping_filters import check_clause

SCOPE_SETTINGS = frozenset({"scope", "membership", "scoping_filters", "app_id"})
"""Settings that define who counts."""


@dataclass(frozen=True, slots=True)
class PolicyChanges:
    """The parts of the policy that are to be changed; None leaves one as it is."""

    scope: Scope | None = None
    membership: MembershipMode | None = None
    scoping_filters: tuple[tuple[ScopingClause, ...], ...] | None = None
    """An empty tuple takes all filters away."""
    ceiling_floor: int | None = None
    ceiling_percent: float | None = None
    ceiling_count: int | None = None
    held_plan_days: int | None = None
    full_every_hours: int | None = None
    evidence_max_age_s: int | None = None
    deprovision_local_accounts: bool | None = None
    clear_emptied_attributes: bool | None = None
    protect_from_push: bool | None = None
    brake_push: bool | None = None

    def given(self) -> Iterator[str]:
        """Yield the names of the parts that are given."""
        return (each.name for each in fields(self) if getattr(self, each.name) is not None)


def check_number(setting: str, value: float | None) -> None:
    """Raise `ValueOutOfRange` for a value that the setting cannot have."""
    limit = LIMITS[setting]
    if value is not None and not limit.allows(value):
        raise ValueOutOfRange(setting, value, limit.least, limit.most)


def check_policy(changes: PolicyChanges) -> None:
    """Raise `ValueOutOfRange`, or `InvalidPolicy` for a filter that decides nothing."""
    for setting in changes.given():
        if setting in LIMITS:
            check_number(setting, getattr(changes, setting))
    for clauses in changes.scoping_filters or ():
        if not clauses:
            raise InvalidPolicy("scoping_filters", "a filter without a clause lets everybody in")
        for clause in clauses:
            _check_clause(clause)


def _check_clause(clause: ScopingClause) -> None:
    try:
        check_clause(clause)
    except PolicyError as error:
        raise InvalidPolicy("scoping_filters", str(error)) from None


def changed_policy(policy: Policy, changes: PolicyChanges) -> Policy:
    """Return the policy with the given parts changed."""
    ceilings = {
        each.name: given
        for each in fields(Ceilings)
        if (given := getattr(changes, f"ceiling_{each.name}")) is not None
    }
    parts = {name: getattr(changes, name) for name in changes.given() if not name.startswith("ceiling_")}
    return replace(policy, ceilings=replace(policy.ceilings, **ceilings), **parts)


def audited_values(policy: Policy, names: Iterator[str]) -> dict[str, JsonValue]:
    """Return the values of parts of a policy for the audit log.

    A filter may name a person, so it is written as the attributes that it reads.
    """
    return {name: _audited(policy, name) for name in names}


def _audited(policy: Policy, name: str) -> JsonValue:
    if name == "scoping_filters":
        return [
            [f"{clause.attribute} {clause.operator}" for clause in clauses]
            for clauses in policy.scoping_filters
        ]
    owner: object = policy.ceilings if name.startswith("ceiling_") else policy
    value = getattr(owner, name.removeprefix("ceiling_"))
    return str(value) if isinstance(value, Scope | MembershipMode) else value
