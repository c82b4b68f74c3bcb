"""What is kept of cycles: their outcome, held plans, drift over time, the log, events, delta links."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import func, select

from store import tables
from store.database import Database
from store.errors import NotFound, VersionMoved
from store.keys import utc_now
from store.logs import events, provisioning_log
from store.logs.journal import LogSubject
from store.records import (
    Action,
    AddMembers,
    Cause,
    Connection,
    CreateUser,
    CycleId,
    CycleKind,
    CycleStatus,
    DeleteUser,
    DisableUser,
    DriftFinding,
    DriftKind,
    FindingState,
    HeldPlan,
    LogStatus,
    Modified,
    Origin,
    PlanId,
    PlanStatus,
    Reason,
    RemoveMembers,
    Step,
    SubjectType,
    UserId,
)
from store.sync import cycles, delta_links, drift_reports, guard_memory, held_plans
from store.tenancy import connections
from tests.builders.store_rows import create_group, create_user, perform, person, record_drift

NOW = utc_now()


async def _cycle(
    database: Database, contoso: Connection, minute: int, kind: CycleKind = CycleKind.FULL, **end: Any
) -> CycleId:
    """Runs a cycle that began and ended at this minute."""
    at = NOW + timedelta(minutes=minute)
    cycle = await database.write(lambda conn: cycles.start(conn, contoso.tenant_id, contoso.id, kind, now=at))
    ended = cycles.CycleResult(**{"status": CycleStatus.APPLIED, "complete": True, **end})
    await database.write(lambda conn: cycles.finish(conn, contoso.tenant_id, cycle.id, ended, now=at))
    return cycle.id


async def test_a_cycle_reads_back_as_it_ended(database: Database, contoso: Connection) -> None:
    """Counts, proof and outcome stay with the cycle."""
    cycle_id = await _cycle(
        database, contoso, 0, completeness={"lists": [{"name": "users"}]}, counts={"users": 3}, drift={"x": 1},
        applied={"disable": 1}, skipped=2, held_plan_id=PlanId("p"), error=None,
    )  # fmt: skip

    async with database.reading() as conn:
        [cycle] = await cycles.latest(conn, contoso.tenant_id, contoso.id)
    assert cycle.id == cycle_id
    assert (cycle.kind, cycle.status, cycle.complete) == (CycleKind.FULL, CycleStatus.APPLIED, True)
    assert (cycle.counts, cycle.drift, cycle.applied) == ({"users": 3}, {"x": 1}, {"disable": 1})
    assert (cycle.completeness, cycle.skipped) == ({"lists": [{"name": "users"}]}, 2)
    assert (cycle.started_at, cycle.finished_at) == (NOW, NOW)


async def test_progress_can_be_watched(database: Database, contoso: Connection) -> None:
    """Whoever watches sees the last step that was noted."""
    me = contoso.tenant_id
    cycle = await database.write(lambda conn: cycles.start(conn, me, contoso.id, CycleKind.FULL))
    noted = cycles.Progress("reading", 10, 200, "users", NOW)
    async with database.reading() as conn:
        assert await cycles.load_progress(conn, me, cycle.id) is None

    await database.write(lambda conn: cycles.save_progress(conn, me, cycle.id, noted))

    async with database.reading() as conn:
        assert await cycles.load_progress(conn, me, cycle.id) == noted


async def test_the_guard_remembers_the_last_good_cycle(database: Database, contoso: Connection) -> None:
    """Incomplete, on-demand and held cycles are nothing to compare with."""
    good: dict[str, Any] = {"token_roles": {"User.Read.All"}, "scope_key": "assigned"}
    await _cycle(database, contoso, 1, counts={"users": 100}, **good)
    await _cycle(database, contoso, 2, counts={"users": 40}, complete=False)
    await _cycle(database, contoso, 3, counts={"users": 1}, kind=CycleKind.ON_DEMAND)
    await _cycle(database, contoso, 4, counts={"users": 20}, held_plan_id=PlanId("p"))

    async with database.reading() as conn:
        memory = await guard_memory.history(conn, contoso.tenant_id, contoso.id, NOW)

    assert memory.last_good_counts == {"users": 100}
    assert (memory.last_token_roles, memory.last_scope_key) == (frozenset({"User.Read.All"}), "assigned")
    assert memory.last_complete_at == NOW + timedelta(minutes=1)


async def test_before_the_first_cycle_there_is_nothing_to_remember(
    database: Database, contoso: Connection
) -> None:
    """Only what the connection itself knows."""
    await database.write(
        lambda conn: connections.set_credential(conn, contoso.tenant_id, contoso.id, "sealed", now=NOW)
    )

    async with database.reading() as conn:
        memory = await guard_memory.history(conn, contoso.tenant_id, contoso.id, NOW)

    assert memory == guard_memory.Memory(credential_changed_at=NOW)


async def test_removals_of_push_and_pull_are_counted_together(
    database: Database, contoso: Connection
) -> None:
    """design.md §5, rule 3: a rolling 24 h window; what a person decided on demand is no leak."""
    people = [await create_user(database, contoso, name) for name in ("ann", "bea", "cid", "dan")]
    group = await create_group(database, contoso, "Readers", *(one.id for one in people))
    await perform(database, contoso, RemoveMembers(group.id, (people[0].id, people[1].id)))
    await perform(database, contoso, DisableUser(people[0].id), origin=Origin.GRAPH)
    await perform(database, contoso, DisableUser(people[0].id), origin=Origin.SCIM)  # already so
    await perform(database, contoso, DeleteUser(people[2].id))  # its membership goes along and counts with it
    await perform(database, contoso, DisableUser(people[3].id), origin=Origin.GRAPH, actor="an admin")

    async with database.reading() as conn:
        day = await provisioning_log.removals_since(
            conn, contoso.tenant_id, contoso.id, NOW - timedelta(days=1)
        )
        later = await provisioning_log.removals_since(
            conn, contoso.tenant_id, contoso.id, NOW + timedelta(days=1)
        )

    assert day == {Action.REMOVE_MEMBER: 2, Action.DISABLE: 2}
    assert later == {}


def _finding(subject: str, state: FindingState = FindingState.OPEN) -> DriftFinding:
    return DriftFinding(
        kind=DriftKind.MISSED_DEPROVISION,
        reason=Reason.PURGED,
        subject_type=SubjectType.USER,
        subject_id=subject,
        subject_label=f"{subject}@contoso.example",
        before={"active": True},
        after={"active": False},
        first_seen=NOW,
        state=state,
        evidence={"user_found": False},
    )


async def test_drift_keeps_when_it_was_first_seen_and_when_it_went(
    database: Database, contoso: Connection
) -> None:
    """Reports are compared over time: what is gone by itself is `resolved` once, and then no more."""
    me, later = contoso.tenant_id, NOW + timedelta(hours=1)
    first = await _cycle(database, contoso, 1)
    await database.write(
        lambda conn: record_drift(conn, me, contoso.id, first, [_finding("a"), _finding("b")])
    )
    second = await _cycle(database, contoso, 2)
    seen_again = structs.replace(_finding("a"), first_seen=later)

    report = await database.write(
        lambda conn: record_drift(
            conn, me, contoso.id, second, [seen_again, structs.replace(_finding("c"), first_seen=later)]
        )
    )

    assert {(found.subject_id, found.state, found.first_seen) for found in report.findings} == {
        ("a", FindingState.OPEN, NOW),
        ("c", FindingState.OPEN, later),
        ("b", FindingState.RESOLVED, NOW),
    }
    third = await _cycle(database, contoso, 3)
    await database.write(lambda conn: record_drift(conn, me, contoso.id, third, []))
    async with database.reading() as conn:
        last = await drift_reports.report(conn, me, contoso.id)
        kept = await drift_reports.report(conn, me, contoso.id, first)
    assert {found.subject_id for found in last.findings} == {"a", "c"}
    assert kept.findings == (_finding("a"), _finding("b"))


async def test_findings_alike_but_for_their_subject_are_each_in_the_report(
    database: Database, contoso: Connection
) -> None:
    """design.md §6: `drift show` has a finding for each subject; what they share is kept once."""
    cycle = await _cycle(database, contoso, 1)
    findings = [_finding("a"), _finding("b"), _finding("c", FindingState.REPAIRED), _finding("d")]
    report = await database.write(
        lambda conn: record_drift(conn, contoso.tenant_id, contoso.id, cycle, findings)
    )
    assert report.findings == tuple(findings)
    async with database.reading() as conn:
        rows = await conn.execute(select(func.count()).select_from(tables.drift_findings))
    assert rows.scalar_one() == 3


async def test_an_incomplete_cycle_resolves_nothing(database: Database, contoso: Connection) -> None:
    """What was not read may still be there."""
    me = contoso.tenant_id
    first = await _cycle(database, contoso, 1)
    await database.write(lambda conn: record_drift(conn, me, contoso.id, first, [_finding("a")]))
    second = await _cycle(database, contoso, 2, complete=False)

    report = await database.write(lambda conn: record_drift(conn, me, contoso.id, second, [], complete=False))

    assert [found.state for found in report.findings] == [FindingState.OPEN]


async def test_there_is_no_report_before_the_first_cycle(database: Database, contoso: Connection) -> None:
    """The message says what to do."""
    async with database.reading() as conn:
        with pytest.raises(NotFound, match="leaver sync"):
            await drift_reports.report(conn, contoso.tenant_id, contoso.id)
        with pytest.raises(NotFound):
            await drift_reports.report(conn, contoso.tenant_id, contoso.id, CycleId("none"))


async def _hold(database: Database, contoso: Connection, checksum: str) -> HeldPlan:
    return await database.write(
        lambda conn: held_plans.hold(
            conn,
            contoso.tenant_id,
            contoso.id,
            CycleId("c"),
            checksum,
            "too many",
            {"changes": [1]},
            NOW + timedelta(days=7),
            now=NOW,
        )
    )


async def _decide(
    database: Database, contoso: Connection, plan: HeldPlan, status: PlanStatus, **other: object
) -> HeldPlan:
    values = {"checksum": plan.checksum, "by": "admin", "now": NOW, **other}
    return await database.write(
        lambda conn: held_plans.decide(conn, contoso.tenant_id, plan.id, status, **values)  # type: ignore[arg-type]
    )


async def test_a_held_plan_is_approved_by_its_checksum(database: Database, contoso: Connection) -> None:
    """A person approves *that* plan: another checksum, a second decision or a late one is refused."""
    plan = await _hold(database, contoso, "sum")

    with pytest.raises(VersionMoved):
        await _decide(database, contoso, plan, PlanStatus.APPROVED, checksum="another")
    with pytest.raises(VersionMoved):
        await _decide(database, contoso, plan, PlanStatus.APPROVED, now=NOW + timedelta(days=8))
    with pytest.raises(VersionMoved):
        await _decide(database, contoso, plan, PlanStatus.APPLIED)
    approved = await _decide(database, contoso, plan, PlanStatus.APPROVED)
    with pytest.raises(VersionMoved):
        await _decide(database, contoso, plan, PlanStatus.REJECTED)
    applied = await _decide(database, contoso, plan, PlanStatus.APPLIED, by="worker")

    assert (approved.status, approved.decided_at, approved.decided_by) == (PlanStatus.APPROVED, NOW, "admin")
    assert (applied.status, applied.decided_by, applied.body) == (
        PlanStatus.APPLIED,
        "admin",
        {"changes": [1]},
    )


async def test_the_same_plan_held_again_keeps_its_age(database: Database, contoso: Connection) -> None:
    """Every cycle finds the same removals again; the person has one plan to decide on."""
    first = await _hold(database, contoso, "sum")
    assert await _hold(database, contoso, "sum") == first

    second = await _hold(database, contoso, "another")

    async with database.reading() as conn:
        waiting = await held_plans.list_for(conn, contoso.tenant_id, status=PlanStatus.HELD)
        assert {plan.id for plan in waiting} == {first.id, second.id}
        assert await held_plans.find(conn, "anoth") == second


async def test_a_held_plan_expires(database: Database, contoso: Connection) -> None:
    """What nobody decided on in time is decided: nothing happens."""
    plan = await _hold(database, contoso, "sum")

    async def expire(days: int) -> int:
        at = NOW + timedelta(days=days)
        return await database.write(lambda conn: held_plans.expire(conn, contoso.tenant_id, contoso.id, at))

    assert [await expire(6), await expire(7), await expire(8)] == [0, 1, 0]
    async with database.reading() as conn:
        assert (await held_plans.get(conn, contoso.tenant_id, plan.id)).status is PlanStatus.EXPIRED


async def test_the_log_is_searched_by_what_people_ask_for(database: Database, contoso: Connection) -> None:
    """By person (name or id), status, action and cycle, page by page, the newest first."""
    ann = await create_user(database, contoso, "ann")
    for number in range(5):
        await perform(database, contoso, CreateUser(person(f"user{number}")))
    await perform(database, contoso, DisableUser(ann.id), origin=Origin.GRAPH)
    await perform(database, contoso, DisableUser(UserId("nobody")), atomic=False)

    async def search(**what: object) -> list[tuple[str, str]]:
        async with database.reading() as conn:
            page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id, **what)  # type: ignore[arg-type]
        return [(entry.action.value, entry.subject_label) for entry in page.entries]

    assert await search(user="ANN@contoso.example") == await search(user=ann.id)
    assert [action for action, _ in await search(user=ann.id)] == ["disable", "create"]
    assert await search(status=LogStatus.SKIPPED) == [("disable", "nobody")]
    assert len(await search(action=Action.CREATE)) == 6
    assert len(await search(cycle_id="request-1")) == 8
    assert await search(cycle_id="another") == []
    assert await search(since=utc_now() + timedelta(hours=1)) == []


async def test_the_log_is_read_page_by_page_without_gap(database: Database, contoso: Connection) -> None:
    """`next` is the `before` of the next page."""
    for number in range(7):
        await create_user(database, contoso, f"user{number}")

    labels: list[str] = []
    before: int | None = None
    while True:
        async with database.reading() as conn:
            page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id, limit=3, before=before)
        labels += [entry.subject_label for entry in page.entries]
        before = page.next
        if before is None:
            break

    assert labels == [f"user{number}@contoso.example" for number in reversed(range(7))]


async def test_an_attempt_that_changed_nothing_can_be_logged(database: Database, contoso: Connection) -> None:
    """A refused request is logged by whoever refused it, with steps and a cause."""
    step = Step("match", LogStatus.FAILURE, "two candidates", {"candidates": ["a", "b"]})
    cause = Cause(Origin.SCIM, "request-9", actor="token Entra", steps=(step,))

    await database.write(
        lambda conn: provisioning_log.append(
            conn,
            contoso.tenant_id,
            contoso.id,
            cause,
            action=Action.UPDATE,
            status=LogStatus.FAILURE,
            subject=LogSubject(SubjectType.USER, None, "ann"),
            modified=[Modified(attribute="title", old=None, new={"a": [1]})],
        )
    )

    async with database.reading() as conn:
        page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id, cycle_id="request-9")
    [entry] = page.entries
    assert (entry.steps, entry.actor) == ((step,), "token Entra")
    assert entry.modified == (Modified(attribute="title", old=None, new={"a": [1]}),)


async def test_events_are_read_in_the_order_of_their_commit(database: Database, contoso: Connection) -> None:
    """A listener asks for what came after the last it knows."""
    ann = await create_user(database, contoso, "ann")
    group = await create_group(database, contoso, "Readers")
    await perform(database, contoso, AddMembers(group.id, (ann.id,)))
    await perform(database, contoso, DeleteUser(ann.id))

    async with database.reading() as conn:
        told = await events.since(conn, contoso.tenant_id)
        rest = await events.since(conn, contoso.tenant_id, told[1].id, limit=2)

    kinds = ["user.provisioned", "group.created", "membership.added", "user.deleted", "membership.removed"]
    assert [event.type for event in told] == kinds
    assert rest == told[2:4]
    assert told[0].payload["userName"] == ann.user_name


async def test_a_delta_link_is_replaced_and_dropped(database: Database, contoso: Connection) -> None:
    """One link for each resource of a connection; none after a drop."""
    me = contoso.tenant_id
    for link in ("https://graph/1", "https://graph/2"):
        await database.write(
            lambda conn, saved=link: delta_links.put(  # type: ignore[misc]
                conn, me, contoso.id, "users", saved, context="select=id", now=NOW
            )
        )
    await database.write(lambda conn: delta_links.put(conn, me, contoso.id, "groups", "x"))

    async with database.reading() as conn:
        found = (await delta_links.get_all(conn, me, contoso.id)).get("users")
    assert found == delta_links.DeltaLink("users", "https://graph/2", "select=id", NOW)
    await database.write(lambda conn: delta_links.drop(conn, me, contoso.id, "users"))
    async with database.reading() as conn:
        assert (await delta_links.get_all(conn, me, contoso.id)).get("users") is None
        assert (await delta_links.get_all(conn, me, contoso.id)).get("groups") is not None
    await database.write(lambda conn: delta_links.drop(conn, me, contoso.id))
    async with database.reading() as conn:
        assert (await delta_links.get_all(conn, me, contoso.id)).get("groups") is None


async def test_the_cycle_that_runs_is_told_with_how_far_it_is(
    database: Database, contoso: Connection
) -> None:
    """Progress is readable while it runs, by whoever asks."""
    me = contoso.tenant_id
    await _cycle(database, contoso, 0)
    async with database.reading() as conn:
        assert await cycles.running(conn, me, contoso.id) is None
    started = await database.write(lambda conn: cycles.start(conn, me, contoso.id, CycleKind.FULL))
    noted = cycles.Progress("users", 400, 1_000, at=NOW, rate_per_s=200.0, left_s=3.0)
    await database.write(lambda conn: cycles.save_progress(conn, me, started.id, noted))

    async with database.reading() as conn:
        assert await cycles.running(conn, me, contoso.id) == (started, noted)
