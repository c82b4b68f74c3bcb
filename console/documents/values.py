"""The values of every document and sentence: moments, pages and counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeAlias

from store.records import JsonValue

JsonDocument: TypeAlias = dict[str, JsonValue]


def page(items: Iterable[JsonDocument], following: int | str | None = None) -> JsonDocument:
    """Return a list as a document; `following` is the cursor of the next page."""
    listed: list[JsonValue] = list(items)
    return {"items": listed, "next": following}


def iso(moment: datetime | None) -> str | None:
    """Return a time for programs: RFC 3339, in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def utc_text(moment: datetime | None) -> str:
    """Return a time for people: UTC, to the second; empty for None."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def plural(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun: `1 connection`, `2 connections`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
