"""Documents of assessment results, of what a person left, and of erasures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from console.documents.sessions import receipt
from console.documents.values import JsonDocument, iso
from store.directory.people import AccountHolder
from store.records import AssessmentResult, Erasure, JsonValue, Receipt, User

HolderParts: TypeAlias = tuple[
    AccountHolder, Iterable[AssessmentResult], Iterable[Receipt], Iterable[Erasure]
]


def result(record: AssessmentResult) -> JsonDocument:
    """Return the document of an assessment result."""
    return {
        "id": record.id,
        "user_id": record.user_id,
        "holder_number": record.holder_number,
        "title": record.title,
        "score": record.score,
        "taken_at": iso(record.taken_at),
        "recorded_at": iso(record.recorded_at),
        "document": record.document,
    }


def erasure(record: Erasure) -> JsonDocument:
    """Return the document of an erasure: what was erased is not in it."""
    return {
        "id": record.id,
        "user_id": record.user_id,
        "holder_number": record.holder_number,
        "at": iso(record.at),
        "actor": record.actor,
        "reason": record.reason,
        "results": record.results,
    }


def holder_history(
    holder: AccountHolder,
    results: Iterable[AssessmentResult],
    receipts: Iterable[Receipt],
    erasures: Iterable[Erasure],
) -> JsonDocument:
    """Return what one holder of one account left."""
    listed: dict[str, list[JsonValue]] = {
        "results": [result(each) for each in results],
        "receipts": [receipt(each) for each in receipts],
        "erasures": [erasure(each) for each in erasures],
    }
    return {
        "user_id": holder.user_id,
        "holder_number": holder.number,
        "user_name": holder.user_name,
        "directory_id": holder.directory_id,
        "entra_object_id": holder.entra_object_id,
        **listed,
    }


def person_history(user: User, holder_number: int, accounts: Iterable[HolderParts]) -> JsonDocument:
    """Return what a person left, account by account, the named one first."""
    listed: list[JsonValue] = [holder_history(*parts) for parts in accounts]
    return {"user_id": user.id, "holder_number": holder_number, "accounts": listed}


def erased_history(user: User, erasures: Iterable[Erasure]) -> JsonDocument:
    """Return the traces of an erasure."""
    return {"user_id": user.id, "erasures": [erasure(each) for each in erasures]}
