"""What every step of one `perform` shares, and how a refusal is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.bulk_write import Write, write_batch
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


def in_scope(table: Table) -> tuple[ColumnElement[bool], ...]:
    """Gives the conditions that keep a statement within the tenant and connection of the transaction.

    Statements are built once, with names for their values: building one costs several times what running it does.
    """
    return (
        table.c.tenant_id == bindparam("scope_tenant"),
        table.c.connection_id == bindparam("scope_connection"),
    )


@dataclass(frozen=True, slots=True)
class CommitBatch:
    """Whose commands they are, where those of many callers are performed together; by `id` of a command."""

    causes: Mapping[int, Cause]
    refusals: dict[int, Exception] = field(default_factory=dict)


@dataclass(slots=True)
class Transaction:
    """One `perform` under way."""

    conn: AsyncConnection
    tenant_id: TenantId
    connection_id: ConnectionId
    cause: Cause
    now: datetime
    atomic: bool
    journal: Journal
    batch: CommitBatch | None = None
    """Set where every command is somebody else's."""
    changed_groups: set[GroupId] = field(default_factory=set)
    """Groups whose members changed and whose version is still to be raised."""
    pending: list[Write] = field(default_factory=list)
    """What is still to be written, so that it can be written together."""

    @property
    def scope(self) -> dict[str, Any]:
        """The values of `in_scope`."""
        return {"scope_tenant": self.tenant_id, "scope_connection": self.connection_id}

    def origin_after(self, before: Origin) -> Origin:
        """Tells whose row it is after the change: Entra's stays Entra's, though somebody edits it here."""
        return before if before in DIRECTORY and self.cause.origin not in DIRECTORY else self.cause.origin

    async def write_pending(self) -> list[Row]:
        """Writes what is pending and gives the rows that the last statement returns."""
        writes, self.pending = self.pending, []
        return await write_batch(self.conn, writes)

    def cause_of(self, command: Command) -> Cause:
        """Tells who wants this command."""
        return self.cause if self.batch is None else self.batch.causes[id(command)]

    def refuse(self, command: Command, action: Action, error: Exception, subject: LogSubject) -> Outcome:
        """Raises if the call is atomic; else the command alone is refused, and logged.

        What is no refusal of ours always raises. In a crowd either is kept for the caller whose command it is.
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
        """Notes that all was so already; the worker, which asks again with every cycle, leaves no entry."""
        if self.cause.origin is not Origin.GRAPH:
            self.journal.add_log_entry(
                self.cause_of(command),
                action,
                LogStatus.SKIPPED,
                LogSubject.of(record),
                detail="already so: nothing to change",
            )
        return Outcome(command, OutcomeStatus.UNCHANGED, action, record, "already so")
