"""Schemas that several nouns share: pages, steps, checks, entries of the logs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from pydantic import Field

from console.api.contract import AnswerModel

Item = TypeVar("Item")
JsonObject: TypeAlias = dict[str, Any]
Text = Annotated[str, Field(max_length=2_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Moment = Annotated[datetime | None, Field(description="RFC 3339, in UTC.")]


class PageAnswer(AnswerModel, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: Annotated[str | None, Field(description="The `cursor` of the next page; null on the last.")]


class StepAnswer(AnswerModel):
    """One explained step of a change."""

    name: str
    status: str
    detail: str
    data: JsonObject


class CheckAnswer(AnswerModel):
    """One check, with what to do about it."""

    area: str
    name: str
    status: str
    detail: str
    remedy: str


class ChecksAnswer(AnswerModel):
    """All checks of one test."""

    ok: bool
    checks: list[CheckAnswer]


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
