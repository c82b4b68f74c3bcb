"""Managers are read apart from the list of users, and only of people who may be provisioned."""

from store.records import GraphId, Scope
from tests.builders.graph_reading import Reading, list_named, reading
from worker.graph.read.managers import NOT_TOLD
from worker.reconcile.completeness import gaps
from worker.reconcile.entitlement import entitlement_of

MANAGERS = r"GET /v1.0/users\?.*id in"


def assign_everybody(run: Reading) -> None:
    directory = run.simulator.directory
    group = directory.create_group({"displayName": "Everybody"}).id
    directory.assign(group)
    for user_id in directory.users:
        directory.add_member(group, user_id)


async def test_a_thousand_people_take_two_pages_and_four_batches() -> None:
    """Graph caps a page with `$expand` at 100 (docs#21506): ten pages, one after the other, before."""
    async with reading(users=1000, groups=0) as run:
        assign_everybody(run)
        before = len(run.requests(""))
        snapshot = await run.snapshot()
        directory = run.simulator.directory
        assert {user.id: user.manager_id for user in snapshot.users.values()} == {
            user.id: user.manager_id for user in directory.users.values()
        }
        sent = run.requests("")[before:]
        assert len([request for request in sent if request.startswith("GET /v1.0/users?")]) == 2
        assert (
            len([request for request in sent if "$batch" in request]) == 1 + 4 + 1
        )  # group, managers, canary
        assert not any("expand" in request for request in sent if "$batch" not in request)
        assert list_named(snapshot, "managers").items == 1000


async def test_a_mapping_without_manager_asks_for_none() -> None:
    async with reading() as run:
        snapshot = await run.under(mapping={"userName": "[userPrincipalName]"}).snapshot()
        assert not [read for read in snapshot.completeness.lists if read.name == "managers"]


async def test_managers_of_people_who_are_not_assigned_are_not_asked_for() -> None:
    async with reading(users=40, groups=0) as run:
        directory = run.simulator.directory
        [one, other, *_] = directory.users
        for row in directory.live_assignments():
            directory.unassign(row.principal_id)
        directory.assign(one)
        directory.set_manager(one, other)
        snapshot = await run.snapshot()
        assert snapshot.users[GraphId(one)].manager_id == other
        assert list_named(snapshot, "managers").items == 1


async def test_of_everybody_the_managers_are_read_if_everybody_is_in_scope() -> None:
    async with reading(users=40) as run:
        snapshot = await run.under(scope=Scope.ALL).snapshot()
        held = {user.id: user.manager_id for user in run.simulator.directory.users.values()}
        assert {user.id: user.manager_id for user in snapshot.users.values()} == held


async def test_a_manager_that_was_not_told_is_not_emptied() -> None:
    """Absence of evidence: nothing is changed of a person whose manager could not be read."""
    async with reading(users=40) as run:
        run.break_down(match=MANAGERS, status=503)
        snapshot = await run.snapshot()
        assert not list_named(snapshot, "managers").finished
        assert "503" in " ".join(gaps(snapshot, run.connection.policy.scope))
        entitlement = entitlement_of(snapshot, run.connection.policy)
        assert not entitlement.entitled
        unknown = [user for user in snapshot.users.values() if user.unknown]
        assert {user.unknown for user in unknown} == {NOT_TOLD}
        assert all(entitlement.reason(user.id) is None for user in unknown)


async def test_a_manager_without_an_id_concerns_one_person_only() -> None:
    async with reading(users=40) as run:
        whole = await run.snapshot()
        person = next(user.id for user in whole.users.values() if user.manager_id and user.account_enabled)
        run.break_down(match=MANAGERS, rows={person: {"manager": {"id": None}}})
        snapshot = await run.snapshot()
        assert [user.id for user in snapshot.users.values() if user.unknown] == [person]
        assert gaps(snapshot, run.connection.policy.scope) == ()
