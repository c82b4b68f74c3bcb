"""Collect the provisioning log entries and events of a transaction, then write them
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct

from store import tables
from store.engine.bulk_write import Write, bind_names, insert_statement
from store.keys import search_key
from store.records import (
    Action,
    Cause,
    ConnectionId,
    Group,
    JsonValue,
    LogStatus,
    Modified,
    Step,
    SubjectType,
    TenantId,
    User,
)

_INSERT_ENTRIES = insert_statement(tables.provisioning_log)
_INSERT_EVENTS = insert_statement(tables.events)

_REMOVED: Mapping[tuple[str, str], str] = {
    (Action.DISABLE.value, SubjectType.USER.value): "users",
    (Action.DELETE.value, SubjectType.USER.value): "users",
    (Action.DELETE.value, SubjectType.GROUP.value): "groups",
    (Action.REMOVE_MEMBER.value, SubjectType.GROUP.value): "memberships",
}


class LogSubject(Struct, frozen=True):
    """The user or group of an entry."""

    type: SubjectType
    id: str | None
    label: str

    @classmethod
    def of(cls, record: User | Group) -> LogSubject:
        if isinstance(record, User):
            return cls(SubjectType.USER, record.id, record.user_name)
        return cls(SubjectType.GROUP, record.id, record.display_name)


@dataclass(slots=True)
class Journal:
    """The entries and events of one transaction."""

    tenant_id: TenantId
    connection_id: ConnectionId
    at: datetime
    _entries: list[dict[str, Any]] = field(default_factory=list)
    _events: list[dict[str, Any]] = field(default_factory=list)

    def add_log_entry(
        self,
        cause: Cause,
        action: Action,
        status: LogStatus,
        subject: LogSubject,
        modified: Sequence[Modified] = (),
        *,
        detail: str = "",
        amount: int = 1,
    ) -> None:
        """Add an entry; `detail` becomes its last step."""
        steps = cause.steps
        if detail:
            steps = (*steps, Step("perform", status, detail))
        self._entries.append(
            {
                "at": self.at,
                "tenant_id": self.tenant_id,
                "connection_id": self.connection_id,
                "action": action.value,
                "status": status.value,
                "subject_type": subject.type.value,
                "subject_id": subject.id,
                "subject_label": subject.label,
                "subject_key": search_key(subject.label),
                "origin": cause.origin.value,
                "actor": cause.actor,
                "steps": steps,
                "modified": modified,
                "correlation_id": cause.correlation_id,
                "amount": amount,
            }
        )

    def add_event(self, type_: str, subject_id: str, payload: Mapping[str, JsonValue]) -> None:
        """Add an event."""
        self._events.append(
            {
                "at": self.at,
                "tenant_id": self.tenant_id,
                "connection_id": self.connection_id,
                "type": type_,
                "subject_id": subject_id,
                "payload": payload,
            }
        )

    def removed(self) -> set[str]:
        """Return what the transaction takes away: `users`, `groups`, `memberships`."""
        return {
            kind
            for entry in self._entries
            if entry["status"] == LogStatus.SUCCESS and entry["amount"]
            if (kind := _REMOVED.get((entry["action"], entry["subject_type"])))
        }

    def writes(self) -> list[Write]:
        """Return the statements that write all entries and events."""
        entries = [bind_names(tables.provisioning_log, entry) for entry in self._entries]
        events = [bind_names(tables.events, event) for event in self._events]
        pairs = ((_INSERT_ENTRIES, entries), (_INSERT_EVENTS, events))
        return [(statement, rows) for statement, rows in pairs if rows]
