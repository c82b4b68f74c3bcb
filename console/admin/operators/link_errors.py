"""Errors of links that open the console, or a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from console.admin.errors import UseCaseError


class LinkProblem(StrEnum):
    """Why a link opens nothing."""

    UNKNOWN = "unknown"
    USED = "used"
    OVER = "over"
    REVOKED = "revoked"


@dataclass(eq=False)
class LinkRefused(UseCaseError):
    """A link was opened before, is revoked, or is over; `at`: when that was."""

    problem: LinkProblem
    at: datetime | None = None


@dataclass(eq=False)
class InvalidFrameAncestor(UseCaseError):
    """An origin that may show a status page has to be `https://host`."""

    origin: str
