"""Queries that are built once and asked about many objects."""

from __future__ import annotations

import pytest

from worker.graph import queries
from worker.graph.graph_query import ANY_OBJECT
from worker.graph.http.transport import request_builders

IDS = ["7b1e0c52-0000-4000-8000-000000000001", "9b8a7c6d-5e4f-4210-8c8b-7a6d5e4f3a21", "o'neill"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_query_about_a_list_is_the_one_that_the_sdk_builds(number: int) -> None:
    """Building each anew costs half a millisecond; the URL is the same."""
    sdk = request_builders("https://graph.microsoft.com/v1.0")
    of_any = queries.managers(sdk, [ANY_OBJECT])
    assert of_any.about_all(IDS[:number]) == queries.managers(sdk, IDS[:number])


def test_a_url_that_is_kept_is_given_to_the_same_read_alone() -> None:
    """Expanding a template is a quarter of an idle increment; another host, shape or page is another URL."""
    hosts = [
        request_builders(f"https://{host}/v1.0") for host in ("graph.microsoft.com", "graph.microsoft.us")
    ]
    shapes = [queries.UserShape(("id",), False), queries.UserShape(("id", "mail"), False)]
    built = [queries.users(sdk, shape).url for sdk in hosts for shape in shapes]
    assert len(set(built)) == len(built)
    assert [queries.users(sdk, shape).url for sdk in hosts for shape in shapes] == built
