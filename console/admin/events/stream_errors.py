"""Errors of streams of security events."""

from __future__ import annotations

from dataclasses import dataclass

from console.admin.errors import UseCaseError


@dataclass(eq=False)
class InvalidStream(UseCaseError):
    """A stream of security events cannot be so; `setting` is its member."""

    setting: str
    why: str


@dataclass(eq=False)
class TooEarly(UseCaseError):
    """What was asked for came a moment ago; it can be asked for again later."""

    delay_s: float
