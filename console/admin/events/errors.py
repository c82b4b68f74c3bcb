"""Errors of the use cases of events: feed, webhooks, streams of security events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.admin.errors import UseCaseError


class InvalidEventCursor(UseCaseError):
    """The cursor is garbled, or of another feed."""


@dataclass(eq=False)
class EventsGone(UseCaseError):
    """Events after the cursor were deleted by retention, or the database was restored.

    `snapshot` is the cursor from which to go on after users and groups were read.
    """

    snapshot: str


@dataclass(eq=False)
class UnknownEventType(UseCaseError):
    """There is no such type of event, and no such family."""

    wanted: str
    known: Sequence[str]


@dataclass(eq=False)
class InvalidWebhookUrl(UseCaseError):
    """Events must not be sent to this URL."""

    why: str


@dataclass(eq=False)
class InvalidStream(UseCaseError):
    """A stream of security events cannot be so; `setting` is its member."""

    setting: str
    why: str


@dataclass(eq=False)
class TooEarly(UseCaseError):
    """What was asked for came a moment ago; it can be asked for again later."""

    delay_s: float
