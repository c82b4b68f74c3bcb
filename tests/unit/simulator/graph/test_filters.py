"""`$filter` as the simulated Graph understands it."""

import pytest

from simulator.graph.filters import parse_filter
from simulator.graph.wire import GraphError
from simulator.objects import JsonValue

ADA: dict[str, JsonValue] = {
    "id": "5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01",
    "displayName": "Ada O'Marsh",
    "mail": None,
    "accountEnabled": True,
    "size": 3,
    "proxyAddresses": ["SMTP:ada@example.com", "smtp:marsh@example.com"],
    "status": {"code": "failure"},
    "at": "2026-05-10T08:00:00Z",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("displayName eq 'ada o''marsh'", True),
        ("displayName eq 'Ada'", False),
        ("mail eq null", True),
        ("accountEnabled eq true and mail ne null", False),
        ("accountEnabled eq false or mail eq null", True),
        ("not(accountEnabled eq true)", False),
        ("NOT startswith(displayName,'B')", True),
        ("startsWith(displayName, 'ada')", True),
        ("endswith(displayName,'marsh')", True),
        ("displayName in ('x', 'Ada O''Marsh')", True),
        ("id eq 5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01", True),
        ("proxyAddresses/any(p:p eq 'smtp:MARSH@example.com')", True),
        ("proxyAddresses/any(p:startswith(p,'sip'))", False),
        ("status/code eq 'failure'", True),
        ("size gt 2 and size le 3", True),
        ("at gt 2026-05-10T00:00:00Z and at lt 2026-05-11T00:00:00Z", True),
        ("(size eq 1 or size eq 3) and accountEnabled eq true", True),
        ("missing eq 'x'", False),
        ("displayName gt 3", False),
    ],
)
def test_filter_holds_or_not(text: str, expected: bool) -> None:
    """The operators and functions documented for directory objects."""
    assert parse_filter(text).matches(ADA) is expected


@pytest.mark.parametrize("text", ["displayName ne 'x'", "not(size eq 1)", "endswith(mail,'x')"])
def test_some_operators_need_the_index(text: str) -> None:
    """`ne`, `not`, `endsWith` need `ConsistencyLevel: eventual`."""
    assert parse_filter(text).is_advanced


def test_plain_comparison_does_not_need_the_index() -> None:
    """`eq` and `startsWith` work on the directory itself."""
    assert not parse_filter("startswith(displayName,'A') and size eq 1").is_advanced


@pytest.mark.parametrize(
    "text", ["displayName", "displayName is 'x'", "displayName eq", "(size eq 1", "a eq 'x' b", "?"]
)
def test_nonsense_is_refused(text: str) -> None:
    """A clause that cannot be read is Graph's 400, never an empty result."""
    with pytest.raises(GraphError, match="Invalid filter clause"):
        parse_filter(text)
