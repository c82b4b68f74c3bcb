"""The attribute mapping of a connection as a fact that changes: its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MappingOrigin(StrEnum):
    """The source of a mapping."""

    DEFAULT = "default"
    """Entra's own for a non-gallery application."""
    IMPORTED = "imported"
    """Read from Graph's synchronization schema."""
    SET = "set"
    """Typed in by a person."""


@dataclass(frozen=True, slots=True)
class MappingVersion:
    """One version of a mapping; version 0 is what a new connection starts with."""

    version: int
    origin: MappingOrigin
    mapping: Mapping[str, str] | None
    """SCIM attribute path -> Graph property or expression; None: Entra's default."""
    by: str | None = None
    at: datetime | None = None


FIRST_MAPPING = MappingVersion(0, MappingOrigin.DEFAULT, None)
