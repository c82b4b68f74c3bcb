"""Armed faults: whom they hit, how often, and what they do to a list."""

import orjson
import pytest

from simulator.faults import FaultBook, parse_fault


def hits(book: FaultBook, target: str, times: int) -> list[bool]:
    return [book.take("GET", target) is not None for _ in range(times)]


def test_nth_matching_request_is_hit() -> None:
    """ "The 3rd page of members answers 503", and the retry is served."""
    book = FaultBook()
    book.arm(parse_fault({"match": "GET .*/members", "nth": [3], "status": 503}))
    assert hits(book, "/v1.0/users", 2) == [False, False]
    assert hits(book, "/v1.0/groups/g/members?$top=9", 4) == [False, False, True, False]


def test_times_limits_how_often_it_strikes() -> None:
    """`times`: so many requests and no more."""
    book = FaultBook()
    book.arm(parse_fault({"match": "users", "times": 2, "status": 500}))
    assert hits(book, "/v1.0/users", 3) == [True, True, False]


def test_without_limit_it_strikes_until_cleared() -> None:
    """A fault stays until it is cleared."""
    book = FaultBook()
    book.arm(parse_fault({"match": "users", "status": 500}))
    assert hits(book, "/v1.0/users", 3) == [True, True, True]
    book.clear()
    assert hits(book, "/v1.0/users", 1) == [False]


def test_encoded_requests_match_the_plain_pattern() -> None:
    """SDKs write `%24top`; people write `$top`."""
    book = FaultBook()
    book.arm(parse_fault({"match": r"\$top=999", "status": 500}))
    assert hits(book, "/v1.0/users?%24top=999", 1) == [True]


def test_every_matching_fault_counts_even_if_another_strikes() -> None:
    """Two faults on the same requests do not disturb each other's count."""
    book = FaultBook()
    book.arm(parse_fault({"match": "users", "nth": [1], "status": 500}))
    book.arm(parse_fault({"match": "users", "nth": [2], "status": 503}))
    struck = [book.take("GET", "/users"), book.take("GET", "/users")]
    assert [fault.status for fault in struck if fault] == [500, 503]


def test_dropped_items_are_missing_without_a_trace() -> None:
    """A directory that answers 200 with people missing: the count goes down with them."""
    book = FaultBook()
    body = orjson.dumps({"@odata.count": 500, "value": [{"id": str(n)} for n in range(500)]})
    thinned = orjson.loads(book.thinned(body, 0.2))
    assert 350 < len(thinned["value"]) < 450
    assert thinned["@odata.count"] == len(thinned["value"])


@pytest.mark.parametrize("document", [{}, {"match": "x", "surprise": 1}, {"match": "("}, {"match": 7}])
def test_fault_that_makes_no_sense_is_refused(document: dict[str, object]) -> None:
    """A fault that would never strike must not look armed."""
    with pytest.raises(ValueError, match="match"):
        parse_fault(document)
