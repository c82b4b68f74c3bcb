"""Schemas of events and webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from console.api.contract import AnswerModel
from console.api.schemas.common import JsonObject


class EventSubjectAnswer(AnswerModel):
    """What an event is about."""

    type: str
    id: str


class EventAnswer(AnswerModel):
    """Something that happened."""

    id: Annotated[str, Field(description="The same at every delivery: act once for each id.")]
    type: str
    at: datetime
    tenant_id: str
    connection_id: str
    subject: EventSubjectAnswer
    data: JsonObject


class FeedAnswer(AnswerModel):
    """Events, the oldest first, and where to go on."""

    items: list[EventAnswer]
    next: Annotated[str, Field(description="Send it as `after`; it moves on though no event came.")]
