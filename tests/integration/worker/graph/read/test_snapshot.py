"""A snapshot says what the directory says, and how it knows."""

from store.records import GraphId, MembershipMode
from tests.builders.graph_reading import LEAST, list_named, reading, unfinished
from worker.reconcile.completeness import gaps
from worker.reconcile.entitlement import entitlement_of


async def test_a_snapshot_holds_the_whole_directory() -> None:
    """Issue 2: msal app token -> msgraph-sdk requests -> snapshot."""
    async with reading(users=1200, groups=30) as run:
        directory = run.simulator.directory
        leaver, sleeper = list(directory.users)[:2]
        directory.soft_delete_user(leaver)
        directory.change_user(sleeper, {"accountEnabled": False})
        snapshot = await run.snapshot()

        assert snapshot.users.keys() == directory.users.keys()
        assert not snapshot.users[GraphId(sleeper)].account_enabled
        entitled = entitlement_of(snapshot, run.connection.policy).entitled
        for user in snapshot.users.values():
            person = directory.users[user.id]
            assert user.account_enabled is person.properties["accountEnabled"]
            if user.id in entitled:  # only of these it matters
                assert user.manager_id == (None if person.manager_id == leaver else person.manager_id)
            assert user.properties["userPrincipalName"] == person.user_principal_name
        assigned = {row.principal_id for row in directory.live_assignments()}
        assert {row.principal_id for row in snapshot.assignments} == assigned
        assert snapshot.groups.keys() == assigned & directory.groups.keys()
        for group_id, members in snapshot.members.items():
            assert members == set(directory.live_members(group_id))
            assert snapshot.groups[group_id].display_name == directory.groups[group_id].display_name
        assert snapshot.deleted.keys() == {leaver}
        assert snapshot.service_principal_id == directory.service_principal_id


async def test_a_snapshot_carries_its_proof() -> None:
    """design.md §5, rule 1: every page was read, counts agree, roles suffice, a canary was read."""
    async with reading(users=1200) as run:
        snapshot = await run.snapshot()
        users = list_named(snapshot, "users")
        assert (users.pages, users.items, users.expected_items) == (2, 1200, 1200)
        assert snapshot.completeness.canary_read
        assert snapshot.completeness.missing_roles == frozenset()
        assert gaps(snapshot, run.connection.policy.scope) == ()


async def test_the_least_permissions_are_enough() -> None:
    """graph-api reference §2, the practical set for a read-only reconciliation."""
    async with reading() as run:
        run.simulator.simulation.registration.roles = LEAST
        snapshot = await run.snapshot()
        assert snapshot.completeness.token_roles == LEAST
        assert gaps(snapshot, run.connection.policy.scope) == ()


async def test_first_pages_of_groups_travel_together() -> None:
    """Twenty reads to a `$batch`: 30 groups take three round trips, not sixty; managers and canary one each."""
    async with reading(users=60, groups=30) as run:
        snapshot = await run.snapshot()
        assert len(snapshot.groups) > 20
        assert len(run.requests("$batch")) <= 2 + -(-len(snapshot.groups) // 10)
        assert run.requests("/members") == []


async def test_members_beyond_the_first_page_are_followed() -> None:
    """Graph, "List members": at most 999 to a page."""
    async with reading(users=2100, groups=2) as run:
        directory = run.simulator.directory
        group_id = GraphId(next(iter(directory.groups)))
        directory.assign(group_id)
        for user_id in directory.users:
            directory.add_member(group_id, user_id)
        snapshot = await run.snapshot()
        assert len(snapshot.members[group_id]) == len(directory.live_members(group_id)) >= 2100
        assert list_named(snapshot, f"members:{group_id}").pages == 3


async def test_people_found_only_by_nesting_are_kept_apart() -> None:
    """design.md §5: direct members count; by choice nested ones are found too, and labelled."""
    async with reading() as run:
        directory = run.simulator.directory
        names = ("Outer", "Inner", "Innermost")
        outer, inner, innermost = (directory.create_group({"displayName": name}).id for name in names)
        inside, both = list(directory.users)[:2]
        directory.assign(outer)
        directory.add_member(outer, inner)
        directory.add_member(outer, both)
        directory.add_member(inner, both)
        directory.add_member(inner, innermost)
        directory.add_member(innermost, inside)

        direct = await run.snapshot()
        assert direct.members[GraphId(outer)] == {inner, both}
        assert direct.nested_members == {}
        nested = await run.under(membership=MembershipMode.TRANSITIVE).snapshot()
        assert nested.members[GraphId(outer)] == {inner, both}
        assert nested.nested_members[GraphId(outer)] == {inside}


async def test_people_deleted_a_moment_ago_explain_a_shorter_list() -> None:
    """Graph, "Advanced queries": `$count` lags; a leaver still in the count must not stop every removal."""
    async with reading() as run:
        directory = run.simulator.directory
        run.break_down(match=r"users/\$count", body="40")
        directory.soft_delete_user(next(iter(directory.users)))
        snapshot = await run.snapshot()
        assert unfinished(snapshot) == []
        assert gaps(snapshot, run.connection.policy.scope) == ()


async def test_an_assigned_group_that_vanished_is_no_gap() -> None:
    """A security group is gone at once, its assignment a little later; that must not stop every removal."""
    async with reading() as run:
        group_id = next(
            row.principal_id
            for row in run.simulator.directory.live_assignments()
            if row.principal_type == "Group"
        )
        run.break_down(match=f"(groups|deletedItems)/{group_id}", status=404)
        snapshot = await run.snapshot()
        assert group_id not in snapshot.groups
        assert group_id not in {row.principal_id for row in snapshot.assignments}
        assert gaps(snapshot, run.connection.policy.scope) == ()


async def test_progress_is_told() -> None:
    """Issue 3: progress (phase, done, total) is readable while the cycle runs."""
    from worker.graph.read.snapshot import read_snapshot

    async with reading(users=1200) as run:
        told: list[tuple[str, int, int | None]] = []
        await read_snapshot(run.graph, run.connection, progress=lambda *step: told.append(step))
        assert [step for step in told if step[0] == "users"] == [
            ("users", 999, 1200),
            ("users", 1200, 1200),
        ]
        assert told[-1][1] == told[-1][2]
