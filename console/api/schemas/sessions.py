"""Schemas of sessions, receipts, results, and what a person left."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, RootModel

from console.api.contract import AnswerModel, RequestModel
from console.api.schemas.common import JsonObject, PageAnswer
from store.records import AppKeyKind

Holder = Annotated[
    int | None,
    Field(ge=1, le=1_000_000, description="Number of an earlier holder; without it the present one."),
]


class EndAnswer(AnswerModel):
    """When, why and by which door a session was ended."""

    at: datetime | None
    reason: str | None
    by: str | None
    origin: str | None
    ref: str | None


class SessionAnswer(AnswerModel):
    """A session; its secret is not kept."""

    id: str
    user_id: str
    holder_number: int
    period: int
    state: str
    purpose: str
    client: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    idle_until: datetime
    created_from: str | None
    agent: str | None
    issuer: str | None
    ended: EndAnswer | None


class SessionPage(PageAnswer[SessionAnswer]):
    """Sessions, ended ones too, the newest first."""


class NewAppKeyBody(RequestModel):
    """What the app keeps itself for a person: never a secret."""

    kind: AppKeyKind
    reference: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="The app's own name for it, by which it is ended; not its secret.",
        ),
    ]
    label: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    expires_at: AwareDatetime | None = None


class AppKeyAnswer(AnswerModel):
    """A session or API key that the app keeps itself."""

    id: str
    user_id: str
    kind: AppKeyKind
    reference: str
    label: str | None
    state: str
    holder_number: int
    period: int
    registered_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None


class AppKeyPage(PageAnswer[AppKeyAnswer]):
    """What the app registered for an account, ended ones too, the newest first."""


class EndedSessionAnswer(RootModel[SessionAnswer | AppKeyAnswer]):
    """What was ended: a session, or what the app registered."""


class EndedSessionsAnswer(AnswerModel):
    """How many sessions of an account were ended."""

    user_id: str
    user_name: str
    ended: int


class ReceiptAnswer(AnswerModel):
    """What ended with a period of access."""

    id: str
    connection_id: str
    user_id: str
    holder_number: int
    period: int
    at: datetime
    action: str
    reason: str
    origin: str
    actor: str | None
    correlation_id: str
    ended: list[JsonObject]
    acknowledged_at: datetime | None
    acknowledged_by: str | None


class ReceiptPage(PageAnswer[ReceiptAnswer]):
    """Receipts of a connection."""


class ResultBody(RequestModel):
    """A result that is to be kept."""

    title: Annotated[str, Field(min_length=1, max_length=500)]
    score: int
    taken_at: datetime | None = None
    document: JsonObject | None = None
    idempotency_key: Annotated[str | None, Field(min_length=1, max_length=80)] = None


class ResultAnswer(AnswerModel):
    """An assessment result."""

    id: str
    user_id: str
    holder_number: int
    title: str
    score: int
    taken_at: datetime
    recorded_at: datetime
    document: JsonObject | None


class ResultPage(PageAnswer[ResultAnswer]):
    """Results of one holder of an account, the newest first."""


class ErasureBody(RequestModel):
    """Why a person's results are erased: no personal data."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    holder: Holder = None


class ErasureAnswer(AnswerModel):
    """The trace of an erasure."""

    id: str
    user_id: str
    holder_number: int
    at: datetime
    actor: str
    reason: str
    results: int


class ErasuresAnswer(AnswerModel):
    """The traces of an erasure, one for each account of the person."""

    user_id: str
    erasures: list[ErasureAnswer]


class HolderHistoryAnswer(AnswerModel):
    """What one holder of one account left."""

    user_id: str
    holder_number: int
    user_name: str
    directory_id: str | None
    entra_object_id: str | None
    results: list[ResultAnswer]
    receipts: list[ReceiptAnswer]
    erasures: list[ErasureAnswer]


class HistoryAnswer(AnswerModel):
    """What a person left, account by account."""

    user_id: str
    holder_number: int
    accounts: list[HolderHistoryAnswer]
