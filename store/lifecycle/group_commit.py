"""Group commit: batch single-command writes that arrive during a transaction.

A transaction costs the same trips to the database, and the same wait for its disk, for
one command as for twenty; an initial cycle of Entra sends one command a request, many
at a time. Commands that arrive while a transaction of the same connection is open are
performed together in the next. Each caller gets its own outcome after the commit and is
refused alone: reasons against a command are found before anything is written. On an
unforeseen error the whole batch is rolled back and each command is performed by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database
from store.keys import utc_now
from store.lifecycle.dispatch import run_all
from store.lifecycle.transaction import CommitBatch, Transaction
from store.logs.journal import Journal
from store.records import (
    AddMembers,
    Cause,
    ChangeUser,
    Command,
    ConnectionId,
    CreateUser,
    Origin,
    Outcome,
    RemoveMembers,
    TenantId,
)

LARGEST = 100
AT_ONCE = {"sqlite": 1, "postgresql": 4}
"""Open transactions per connection.

PostgreSQL waits for its disk and makes its trips for four at the same time.
"""
_KINDS = (CreateUser, ChangeUser, AddMembers, RemoveMembers)

BatchScope: TypeAlias = tuple[TenantId, ConnectionId, Origin]
Key: TypeAlias = tuple[asyncio.AbstractEventLoop, BatchScope]


@dataclass(slots=True, eq=False)
class _QueuedCommand:
    """A command and the future that its caller waits for."""

    command: Command
    cause: Cause
    answer: asyncio.Future[Outcome]

    def tell(self, result: Outcome | BaseException) -> None:
        if self.answer.done():  # the caller is gone; the command is performed all the same
            return
        if isinstance(result, Outcome):
            self.answer.set_result(result)
        else:
            self.answer.set_exception(result)


@dataclass(slots=True)
class CommandQueue:
    """Commands that wait for the same connection, and tasks that perform them."""

    waiting: list[_QueuedCommand] = field(default_factory=list)
    performing: set[asyncio.Task[Any]] = field(default_factory=set)


_queues: WeakKeyDictionary[Database, dict[Key, CommandQueue]] = WeakKeyDictionary()


def can_batch(commands: Sequence[Command], cause: Cause) -> bool:
    """Return whether this is a single command of a kind that pushes consist of."""
    return len(commands) == 1 and isinstance(commands[0], _KINDS) and cause.fence is None


async def perform_one(
    db: Database, tenant_id: TenantId, connection_id: ConnectionId, command: Command, cause: Cause
) -> Outcome:
    """Perform a command in a batch with others of the same connection.

    Raises the reason against it. Cancelling the caller does not stop the command.
    """
    loop = asyncio.get_running_loop()
    key = (loop, (tenant_id, connection_id, cause.origin))
    queues = _queues.setdefault(db, {})
    queue = queues.setdefault(key, CommandQueue())
    waiting = _QueuedCommand(command, cause, loop.create_future())
    queue.waiting.append(waiting)
    if len(queue.performing) < AT_ONCE[db.dialect]:
        queue.performing.add(loop.create_task(_perform_waiting(db, queues, key)))
    return await waiting.answer


async def _perform_waiting(db: Database, queues: dict[Key, CommandQueue], key: Key) -> None:
    """Perform batches until the queue is empty."""
    queue, (_, place) = queues[key], key
    while queue.waiting:
        batch = _next_batch(queue.waiting)
        del queue.waiting[: len(batch)]
        await _perform_batch(db, place, batch)
    # At once, not when the task has ended: a caller in between would wait for a
    # task that looks no more.
    queue.performing.discard(cast("asyncio.Task[Any]", asyncio.current_task()))
    if not queue.performing:
        del queues[key]


def _next_batch(waiting: Sequence[_QueuedCommand]) -> list[_QueuedCommand]:
    """Return the first commands of the queue that are of one kind, up to 100.

    Rows of several kinds could be locked in opposite orders. One command may wait
    twice, but comes once in a batch.
    """
    batch: dict[int, _QueuedCommand] = {}
    for each in waiting[:LARGEST]:
        if id(each.command) in batch or type(each.command) is not type(waiting[0].command):
            break
        batch[id(each.command)] = each
    return list(batch.values())


async def _perform_batch(db: Database, place: BatchScope, batch: Sequence[_QueuedCommand]) -> None:
    try:
        results = await db.write(lambda conn: _perform_all(conn, place, batch))
    except Exception as error:
        if len(batch) == 1:
            batch[0].tell(error)
        else:
            await asyncio.gather(*(_perform_batch(db, place, [each]) for each in batch))
        return
    for waiting, result in zip(batch, results, strict=True):
        waiting.tell(result)


async def _perform_all(
    conn: AsyncConnection, place: BatchScope, batch: Sequence[_QueuedCommand]
) -> list[Outcome | Exception]:
    """Return the outcome of each command, or the reason against it."""
    tenant_id, connection_id, _ = place
    now = utc_now()
    crowd = CommitBatch({id(each.command): each.cause for each in batch})
    tx = Transaction(
        conn,
        tenant_id,
        connection_id,
        batch[0].cause,
        now,
        True,
        Journal(tenant_id, connection_id, now),
        crowd,
    )
    outcomes = await run_all(tx, [each.command for each in batch])
    return [
        crowd.refusals.get(id(each.command), outcome) for each, outcome in zip(batch, outcomes, strict=True)
    ]
