"""The state that all steps of one `perform` share, and how a refusal is handled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.bulk_write import Write, write_batch
from store.engine.list_lookups import unindexed
from store.engine.prepared_statements import Row
from store.errors import NotFound, Protected, Terminal, VersionMoved
from store.logs.journal import Journal, LogSubject
from store.records import (
    DIRECTORY,
    Action,
    Cause,
    Command,
    ConnectionId,
    Group,
    GroupId,
    LogStatus,
    Origin,
    Outcome,
    OutcomeStatus,
    TenantId,
    User,
)

# What the next cycle looks at again, as opposed to what failed.
_PASSED_OVER = (NotFound, VersionMoved, Protected)


def beside_id(table: Table) -> tuple[ColumnElement[bool], ...]:
    """Return the same conditions as `in_scope` for a statement on rows by their ids.

    No index answers them: a planner whose statistics are wrong would prefer it to the
    ids' own.
    """
    return (
        unindexed(table.c.tenant_id) == bindparam("scope_tenant"),
        unindexed(table.c.connection_id) == bindparam("scope_connection"),
    )


def in_scope(table: Table) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that keep a statement within the transaction's tenant and
    connection.

    Statements are built once, with names for their values: building one costs several
    times as much as running it.
    """
    return (
        table.c.tenant_id == bindparam("scope_tenant"),
        table.c.connection_id == bindparam("scope_connection"),
    )


@dataclass(frozen=True, slots=True)
class CommitBatch:
    """The causes and refusals of commands from many callers, by `id` of a command."""

    causes: Mapping[int, Cause]
    refusals: dict[int, Exception] = field(default_factory=dict)


@dataclass(slots=True)
class Transaction:
    """One `perform` in progress."""

    conn: AsyncConnection
    tenant_id: TenantId
    connection_id: ConnectionId
    cause: Cause
    now: datetime
    atomic: bool
    journal: Journal
    batch: CommitBatch | None = None
    """Set where each command comes from a caller of its own."""
    changed_groups: set[GroupId] = field(default_factory=set)
    """Groups whose members changed and whose version is still to be raised."""
    pending: list[Write] = field(default_factory=list)
    """Writes that are sent together."""

    @property
    def scope(self) -> dict[str, Any]:
        """The values of `in_scope`."""
        return {"scope_tenant": self.tenant_id, "scope_connection": self.connection_id}

    def origin_after(self, before: Origin) -> Origin:
        """Return the origin of a row after the change.

        A row of Entra's stays Entra's when it is edited here.
        """
        return before if before in DIRECTORY and self.cause.origin not in DIRECTORY else self.cause.origin

    async def write_pending(self) -> list[Row]:
        """Write what is pending and return the rows that the last statement returns."""
        writes, self.pending = self.pending, []
        return await write_batch(self.conn, writes)

    def cause_of(self, command: Command) -> Cause:
        """Return the cause of a command."""
        return self.cause if self.batch is None else self.batch.causes[id(command)]

    def refuse(self, command: Command, action: Action, error: Exception, subject: LogSubject) -> Outcome:
        """Raise the error if the call is atomic, else log it and return an outcome.

        An error that is no `Terminal` always raises. In a batch each error is kept for
        the caller of its command.
        """
        if self.batch is not None:
            self.batch.refusals[id(command)] = error
            return Outcome(command, OutcomeStatus.FAILED, action, None, str(error))
        if self.atomic or not isinstance(error, Terminal):
            raise error
        passed_over = isinstance(error, _PASSED_OVER)
        self.journal.add_log_entry(
            self.cause,
            action,
            LogStatus.SKIPPED if passed_over else LogStatus.FAILURE,
            subject,
            detail=str(error),
        )
        status = OutcomeStatus.SKIPPED if passed_over else OutcomeStatus.FAILED
        return Outcome(command, status, action, None, str(error))

    def unchanged(self, command: Command, action: Action, record: User | Group) -> Outcome:
        """Return the outcome of a command that changed nothing, and log it.

        The worker repeats its commands with every cycle and leaves no log entry.
        """
        if self.cause.origin is not Origin.GRAPH:
            self.journal.add_log_entry(
                self.cause_of(command),
                action,
                LogStatus.SKIPPED,
                LogSubject.of(record),
                detail="already so: nothing to change",
            )
        return Outcome(command, OutcomeStatus.UNCHANGED, action, record, "already so")
