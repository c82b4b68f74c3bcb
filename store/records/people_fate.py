"""What becomes of accounts whose connection is deleted."""

from __future__ import annotations

from enum import StrEnum


class PeopleFate(StrEnum):
    """What becomes of the accounts of a connection that is deleted."""

    KEEP = "keep"
    """They stay as they are, access and sessions included."""
    DISABLE = "disable"
    """Access and sessions end."""
    RELEASE = "release"
    """They stay active and become local: they stand for no person in Entra any more."""
