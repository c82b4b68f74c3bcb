"""A change of who counts shows its effect in numbers first (issue 9, "Policy")."""

from __future__ import annotations

import pytest

from console.admin.connections import settings
from console.admin.connections.policy import PolicyChanges
from console.admin.connections.scope_effect import scope_effect
from console.admin.connections.settings import ConnectionChanges
from store.records import MembershipMode, Scope, ScopingClause
from tests.builders.admin_desk import AdminDesk

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


def _changes(**parts: object) -> ConnectionChanges:
    return ConnectionChanges(policy=PolicyChanges(**parts))  # type: ignore[arg-type]


async def test_everybody_in_scope_counts_who_would_gain_access(desk: AdminDesk) -> None:
    """Numbers of a dry reading: who is enabled counts under `scope: all`."""
    effect = await scope_effect(desk.services, desk.operator, desk.connection.id, _changes(scope=Scope.ALL))
    assert effect is not None
    users = desk.simulator.directory.users.values()
    assert effect.then == sum(user.enabled for user in users)
    assert effect.now is not None
    assert (effect.gain, effect.lose) == (effect.then - effect.now, 0)


async def test_a_filter_that_nobody_passes_is_said_to_take_everybodys_access(desk: AdminDesk) -> None:
    """issue 9, "Bad input": "filters that exclude everybody"."""
    nobody = ((ScopingClause("department", "EQUALS", "No such department"),),)
    effect = await scope_effect(
        desk.services, desk.operator, desk.connection.id, _changes(scoping_filters=nobody)
    )
    assert effect is not None
    assert effect.then == 0
    assert effect.lose == effect.now


async def test_another_application_is_read_by_itself(desk: AdminDesk) -> None:
    """A wrong `--app-id` shows before it is saved."""
    changes = ConnectionChanges(app_id="00000000-0000-0000-0000-00000000abcd")
    effect = await scope_effect(desk.services, desk.operator, desk.connection.id, changes)
    assert effect is not None
    assert effect.then is None
    assert effect.why_unknown


async def test_what_cannot_be_read_is_said(desk: AdminDesk) -> None:
    """No number is better than a guess."""
    made = await settings.create(
        desk.services, desk.operator, "contoso", settings.NewConnection("without credential")
    )
    effect = await scope_effect(
        desk.services, desk.operator, made.id, _changes(membership=MembershipMode.TRANSITIVE)
    )
    assert effect is not None
    assert (effect.now, effect.then) == (None, None)
    assert "no Graph credential" in effect.why_unknown


async def test_a_change_of_anything_else_reads_nothing(desk: AdminDesk) -> None:
    """An interval or a value that is there already changes nobody's access."""
    for changes in (ConnectionChanges(interval_minutes=5), _changes(scope=Scope.ASSIGNED)):
        assert await scope_effect(desk.services, desk.operator, desk.connection.id, changes) is None
