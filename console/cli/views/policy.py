"""The policy of a connection as text, and what a change of it would do."""

from __future__ import annotations

from console.admin.connections.scope_effect import ScopeEffect
from console.documents.values import plural
from store.records import Connection, Policy
from worker.reconcile.mapping.scoping_filters import print_clause

HELD = "The next cycle holds all removals until a person approves them."


def scope_effect(effect: ScopeEffect) -> str:
    """Say in numbers who would count, or that it is not known."""
    if effect.why_unknown:
        return f"How many people would count cannot be read: {effect.why_unknown} {HELD}"
    if effect.then == 0:
        return f"Nobody would count then ({effect.now} people do now): all of them would lose access. {HELD}"
    return (
        f"{effect.now} people count now, {effect.then} would then: {effect.gain} gain access, "
        f"{effect.lose} lose it. {HELD}"
    )


def filters(policy: Policy) -> str:
    """Return the scoping filters, one group a line; empty where there are none."""
    return "\nor ".join(" and ".join(map(print_clause, clauses)) for clauses in policy.scoping_filters)


def ceilings(policy: Policy) -> str:
    """Return how much may be removed at once, and how long a plan waits."""
    most = policy.ceilings
    return (
        f"more than {most.floor} removals of a kind that are above {most.percent:g} % or {most.count:,}; "
        f"a plan waits {plural(policy.held_plan_days, 'day')}"
    )


def push(policy: Policy) -> str:
    """Return what the push may take away."""
    braked = "stopped above the same within 10 minutes" if policy.brake_push else "not limited"
    ends = "cannot end" if policy.protect_from_push else "may end"
    return f"removals {braked}; {ends} the access of protected, admin and local accounts"


def local_accounts(policy: Policy) -> str:
    """Return what becomes of accounts that Entra never had."""
    return "deprovisioned" if policy.deprovision_local_accounts else "kept"


def emptied(policy: Policy) -> str:
    """Return what becomes of a value that was emptied in Entra."""
    return "cleared here" if policy.clear_emptied_attributes else "kept here"


def rhythm(connection: Connection) -> str:
    """Return how often a cycle runs, and how often it reads everything."""
    policy = connection.policy
    return (
        f"{plural(connection.interval_minutes, 'minute')}; everything every {plural(policy.full_every_hours, 'hour')}; "
        f"evidence of a removal at most {policy.evidence_max_age_s} s old"
    )
