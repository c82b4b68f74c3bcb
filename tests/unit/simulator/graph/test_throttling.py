"""Resource units: the price of a call, and the quota of a tenant."""

import pytest

from simulator.directory import Directory
from simulator.graph.behaviour import Behaviour
from simulator.graph.throttling import Meter, cost, quota
from simulator.graph.wire import GraphError
from simulator.seeding import seed_company


@pytest.mark.parametrize(
    ("base", "query", "expected"),
    [
        (2, {}, 2),
        (2, {"$select": "id"}, 1),
        (1, {"$select": "id"}, 1),
        (3, {"$expand": "manager"}, 4),
        (5, {"$top": "10", "$select": "id"}, 3),
        (3, {"$top": "20"}, 3),
    ],
)
def test_price_of_a_call(base: int, query: dict[str, str], expected: int) -> None:
    """`$select` -1, `$expand` +1, `$top` below 20 -1, never below 1."""
    assert cost(base, query) == expected


@pytest.mark.parametrize(("users", "expected"), [(49, 3500), (50, 5000), (500, 5000), (501, 8000)])
def test_quota_depends_on_the_size_of_the_tenant(users: int, expected: int) -> None:
    """S below 50 users 3,500 units in 10 s, M 50 to 500 5,000, L above 8,000."""
    directory = Directory()
    seed_company(directory, users=users, groups=0)
    assert quota(directory, Behaviour()) == expected


def test_above_the_quota_the_wait_is_a_fraction() -> None:
    """On 429: `Retry-After`, fractional as in the documentation's own sample, and who is throttled."""
    meter = Meter(Directory(), Behaviour(throttling=True, resource_units=10))
    assert meter.charge(9)["x-ms-throttle-limit-percentage"] == "0.9"
    with pytest.raises(GraphError) as refused:
        meter.charge(5)
    headers = refused.value.headers
    assert refused.value.status == 429
    assert 9 < float(headers["Retry-After"]) <= 10
    assert "." in headers["Retry-After"]
    assert headers["x-ms-throttle-scope"].startswith("Tenant_Application/ReadWrite/")
    assert meter.charge(1)["x-ms-resource-unit"] == "1"


def test_reports_take_five_calls_in_ten_seconds() -> None:
    """The audit log and provision on demand: 5 requests per 10 s."""
    meter = Meter(Directory(), Behaviour(throttling=True))
    for _ in range(5):
        meter.charge_report()
    with pytest.raises(GraphError):
        meter.charge_report()


def test_calm_tenant_throttles_nobody() -> None:
    """Throttling is a switch; units are told all the same."""
    meter = Meter(Directory(), Behaviour(resource_units=1))
    assert [meter.charge(5) for _ in range(3)] == [{"x-ms-resource-unit": "5"}] * 3
