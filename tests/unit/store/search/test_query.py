"""Which searches are look-ups, answered by an index at once."""

from __future__ import annotations

import pytest

from store.search.criteria import All, Compare, Field, Operator, Order, Position, SearchQuery
from store.search.query import is_single_statement

NAME = Compare(Field("userName"), Operator.EQ, "ann@contoso.example")


@pytest.mark.parametrize("attribute", ["id", "externalId", "userName", "displayName"])
def test_a_name_or_an_id_is_looked_up(attribute: str) -> None:
    """What Entra matches people and groups by (Microsoft Learn, matching attributes)."""
    assert is_single_statement(SearchQuery(Compare(Field(attribute), Operator.EQ, "ann")))


@pytest.mark.parametrize(
    "query",
    [
        SearchQuery(),
        SearchQuery(Compare(Field("title"), Operator.EQ, "Archivist")),
        SearchQuery(Compare(Field("userName"), Operator.CO, "ann")),
        SearchQuery(Compare(Field("userName"), Operator.EQ, None)),
        SearchQuery(Compare(Field("manager", "displayName", "urn:e"), Operator.EQ, "ann")),
        SearchQuery(All((NAME, NAME))),
        SearchQuery(NAME, order=Order(Field("title"))),
        SearchQuery(NAME, offset=50_000),
        SearchQuery(NAME, position=Position(None, 1)),
    ],
)
def test_whatever_may_take_time_is_not(query: SearchQuery) -> None:
    """A search that reads many rows would keep every other request waiting on the event loop."""
    assert not is_single_statement(query)
