"""Perform the commands of one transaction in runs of one kind, each with a few
statements.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from typing import Any, TypeAlias

from store.lifecycle import access_guards, create_users, groups, holders, members, users
from store.lifecycle.transaction import Transaction
from store.records import (
    AddMembers,
    ChangeGroup,
    ChangeHolder,
    ChangeUser,
    Command,
    CreateGroup,
    CreateUser,
    DecideHolder,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    LinkGroup,
    LinkUser,
    MarkUser,
    Outcome,
    ReleaseNames,
    ReleaseUser,
    RemoveMembers,
    RetireUser,
    SealUser,
    UnsealUser,
)

LONGEST_RUN = 500

Handler: TypeAlias = Callable[[Transaction, Sequence[Any]], Awaitable[list[Outcome]]]

_HANDLERS: dict[type[Command], Handler] = {
    CreateUser: create_users.create,
    ChangeUser: users.change,
    DisableUser: users.disable,
    DeleteUser: users.delete,
    LinkUser: users.link,
    ChangeHolder: holders.change_holder,
    ReleaseNames: holders.release_names,
    RetireUser: holders.retire,
    SealUser: holders.seal,
    UnsealUser: holders.unseal,
    DecideHolder: holders.decide_holder,
    MarkUser: users.mark,
    ReleaseUser: holders.release,
    CreateGroup: groups.create,
    ChangeGroup: groups.change,
    LinkGroup: groups.link,
    DeleteGroup: groups.delete,
    AddMembers: members.add,
    RemoveMembers: members.remove,
}


async def run_all(tx: Transaction, commands: Sequence[Command]) -> list[Outcome]:
    """Perform the commands in their order and return an outcome for each."""
    outcomes: list[Outcome] = []
    for handler, run in _runs(commands):
        await tx.write_pending()  # a run reads what the one before it wrote
        outcomes += await handler(tx, run)
    tx.pending += tx.journal.writes()
    outcomes = await members.touch_changed(tx, outcomes)
    await access_guards.check(tx)
    return outcomes


def _runs(commands: Sequence[Command]) -> Iterator[tuple[Handler, list[Command]]]:
    """Split the commands into runs that one handler does with a few statements.

    A run ends where the kind changes, where a subject comes again (its row has changed
    by then), and after 500 commands, which keeps the number of bound values within the
    limits of the databases.
    """
    run: list[Command] = []
    subjects: set[Hashable] = set()
    for command in commands:
        subject = _subject(command)
        ends = run and (type(command) is not type(run[0]) or subject in subjects or len(run) >= LONGEST_RUN)
        if ends:
            yield _HANDLERS[type(run[0])], run
            run, subjects = [], set()
        run.append(command)
        if subject is not None:
            subjects.add(subject)
    if run:
        yield _HANDLERS[type(run[0])], run


def _subject(command: Command) -> str | None:
    """Return the id of the row a command changes, or None where it may come twice in a
    run.
    """
    if isinstance(command, CreateUser | CreateGroup | AddMembers | RemoveMembers):
        return None
    return command.group_id if isinstance(command, ChangeGroup | LinkGroup | DeleteGroup) else command.user_id
