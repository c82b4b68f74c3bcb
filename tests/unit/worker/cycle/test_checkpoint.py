"""What an incremental cycle may continue from, and what makes a link worthless."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store.records import MembershipMode, Mode, Policy, Scope, ScopingClause
from tests.builders.connection_records import connection
from worker.cycle.checkpoint import checkpoint_context, context_changes
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING

CONNECTION = connection(entra_tenant_id="entra", client_id="client", app_id="app")


def of(policy: Policy, spid: str = "sp", roles: tuple[str, ...] = ("User.Read.All",), **fields: str) -> str:
    return checkpoint_context(replace(CONNECTION, policy=policy, **fields), spid, roles)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (Policy(scope=Scope.ALL), "scope"),
        (Policy(membership=MembershipMode.TRANSITIVE), "membership"),
        (Policy(mode=Mode.ENFORCE), "mode"),
        (Policy(scoping_filters=((ScopingClause("department", "EQUALS", "x"),),)), "scoping filters"),
        (Policy(clear_emptied_attributes=True), "emptied attributes"),
        (Policy(deprovision_local_accounts=True), "local accounts"),
        (Policy(mapping={**DEFAULT_MAPPING, "title": "department"}), "mapping"),
    ],
)
def test_what_the_policy_asks_for_is_part_of_what_a_link_was_taken_for(policy: Policy, what: str) -> None:
    """A changed `$select`, mapping or scope: a full cycle; the reason names what changed."""
    assert what in context_changes(of(Policy()), of(policy))


def test_another_application_directory_or_permission_is_told_too() -> None:
    assert context_changes(of(Policy()), of(Policy(), "another")) == ("application",)
    assert context_changes(of(Policy()), of(Policy(), entra_tenant_id="another")) == ("directory",)
    assert context_changes(of(Policy()), of(Policy(), roles=())) == ("permissions",)


def test_the_default_mapping_is_the_same_written_out() -> None:
    """Nothing is read anew because somebody wrote down what was so already; ceilings decide nothing about reading."""
    assert context_changes(of(Policy()), of(Policy(mapping=dict(DEFAULT_MAPPING), held_plan_days=1))) == ()
