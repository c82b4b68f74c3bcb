"""Schemas of the provisioning log, the audit log and events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from console.api.contract import AnswerModel
from console.api.schemas.common import JsonObject, PageAnswer, StepAnswer


class ModifiedAnswer(AnswerModel):
    """One attribute that a change gave another value."""

    attribute: str
    old: Any
    new: Any


class LogEntryAnswer(AnswerModel):
    """One attempted change."""

    at: datetime
    action: str
    status: str
    subject: str
    subject_type: str
    subject_id: str | None
    origin: str
    actor: str | None
    steps: list[StepAnswer]
    modified: list[ModifiedAnswer]
    correlation_id: str
    cycle_id: str | None
    finding: JsonObject | None


class LogPageAnswer(PageAnswer[LogEntryAnswer]):
    """Entries of the provisioning log, the newest first."""


class AuditEntryAnswer(AnswerModel):
    """One deed of a person or a program."""

    at: datetime
    actor: str
    action: str
    subject: str
    subject_id: str
    connection_id: str | None
    detail: JsonObject


class AuditPageAnswer(PageAnswer[AuditEntryAnswer]):
    """Entries of the audit log, the newest first."""
