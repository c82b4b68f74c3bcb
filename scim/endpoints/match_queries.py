"""Match queries: Entra looks for the account of a person, and may anchor the person to
the one that it finds (Entra, "How provisioning works": matching attributes).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from scim.request import ScimRequest
from store.records import ShownUser
from store.search.criteria import AnyValue, Compare, Criterion, Operator, SearchQuery
from store.search.query import SearchPage
from store.sync import holder_notes

_MATCHING = frozenset({"userName", "externalId", "emails", "employeeNumber"})
"""Attributes by which Entra may be set to look for the account of a person."""


def newly_matched_user(query: SearchQuery, page: SearchPage[Any]) -> ShownUser | None:
    """Return the user that answers a match query: exactly one, whose last note no cycle
    has used yet.
    """
    if not query.is_match or page.total != 1 or not page.items or page.is_note_current:
        return None
    found = page.items[0]
    return found if isinstance(found, ShownUser) else None


def is_match_query(asked: Criterion | None) -> bool:
    """Return whether a filter asks for one value of a matching attribute."""
    if isinstance(asked, AnyValue):  # emails[type eq "work"].value eq "…"
        return asked.field.attribute == "emails"
    return isinstance(asked, Compare) and asked.operator is Operator.EQ and asked.field.attribute in _MATCHING


async def note_match(request: ScimRequest, user: ShownUser) -> None:
    """Note that the push found an account: Entra may anchor a person to it and send
    nothing. A pull that begins later draws its conclusions as well.
    """
    connection, now = request.principal.connection, datetime.now(UTC)
    scope = connection.tenant_id, connection.id
    await request.db.write(lambda conn: holder_notes.note_found(conn, *scope, user.id, now))
