"""I2 and more: after a complete, undisturbed cycle the store is what Entra's truth asks for, in detail."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from simulator.provisioning import paths
from store.records import (
    CycleKind,
    DriftFinding,
    DriftKind,
    FindingState,
    Group,
    GroupId,
    Origin,
    PlanStatus,
    User,
)
from store.sync import cycles, drift_reports, held_plans
from tests.simulation import truth
from tests.simulation.picture import Picture
from tests.simulation.promises import keep
from tests.simulation.undecided import Undecided
from tests.simulation.world import World
from worker.cycle.report import CycleReport
from worker.reconcile.partitioning.partition import FOLLOWS_REJECTED
from worker.reconcile.plan_json import plan_from_json

CONFLICTS = frozenset({DriftKind.MATCH_CONFLICT, DriftKind.SHARED_ANCHOR})

NAMES = ("userName", "externalId")
"""Where Leaver does not know Entra's mapping, an account holds them by the one or by the other."""

DECIDED = (FindingState.HELD, FindingState.ACCEPTED)
"""Waits for a person, or was rejected by one."""

EARLIER = 10
"""So many cycles back a conflict may have been reported that an increment has no reason to look at again."""


async def as_entra_says(world: World, after: Picture, report: CycleReport) -> Undecided:
    """Everybody entitled is here, active, with the right attributes and memberships; nobody else is."""
    findings = await _findings(world, report)
    excused = _conflicts(findings)
    kept = _kept_names(findings)
    waiting = _waiting(findings)
    world.count("conflicts", len(excused))
    people = truth.entitled(world.directory, world.policy)
    rows: dict[str, User] = {row.entra_object_id: row for row in after.live if row.entra_object_id}
    for person in sorted(people - excused):
        _is_right(world, rows, person, excused, kept)
    for row in after.live:
        if row.active and not {row.id, row.entra_object_id} & (excused | waiting):
            _has_a_right(world, row, people, is_full=report.kind is not CycleKind.INCREMENTAL)
    _groups_are_right(world, after, rows, excused, waiting)
    subjects = excused | {person for person, _ in kept if person != "*"}
    misfits = frozenset(path for person, path in kept if person == "*")
    return Undecided(subjects, misfits, await _approved(world))


async def _approved(world: World) -> frozenset[str]:
    """Rows whose removal a person approved, and which Graph was not there to confirm: any full cycle may do it."""
    scope = world.connection.tenant_id, world.connection.id
    async with world.db.reading() as conn:
        approved = await held_plans.list_for(conn, *scope, status=PlanStatus.APPROVED)
    changes = [change for plan in approved for change in plan_from_json(plan.body).changes]
    return frozenset(change.subject.local_id for change in changes if change.subject.local_id)


async def _findings(world: World, report: CycleReport) -> Sequence[DriftFinding]:
    """What was told.

    An increment looks at nobody who did not change, and what it carries on is the report of the cycle that began last:
    after a clock that was ahead, not of the one before it. So its findings are those of the cycles before as well.
    """
    scope = world.connection.tenant_id, world.connection.id
    async with world.db.reading() as conn:
        reports = [await drift_reports.report(conn, *scope, report.cycle_id)]
        if report.kind is CycleKind.INCREMENTAL:
            earlier = await cycles.latest(conn, *scope, limit=EARLIER)
            reports += [await drift_reports.report(conn, *scope, each.id) for each in earlier]
    return [finding for told in reports for finding in told.findings]


def _conflicts(findings: Sequence[DriftFinding]) -> frozenset[str]:
    """Ids of people, groups and rows that were reported as not to be told apart."""
    found = [finding for finding in findings if finding.kind in CONFLICTS]
    ids = {finding.subject_id for finding in found}
    # A person said that the account of their name is not theirs: it stays with who left (seed 65026).
    for finding in findings:
        if finding.kind is DriftKind.HOLDER_CHANGED and finding.state in DECIDED:
            ids |= {finding.subject_id, *re.findall(r"stood for (\S+),", str(finding.evidence.get("note")))}
    # The name belongs to an account that is to give it up, which a person rejected.
    ids |= {finding.subject_id for finding in findings if finding.evidence.get("why") == FOLLOWS_REJECTED}
    for finding in found:
        candidates = finding.evidence.get("candidates")
        ids.update(map(str, candidates) if isinstance(candidates, list | tuple) else ())
    return frozenset(ids)


def _kept_names(findings: Sequence[DriftFinding]) -> frozenset[tuple[str, str]]:
    """(person, path) of names that were told to be left as they are; for everybody under the person ``*``."""
    kept: set[tuple[str, str]] = set()
    for finding in findings:
        if finding.kind is DriftKind.MAPPING_MISMATCH:
            kept.add(("*", finding.subject_id.removeprefix("mapping:")))
        elif finding.kind is DriftKind.ATTRIBUTE_MISMATCH and finding.state in DECIDED:
            kept.add((finding.subject_id, "*"))  # the same change of many people waits for a person
        elif finding.kind is DriftKind.ATTRIBUTE_MISMATCH and "both sides agreed" in str(finding.evidence):
            detail = finding.evidence.get("detail") or finding.evidence["note"]
            named, _, _ = re.split(r" (is|are) not ", str(detail), maxsplit=1)
            kept.update((finding.subject_id, path) for path in named.split(" and "))
    return frozenset(kept)


