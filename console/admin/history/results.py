"""Write and read assessment results of an account, for the vendor's app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import InvalidResult
from console.admin.people.users import find_account
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import assessment_results
from store.directory.assessment_results import ResultDetails
from store.errors import UniquenessConflict
from store.records import AssessmentResult, JsonValue, User

MOST_DOCUMENT_BYTES = 65_536
LONGEST_TITLE = 500
LONGEST_KEY = 80
MOST_SCORE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class NewResult:
    """A result that is to be kept."""

    title: str
    score: int
    taken_at: datetime | None = None
    document: Mapping[str, JsonValue] | None = field(default=None, repr=False)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class AccountResults:
    """The results of one holder of an account, the newest first."""

    user: User
    holder_number: int
    results: Sequence[AssessmentResult]


@requires("admin:history:write")
async def add(
    services: Services, actor: Actor, connection: str, user: str, wanted: NewResult
) -> AssessmentResult:
    """Keep a result of the account's present holder, also of one without access.

    The same idempotency key gives the first result again. Raises `InvalidResult`, and
    `UnknownReference`.
    """
    _check(wanted)
    details = ResultDetails(wanted.taken_at, wanted.document, wanted.idempotency_key)

    async def work(conn: AsyncConnection) -> AssessmentResult:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
        place = conn, found.tenant_id, account.id
        return await assessment_results.add(*place, wanted.title, wanted.score, details=details)

    try:
        return await services.db.write(work)
    except UniquenessConflict:
        raise InvalidResult("idempotency_key", "it was used for another result of this person") from None


async def list_for_user(
    services: Services, actor: Actor, connection: str, user: str, holder: int | None = None
) -> AccountResults:
    """Return the results of the account's present holder, or of an earlier one.

    Under a seal only those since are the present holder's. Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
        place = conn, found.tenant_id, account.id
        if holder is None or holder == account.holder_number:
            return AccountResults(
                account, account.holder_number, await assessment_results.list_for_user(*place)
            )
        return AccountResults(account, holder, await assessment_results.list_for_holder(*place, holder))


def _check(wanted: NewResult) -> None:
    if not 1 <= len(wanted.title) <= LONGEST_TITLE or not wanted.title.isprintable():
        raise InvalidResult("title", f"it has 1 to {LONGEST_TITLE} printable characters")
    if abs(wanted.score) > MOST_SCORE:
        raise InvalidResult("score", f"it is a whole number between -{MOST_SCORE:,} and {MOST_SCORE:,}")
    key = wanted.idempotency_key
    if key is not None and not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise InvalidResult("idempotency_key", f"it has 1 to {LONGEST_KEY} visible ASCII characters")
    if wanted.taken_at is not None and wanted.taken_at.tzinfo is None:
        raise InvalidResult("taken_at", "it needs a time zone, for example 2026-11-02T09:00:00Z")
    if wanted.document is not None and _size(wanted.document) > MOST_DOCUMENT_BYTES:
        raise InvalidResult("document", f"it has at most {MOST_DOCUMENT_BYTES:,} bytes as JSON")


def _size(document: Mapping[str, JsonValue]) -> int:
    try:
        text = orjson.dumps(document)
    except (TypeError, ValueError):
        raise InvalidResult("document", "it is not JSON") from None
    if b"\\u0000" in text:
        raise InvalidResult("document", "it holds a NUL character, which no database keeps")
    return len(text)
