"""How the simulated Graph behaves where the real one is allowed to vary. Calm by default; each unrest is one
switch.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Behaviour:
    empty_pages: tuple[int, ...] = ()
    """Which pages of every list and delta (from 1) hold nothing but a next link."""
    largest_page: int = 0
    """How many objects a page of a list holds at most, whatever `$top` says; 0: as many as asked for."""
    delta_replays: bool = False
    """A delta page after the first begins with the last object of the page before."""
    delta_page_size: int = 200
    """Objects on a delta page; clients cannot choose it."""
    delta_member_limit: int = 1000
    """Members on a delta page: larger groups go on, with the same id, on the next."""
    index_lag_s: float = 0.0
    """How far advanced queries (casts, `$filter`, `$count`) lag behind: younger members are not in the
    index.
    """
    assignment_lag_s: float = 0.0
    """How long a new assignment stays out of `appRoleAssignedTo`."""
    longest_role_list: int = 0
    """How many assignments the plain list of one person shows; 0: all. By the index it is always whole
    (user-list-approleassignments).
    """
    throttling: bool = False
    """Meter resource units and answer 429 above the quota."""
    resource_units: int = 0
    """Quota per window; 0 takes the one of the tenant's size."""
    resource_window_s: float = 10.0
    """Graph's is ten seconds; a shorter one lets a test of throttling end soon."""
    retry_after: str = ""
    """What 429 says; empty: the real remaining time, fractional as in Microsoft's own sample (`2.128`)."""
    delta_epoch: int = 0
    """Delta tokens of an earlier epoch answer 410 (`POST /admin/delta/expire` moves it)."""
