"""Count who and what is entitled after an increment, as a full cycle would count.

Users who were not read count as they did at the checkpoint; a user who was read counts
by this reading instead. So the totals rest on Graph alone, and are the same in every
mode, with drift applied, held or open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from store.records import Connection, GraphId
from store.sync import delta_links, entitled_lists
from worker.cycle.checkpoint import Counted
from worker.reconcile.entitlement import Entitlement
from worker.reconcile.focus import Focus


@dataclass(frozen=True, slots=True)
class CountsBefore:
    """The totals at the checkpoint."""

    users: int
    memberships: int
    groups: frozenset[GraphId]
    """The assigned groups that counted."""


async def load_counts(conn: AsyncConnection, connection: Connection) -> CountsBefore | None:
    """Load the totals at the checkpoint; None if none were saved."""
    scope = conn, connection.tenant_id, connection.id
    totals = await entitled_lists.totals(*scope)
    if totals is None:
        return None
    return CountsBefore(totals.users, totals.memberships, await delta_links.counted_groups(*scope))


async def count_entitled(
    conn: AsyncConnection, connection: Connection, before: CountsBefore, focus: Focus, reading: Entitlement
) -> tuple[dict[str, int], Counted]:
    """Return the counts after an increment, and who of those who were read counts."""
    read = focus.users | reading.snapshot.users.keys() | reading.snapshot.deleted.keys()
    ours = frozenset(reading.members)
    # Only of a group that was read whole is it known that Entra provisions it.
    groups = (ours & focus.groups) | ((ours & before.groups) - focus.groups)
    held = Counter(member for group in groups for member in reading.members[group])
    now = {user: held[user] for user in reading.entitled & read}
    then = await entitled_lists.load_some(conn, connection.tenant_id, connection.id, read)
    counts = {
        "users": before.users - len(then) + len(now),
        "groups": len(groups),
        "memberships": before.memberships - sum(then.values()) + sum(now.values()),
    }
    return counts, Counted(now, groups, read)
