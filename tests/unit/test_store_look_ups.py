"""Which searches are look-ups, answered by an index at once."""

from __future__ import annotations

import pytest

from store.search.criteria import All, Compare, Field, Operator, Order, Position, Query
from store.search.query import is_brief

NAME = Compare(Field("userName"), Operator.EQ, "ann@contoso.example")


@pytest.mark.parametrize("attribute", ["id", "externalId", "userName", "displayName"])
def test_a_name_or_an_id_is_looked_up(attribute: str) -> None:
    """What Entra matches people and groups by (Microsoft Learn, matching attributes)."""
    assert is_brief(Query(Compare(Field(attribute), Operator.EQ, "ann")))


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(Compare(Field("title"), Operator.EQ, "Archivist")),
        Query(Compare(Field("userName"), Operator.CO, "ann")),
        Query(Compare(Field("userName"), Operator.EQ, None)),
        Query(Compare(Field("manager", "displayName", "urn:e"), Operator.EQ, "ann")),
        Query(All((NAME, NAME))),
        Query(NAME, order=Order(Field("title"))),
        Query(NAME, offset=50_000),
        Query(NAME, position=Position(None, 1)),
    ],
)
def test_whatever_may_take_time_is_not(query: Query) -> None:
    """A search that reads many rows would keep every other request waiting on the event loop."""
    assert not is_brief(query)
