"""Resource units: what each call costs, and 429 above the quota of 10 seconds
(throttling limits page).
"""

import time
from collections import deque
from collections.abc import Mapping

from simulator.directory import Directory
from simulator.graph.behaviour import Behaviour
from simulator.graph.limits import REPORT_CALLS, RESOURCE_WINDOW_S, resource_quota
from simulator.graph.wire import GraphError, GraphRequest

WARN_FROM = 0.8


def cost(base: int, query: Mapping[str, str]) -> int:
    """Return the price of a read: `$select` makes it cheaper, `$expand` dearer, a small
    page cheaper; at least 1.
    """
    top = query.get("$top", "")
    small_page = top.isdigit() and int(top) < 20
    return max(1, base - ("$select" in query) + ("$expand" in query) - small_page)


def quota(directory: Directory, behaviour: Behaviour) -> int:
    """Return the units per 10 s of a tenant of this size."""
    if behaviour.resource_units:
        return behaviour.resource_units
    return resource_quota(len(directory.users))


class Meter:
    """Units spent in the last ten seconds of real time: throttling protects a machine,
    so it knows no virtual clock.
    """

    def __init__(self, directory: Directory, behaviour: Behaviour) -> None:
        self._directory = directory
        self._behaviour = behaviour
        self._spent: deque[tuple[float, int]] = deque()
        self._reports: deque[float] = deque()

    def charge(self, units: int) -> dict[str, str]:
        """Count a call; give its headers, or raise 429."""
        headers = {"x-ms-resource-unit": str(units)}
        if not self._behaviour.throttling:
            return headers
        now, window_s = time.monotonic(), self._behaviour.resource_window_s
        while self._spent and self._spent[0][0] <= now - window_s:
            self._spent.popleft()
        limit = quota(self._directory, self._behaviour)
        used = sum(spent for _, spent in self._spent) + units
        if used > limit:
            raise self._too_many(self._spent[0][0] + window_s - now if self._spent else 1.0)
        self._spent.append((now, units))
        if used >= WARN_FROM * limit:
            headers["x-ms-throttle-limit-percentage"] = f"{used / limit:.1f}"
        return headers

    def charge_report(self) -> None:
        """Count a call to the audit log or to provision on demand: 5 requests per 10
        s."""
        if not self._behaviour.throttling:
            return
        now = time.monotonic()
        while self._reports and self._reports[0] <= now - RESOURCE_WINDOW_S:
            self._reports.popleft()
        if len(self._reports) >= REPORT_CALLS:
            raise self._too_many(self._reports[0] + RESOURCE_WINDOW_S - now)
        self._reports.append(now)

    def _too_many(self, wait_s: float) -> GraphError:
        who = f"{self._directory.app_id}/{self._directory.entra_tenant_id}"
        headers = {
            "Retry-After": self._behaviour.retry_after or f"{max(wait_s, 0.001):.3f}",
            "x-ms-throttle-scope": f"Tenant_Application/ReadWrite/{who}",
            "x-ms-throttle-information": "ResourceUnitLimitExceeded",
        }
        return GraphError(429, "TooManyRequests", "Please retry again later.", headers)


def is_write(request: GraphRequest) -> bool:
    return request.method not in {"GET", "HEAD"}
