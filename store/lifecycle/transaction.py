"""What every step of one `perform` shares, and how a refusal is taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam
from sqlalchemy.ext.asyncio import AsyncConnection

from store.errors import NotFound, Protected, Terminal, VersionMoved
from store.journal import Journal, Subject
from store.prepared import Row
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
from store.together import Write, write_all

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
        return await write_all(self.conn, writes)

    def refuse(self, command: Command, action: Action, error: Terminal, subject: Subject) -> Outcome:
        """Raises if the call is atomic; else the command alone is refused, and logged."""
        if self.atomic:
            raise error
        passed_over = isinstance(error, _PASSED_OVER)
        self.journal.log(
            action, LogStatus.SKIPPED if passed_over else LogStatus.FAILURE, subject, detail=str(error)
        )
        status = OutcomeStatus.SKIPPED if passed_over else OutcomeStatus.FAILED
        return Outcome(command, status, action, None, str(error))

    def unchanged(self, command: Command, action: Action, record: User | Group) -> Outcome:
        """Notes that all was so already; the worker, which asks again with every cycle, leaves no entry."""
        if self.cause.origin is not Origin.GRAPH:
            self.journal.log(
                action, LogStatus.SKIPPED, Subject.of(record), detail="already so: nothing to change"
            )
        return Outcome(command, OutcomeStatus.UNCHANGED, action, record, "already so")
