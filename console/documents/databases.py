"""Documents of the database, and of the keys that seal what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from console.documents.values import JsonDocument

if TYPE_CHECKING:
    from store.backup import CopiedFile


def database(dialect: str, revision: str) -> JsonDocument:
    """Return the document of a database with this version's schema."""
    return {"database": dialect, "revision": revision, "up_to_date": True}


def backed_up(copied: Sequence[CopiedFile]) -> JsonDocument:
    """Return the document of a backup: its files."""
    return {"files": [{"path": str(each.path), "size_bytes": each.size_bytes} for each in copied]}


def restored(connections: int) -> JsonDocument:
    """Return the document of a restore: the connections whose removals are held."""
    return {"restored": True, "connections_held": connections}


def resealed(before: Mapping[str, int], after: Mapping[str, int]) -> JsonDocument:
    """Return the document of a change of key: the counts before and after."""
    return {
        "before": dict(before),
        "after": dict(after),
        "resealed": before["earlier"] - after["earlier"],
    }
