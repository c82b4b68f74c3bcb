"""Add and remove members of groups, with log entries and events.

The rows are written by `membership_writes`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from msgspec import structs

from store.errors import InvalidRecord, NotFound, Terminal, UnknownMember
from store.lifecycle import membership_writes as rows
from store.lifecycle.membership_writes import Pair
from store.lifecycle.transaction import Transaction
from store.logs.journal import LogSubject
from store.records import (
    Action,
    AddMembers,
    Cause,
    Group,
    GroupId,
    LogStatus,
    Modified,
    Origin,
    Outcome,
    OutcomeStatus,
    RemoveMembers,
    SubjectType,
)


async def add(tx: Transaction, commands: Sequence[AddMembers]) -> list[Outcome]:
    """Add members that are not in the group yet.

    A command with an unknown member, or with the group itself, is refused as a whole.
    """
    known = await rows.known_members(tx, {member for command in commands for member in command.member_ids})
    groups = await rows.groups_that_stay(tx, [command.group_id for command in commands])
    refused = {
        index: error for index, command in enumerate(commands) if (error := _refusal(command, groups, known))
    }
    pairs = _pairs(command for index, command in enumerate(commands) if index not in refused)
    added: set[Pair] = set()
    for group_id, group in groupby(pairs, key=itemgetter(0)):
        joined = await rows.insert(tx, group_id, [member for _, member in group], known)
        added.update((group_id, member) for member in joined)
    return _outcomes(tx, commands, Action.ADD_MEMBER, groups, refused, added)


async def remove(tx: Transaction, commands: Sequence[RemoveMembers]) -> list[Outcome]:
    """Remove members that are in the group. The worker removes no protected account."""
    groups = await rows.groups_that_stay(tx, [command.group_id for command in commands])
    refused: dict[int, Terminal] = {
        index: NotFound("no such group") for index, c in enumerate(commands) if c.group_id not in groups
    }
    wanted = _pairs(command for index, command in enumerate(commands) if index not in refused)
    kept = (
        await rows.protected(tx, {member for _, member in wanted})
        if tx.cause.origin is Origin.GRAPH
        else set()
    )
    removed = await rows.delete(tx, [pair for pair in wanted if pair[1] not in kept])
    return _outcomes(tx, commands, Action.REMOVE_MEMBER, groups, refused, removed)


def _pairs(commands: Iterable[AddMembers | RemoveMembers]) -> list[Pair]:
    """Return each pair once and sorted, so that two transactions cannot deadlock."""
    return sorted({(command.group_id, member) for command in commands for member in command.member_ids})


def _refusal(
    command: AddMembers, groups: Mapping[str, Group], known: Mapping[str, SubjectType]
) -> Terminal | None:
    if command.group_id not in groups:
        return NotFound("no such group")
    return why_not(command.group_id, command.member_ids, known)


def why_not(
    group_id: GroupId, member_ids: Collection[str], known: Mapping[str, SubjectType]
) -> Terminal | None:
    """Return the reason why these ids cannot join a group, or None.

    An id is unknown, or it is the group itself. RFC 7643 §4.2 allows groups within
    groups and leaves the rest to the service; membership in itself gives no access.
    """
    if group_id in member_ids:
        return InvalidRecord(
            "A group cannot be a member of itself. Take it out of its own members in Entra, then the others come."
        )
    unknown = tuple(member for member in member_ids if member not in known)
    return UnknownMember(unknown) if unknown else None


async def remove_from_all(tx: Transaction, deleted: Sequence[str]) -> None:
    """Remove deleted users or groups from every group.

    The log entries do not count as removals: they are part of the deletion.
    """
    await _log_departures(tx, await rows.delete_of_members(tx, deleted))


async def remove_but_from(tx: Transaction, member_id: str, keep: Collection[str]) -> None:
    """Remove a user from every group but those in `keep`: the account has another
    holder.
    """
    pairs = await rows.delete_of_member(tx, member_id, keep)
    await _log_departures(tx, {group_id: [member] for group_id, member in sorted(pairs)})


async def _log_departures(tx: Transaction, by_group: Mapping[GroupId, list[str]]) -> None:
    for group in (await rows.touch(tx, list(by_group))).values():
        log_change(tx, group, Action.REMOVE_MEMBER, by_group[group.id], amount=0)


def log_change(
    tx: Transaction,
    group: Group,
    action: Action,
    member_ids: Sequence[str],
    *,
    amount: int | None = None,
    cause: Cause | None = None,
) -> None:
    """Add a log entry and an event for members that joined or left."""
    cause = cause or tx.cause
    came = action is Action.ADD_MEMBER
    modified: list[Modified] = [
        {"attribute": "members", "old": None if came else member, "new": member if came else None}
        for member in member_ids
    ]
    amount = len(member_ids) if amount is None else amount
    tx.journal.add_log_entry(cause, action, LogStatus.SUCCESS, LogSubject.of(group), modified, amount=amount)
    tx.journal.add_event(
        "membership.added" if came else "membership.removed",
        group.id,
        {
            "displayName": group.display_name,
            "memberIds": list(member_ids),
            "origin": cause.origin.value,
            "correlationId": cause.correlation_id,
        },
    )


async def touch_changed(tx: Transaction, outcomes: list[Outcome]) -> list[Outcome]:
    """Raise the versions of all groups whose members changed.

    Returns the outcomes with the groups as they are now. It is the last step of a
    transaction: from here on, other transactions that change members of these groups
    wait for this one.
    """
    if not tx.changed_groups:
        await tx.write_pending()
        return outcomes
    groups: dict[str, Group] = {
        group.id: group for group in (await rows.touch(tx, sorted(tx.changed_groups))).values()
    }
    return [
        structs.replace(outcome, record=groups.get(outcome.record.id, outcome.record))
        if outcome.record
        else outcome
        for outcome in outcomes
    ]


def _outcomes(
    tx: Transaction,
    commands: Sequence[AddMembers | RemoveMembers],
    action: Action,
    groups: Mapping[str, Group],
    refused: Mapping[int, Terminal],
    changed: set[Pair],
) -> list[Outcome]:
    """Return the outcome of each command.

    Where two wanted the same change, the first made it.
    """
    tx.changed_groups.update(group_id for group_id, _ in changed)
    left = set(changed)
    outcomes: list[Outcome] = []
    for index, command in enumerate(commands):
        group = groups.get(command.group_id)
        if index in refused or group is None:
            subject = (
                LogSubject.of(group)
                if group
                else LogSubject(SubjectType.GROUP, command.group_id, command.group_id)
            )
            outcomes.append(tx.refuse(command, action, refused[index], subject))
            continue
        mine = [member for member in dict.fromkeys(command.member_ids) if (command.group_id, member) in left]
        left.difference_update((command.group_id, member) for member in mine)
        if not mine:
            outcomes.append(tx.unchanged(command, action, group))
            continue
        log_change(tx, group, action, mine, cause=tx.cause_of(command))
        outcomes.append(Outcome(command, OutcomeStatus.APPLIED, action, group))
    return outcomes
