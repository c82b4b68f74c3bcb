"""Memberships and managers: sent last, one PATCH per member, many at once.

Compared is the directory now with what was sent, for the pairs that changed. Who is
re-enabled gets nothing replayed, because nothing about the pair changed; who comes into
scope later is linked by a restart.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from simulator.provisioning.client import ResourceType
from simulator.provisioning.errors import ProvisioningError, TargetRefused
from simulator.provisioning.export import REDUNDANT, REDUNDANT_TEXT
from simulator.provisioning.faults import Gap
from simulator.provisioning.job import Link, ObjectKind
from simulator.provisioning.log import Attempt, ModifiedProperty
from simulator.provisioning.run import Run, in_parallel
from simulator.provisioning.wire import manager_body, members_body, send_patch

Pair = tuple[str, str]
"""Group and member, or user and manager's holder: source ids."""


@dataclass(frozen=True, slots=True)
class MemberChange:
    """Members that join or leave one group, in one PATCH."""

    group_id: str
    member_ids: tuple[str, ...]
    joining: bool


async def export_members(run: Run, pairs: Iterable[Pair]) -> None:
    """Bring the given memberships to the target."""
    found = [_member_change(run, group_id, member_id) for group_id, member_id in dict.fromkeys(pairs)]
    changes = _batched([change for change in found if change], run.job.settings.members_per_patch)
    if run.job.faults.fires(Gap.OUT_OF_ORDER):
        run.job.faults.dice.shuffle(changes)

    async def work(change: MemberChange) -> None:
        await _send_members(run, change)

    await in_parallel(changes, work, run.job.settings.parallelism)


def _member_change(run: Run, group_id: str, member_id: str) -> MemberChange | None:
    job, directory = run.job, run.directory
    group, group_link = directory.groups.get(group_id), job.links.get(group_id)
    alive = member_id in directory.users or member_id in directory.groups
    # A soft-deleted member stays; a purged one can no longer be resolved to anything.
    if group is None or group_link is None or not alive:
        job.note_success(group_id, member_id)
        return None
    inside, sent = member_id in group.member_ids, member_id in group_link.member_ids
    if inside == sent:
        job.note_success(group_id, member_id)
        return None
    member_link = job.links.get(member_id)
    if member_link is None or (inside and member_link.released):
        _wait_for_object(run, group_id, member_id)
        return None
    return MemberChange(group_id, (member_id,), joining=inside)


def _wait_for_object(run: Run, source_id: str, related_id: str) -> None:
    """Keep a reference whose other end failed; one whose other end is out of scope is
    simply not sent.
    """
    if (related_id, None) in run.job.escrows:
        message = f"The referenced object {related_id} is not in customappsso yet."
        run.job.note_failure(source_id, related_id, "MissingReference", message, run.now())
    else:
        run.job.note_success(source_id, related_id)


def _batched(changes: list[MemberChange], size: int) -> list[MemberChange]:
    if size <= 1:
        return changes
    by_group: dict[tuple[str, bool], list[str]] = {}
    for change in changes:
        by_group.setdefault((change.group_id, change.joining), []).extend(change.member_ids)
    return [
        MemberChange(group_id, tuple(members[start : start + size]), joining)
        for (group_id, joining), members in by_group.items()
        for start in range(0, len(members), size)
    ]


async def _send_members(run: Run, change: MemberChange) -> None:
    link = run.job.links[change.group_id]
    attempt = _begin(run, "Group", link)
    targets = [run.job.links[member].target_id for member in change.member_ids]
    for target in targets:
        old, new = (None, target) if change.joining else (target, None)
        attempt.modified.append(ModifiedProperty("members", old, new))
    try:
        if await _checked(run, "Groups", link, "members", targets, wanted=change.joining):
            _skip(run, attempt)
        else:
            body = members_body(run, targets, joining=change.joining)
            await send_patch(run, "Group", link.target_id, body)
            _sent(run, attempt, "members_added" if change.joining else "members_removed", len(targets))
    except TargetRefused as refused:
        for member in change.member_ids:
            _failed(run, attempt, change.group_id, member, refused)
    else:
        _remember_members(run, link, change)
    run.log.write(attempt)


def _remember_members(run: Run, link: Link, change: MemberChange) -> None:
    for member in change.member_ids:
        run.job.note_success(change.group_id, member)
    if change.joining:
        link.member_ids.update(change.member_ids)
    else:
        link.member_ids.difference_update(change.member_ids)


async def export_managers(run: Run, user_ids: Iterable[str]) -> None:
    """Bring the managers of the given users to the target; that one went is not sent,
    unless configured.
    """

    async def work(user_id: str) -> None:
        await _export_manager(run, user_id)

    await in_parallel(dict.fromkeys(user_ids), work, run.job.settings.parallelism)


async def _export_manager(run: Run, user_id: str) -> None:
    user, link = run.directory.users.get(user_id), run.job.links.get(user_id)
    if user is None or link is None or link.released or user.manager_id == link.manager_id:
        return
    if user.manager_id is None:
        if run.job.settings.clear_manager:
            await _send_manager(run, link, None)
        return
    manager = run.job.links.get(user.manager_id)
    if manager is None or manager.released:
        _wait_for_object(run, user_id, user.manager_id)
        return
    await _send_manager(run, link, manager)


async def _send_manager(run: Run, link: Link, manager: Link | None) -> None:
    attempt = _begin(run, "User", link)
    target_id = manager.target_id if manager else ""
    manager_id = manager.source_id if manager else None
    attempt.modified.append(ModifiedProperty("manager", None, target_id))
    try:
        if manager and await _checked(run, "Users", link, "manager", [target_id], wanted=True):
            _skip(run, attempt)
        else:
            body = manager_body(run, target_id, had_one=link.manager_id is not None)
            await send_patch(run, "User", link.target_id, body)
            _sent(run, attempt, "managers_set", 1)
    except TargetRefused as refused:
        _failed(run, attempt, link.source_id, manager_id or "", refused)
    else:
        run.job.note_success(link.source_id, manager_id or "")
        link.manager_id, link.manager_target_id = manager_id, target_id or None
    run.log.write(attempt)


async def _checked(
    run: Run, resource_type: ResourceType, link: Link, name: str, targets: list[str], *, wanted: bool
) -> bool:
    """Ask, where configured, whether every link is as wanted already."""
    if not run.job.settings.reference_checks:
        return False
    answers = [await run.client.has_reference(resource_type, link.target_id, name, t) for t in targets]
    return all(answer is wanted for answer in answers)


def _begin(run: Run, kind: ObjectKind, link: Link) -> Attempt:
    name = link.exported.get("userName" if kind == "User" else "displayName", link.source_id)
    attempt = run.attempt(kind, link.source_id, name)
    attempt.action = "update"
    attempt.step("EntryImportUpdate", "import", "success", f"Received a reference change of {kind} '{name}'")
    return attempt


def _sent(run: Run, attempt: Attempt, count: str, number: int) -> None:
    attempt.step("EntryExportUpdate", "export", "success", f"{attempt.kind} was updated in customappsso")
    run.counts[count] += number


def _skip(run: Run, attempt: Attempt) -> None:
    attempt.skip(REDUNDANT, REDUNDANT_TEXT.format(kind=attempt.kind.lower()))
    run.counts["skipped"] += 1


def _failed(run: Run, attempt: Attempt, source_id: str, related_id: str, error: ProvisioningError) -> None:
    if attempt.status != "failure":
        attempt.fail(error.code, error.message)
    run.job.note_failure(source_id, related_id, error.code, error.message, run.now())
    run.counts["references_failed"] += 1
