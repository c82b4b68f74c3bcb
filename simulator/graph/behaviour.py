"""How the simulated Graph behaves where the real one is allowed to vary, or breaks.

Everything is off by default. Each field is one switch of `PATCH /admin/behaviour`.
"""

from dataclasses import dataclass
from typing import Literal

ClaimsChallenge = Literal["", "once", "always"]


@dataclass(slots=True)
class Behaviour:
    empty_pages: tuple[int, ...] = ()
    """Which pages of every list and delta (from 1) hold nothing but a next link."""
    endless_pages: bool = False
    """No list and no delta ends: after the last object come empty pages, each with a
    new next link, so that a client that compares links does not notice."""
    largest_page: int = 0
    """How many objects a page of a list holds at most, even if `$top` is larger; 0: as
    many as asked for."""
    count_error: int = 0
    """By how many objects `@odata.count` and `/$count` are wrong, at every reading."""
    refuse_advanced_expand: bool = False
    """Refuse `$expand` in advanced queries with 400, as documented
    (aad-advanced-queries). Off by default only for clients that were written before."""
    delta_replays: bool = False
    """A delta page after the first begins with the last object of the page before."""
    delta_page_size: int = 200
    """Objects on a delta page; clients cannot choose it."""
    delta_member_limit: int = 1000
    """Members on a delta page: larger groups go on, with the same id, on the next."""
    index_lag_s: float = 0.0
    """How far advanced queries (casts, `$filter`, `$count`) lag behind: younger members
    are not in the index."""
    assignment_lag_s: float = 0.0
    """How long a new assignment stays out of `appRoleAssignedTo`."""
    lingering_assignments: bool = False
    """`appRoleAssignedTo` still lists the assignments of users and groups in the
    recycle bin."""
    longest_role_list: int = 0
    """How many assignments the plain list of one person shows; 0: all. By the index it
    is always whole (user-list-approleassignments)."""
    claims_challenge: ClaimsChallenge = ""
    """`once`: Graph answers 401 `insufficient_claims` until it is asked with a token
    that was requested with the claims of the challenge. `always`: no token is ever
    enough."""
    throttling: bool = False
    """Meter resource units and answer 429 above the quota."""
    resource_units: int = 0
    """Quota per window; 0 takes the one of the tenant's size."""
    resource_window_s: float = 10.0
    """Graph's is ten seconds; a shorter one lets a test of throttling end soon."""
    retry_after: str = ""
    """What 429 says; empty: the real remaining time, fractional as in Microsoft's own
    sample (`2.128`). Hours are possible (Microsoft365-Analytics-Insights#189: `3600`).
    """
    delta_epoch: int = 0
    """Delta tokens of an earlier epoch answer 410 (`POST /admin/delta/expire` moves
    it)."""