def _waiting(findings: Sequence[DriftFinding]) -> frozenset[str]:
    """Ids of people, rows and memberships (`group:member`) whose removal waits for a person, or was rejected by one:
    somebody is told (I2)."""
    held = (finding for finding in findings if finding.state in DECIDED)
    return frozenset(finding.subject_id for finding in held)


def _is_right(
    world: World,
    rows: Mapping[str, User],
    person: str,
    excused: frozenset[str],
    kept: frozenset[tuple[str, str]],
) -> None:
    user = world.directory.users[person]
    wanted = world.attributes(person)
    if not wanted.get("userName"):
        return  # Entra skips who has no userName (ImportSkipped), and so does Leaver
    row = rows.get(person)
    if world.are_members_left_out and not (row and row.active):
        world.count("not here by a list that was short")
        return
    keep(row is not None, "I2", f"{user.user_principal_name} is entitled and not here")
    assert row is not None
    keep(row.active, "I2", f"{user.user_principal_name} is entitled and inactive here")
    if row.id in excused or (person, "*") in kept:
        return
    for path, value in wanted.items():
        held = paths.get(row.document, path)
        if {(person, path), ("*", path)} & kept or not (world.mapping.is_told or path not in NAMES):
            continue
        keep(held == value, "I2", f"{row.user_name}: {path} is {held!r}, in Entra {value!r}")
    # Graph shows no manager who is deleted.
    manager = rows.get(user.manager_id or "") if user.manager_id in world.directory.users else None
    if manager is not None and user.manager_id not in excused:
        held = (paths.get(row.document, paths.MANAGER) or {}).get("value")
        keep(held == manager.id, "I2", f"{row.user_name}: manager is {held}, in Entra {manager.id}")


def _is_spared(row: User) -> bool:
    """Protected accounts and the last admin stay whatever Entra says."""
    return row.is_protected or row.is_admin


def _has_a_right(world: World, row: User, people: frozenset[str], *, is_full: bool) -> None:
    if _is_spared(row):
        return
    if row.entra_object_id is None:
        # Who answers to an account that nobody holds, only a reading of everybody tells.
        if not is_full:
            return
        # By the name that the mapping makes of a principal name: a guest's has another.
        called = (world.attributes(person).get("userName") for person in people)
        if row.user_name.lower() in {str(name).lower() for name in called}:
            return  # a second account of somebody entitled, pushed beside the one that is linked
        is_local = row.origin not in (Origin.SCIM, Origin.GRAPH)
        keep(is_local, "I2", f"{row.user_name} was pushed, is nobody in Entra and active")
    else:
        keep(row.entra_object_id in people, "I2", f"{row.user_name} is active and not entitled")


def _groups_are_right(
    world: World,
    after: Picture,
    rows: Mapping[str, User],
    excused: frozenset[str],
    waiting: frozenset[str],
) -> None:
    directory, policy = world.directory, world.policy
    groups: dict[str, Group] = {row.entra_object_id: row for row in after.live_groups if row.entra_object_id}
    people = truth.entitled(directory, policy)
    assigned = truth.assigned_groups(directory)
    for group_id in sorted(assigned - excused):
        row = groups.get(group_id)
        name = directory.groups[group_id].display_name
        keep(row is not None, "I2", f"group {name} is assigned and not here")
        assert row is not None
        if row.id not in excused:
            keep(row.display_name == name, "I2", f"group {row.display_name} is called {name} in Entra")
        wanted = truth.members_of(directory, group_id, policy)
        ids: set[str] = {rows[each].id for each in wanted & people if each in rows}
        ids |= {groups[each].id for each in wanted & assigned if each in groups}
        held = {each for each in after.members.get(row.id, frozenset()) if _counts(after, each)}
        unsure = {row.id for row in after.live if row.id in excused or _is_spared(row)} | excused
        # Memberships of an account or a group whose own removal waits are taken with it.
        unsure |= {row.id for row in after.live if {row.id, row.entra_object_id} & waiting}
        unsure |= {row.id for row in after.live_groups if {row.id, row.entra_object_id} & waiting}
        here: tuple[User | Group, ...] = (*after.live, *after.live_groups)
        unsure |= {row.id for row in here if f"{group_id}:{row.entra_object_id or row.id}" in waiting}
        missing, extra = ids - held - unsure, held - ids - unsure
        if world.are_members_left_out:
            missing = set()
        keep(not missing and not extra, "I2", f"group {name}: missing {missing}, extra {extra}")
    for row in after.live_groups:
        is_local = row.entra_object_id is None and row.origin not in (Origin.SCIM, Origin.GRAPH)
        # Whose removal waits for a person, or was rejected by one, stays: that is told.
        is_here_rightly = row.entra_object_id in assigned or {row.id, row.entra_object_id} & (
            excused | waiting
        )
        keep(is_local or is_here_rightly, "I2", f"group {row.display_name} is here and not assigned")


def _counts(after: Picture, member_id: str) -> bool:
    """Memberships of people without access are left as they are, and those of local accounts."""
    group = after.groups.get(GroupId(member_id))
    if group is not None:
        return group.entra_object_id is not None
    user = next((row for row in after.live if row.id == member_id), None)
    return user is not None and user.active and user.entra_object_id is not None
