"""What became of every leaver: t0 lost in the directory, t1 seen, t2 dead in Leaver, dead in the app, t3 acknowledged."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import select

from store import tables
from store.database import Database
from store.records import Connection, UserId
from store.sync.revocations import percentile

GOAL = "p99 of t0 to dead in the app at most the interval and one cycle"
ROW = "  {:<20}{:>8}{:>16}{:>16}{:>22}{:>16}"


@dataclass
class Leave:
    """One person, and how the entitlement ends."""

    object_id: str
    kind: str
    via: str | None
    """The one group by which the person is entitled."""
    account: UserId | None = None
    lost_at: datetime | None = None


@dataclass(frozen=True)
class Times:
    """The moments of one leaver; None: it never came."""

    kind: str
    lost: datetime
    seen: datetime | None
    dead: datetime | None
    dead_in_app: datetime | None
    acknowledged: datetime | None

    @property
    def is_whole(self) -> bool:
        return None not in (self.seen, self.dead, self.dead_in_app, self.acknowledged)


@dataclass(frozen=True)
class Outcome:
    """All leavers, and what should not have been."""

    times: Sequence[Times]
    twice: int
    """Accounts with more than one receipt, or told of by more than one event id."""
    sent_again: int
    """Requests to the app that repeated an event id."""
    bystanders: int
    """Accounts that lost access though nobody took their entitlement."""
    cycles_s: Sequence[float]
    statuses: Mapping[str, int] = field(default_factory=dict)


class Killable(Protocol):
    @property
    def kills(self) -> int: ...


async def evaluate(
    db: Database,
    connection: Connection,
    ended_in_app: Mapping[str, datetime],
    told: Mapping[str, Sequence[str]],
    leaving: Sequence[Leave],
) -> Outcome:
    """Read what Leaver kept of everybody."""
    receipts, findings, cycles = tables.receipts.c, tables.drift_findings.c, tables.cycles.c
    async with db.reading() as conn:
        kept = (await conn.execute(select(receipts.user_id, receipts.at, receipts.acknowledged_at))).all()
        revoked = select(findings.subject_id, findings.evidence).where(findings.kind == "missed_deprovision")
        evidence = {row.subject_id: row.evidence for row in await conn.execute(revoked)}
        ran = select(cycles.started_at, cycles.finished_at, cycles.status, cycles.kind)
        found = (
            await conn.execute(ran.where(cycles.connection_id == connection.id).order_by(cycles.started_at))
        ).all()
    of_account = {row.user_id: row for row in kept}
    accounts = {each.account for each in leaving}
    assert None not in accounts
    numbers = Counter(row.user_id for row in kept)
    several = {who for who, number in numbers.items() if number > 1}
    several |= {who for who, ids in told.items() if len(set(ids)) > 1}
    times = [
        _times(each, evidence, of_account.get(each.account), ended_in_app.get(str(each.account)))
        for each in leaving
    ]
    return Outcome(
        times,
        len(several),
        sum(len(ids) - len(set(ids)) for ids in told.values()),
        len(numbers.keys() - accounts),
        [(row.finished_at - row.started_at).total_seconds() for row in found[1:] if row.finished_at],
        Counter(f"{row.kind} {row.status}" for row in found),
    )


def _times(
    leave: Leave, evidence: Mapping[str, dict[str, Any]], receipt: object, in_app: datetime | None
) -> Times:
    kept = evidence.get(leave.object_id) or evidence.get(str(leave.account)) or {}
    seen = kept.get("graph", {}).get("at") or kept.get("seen_at")  # the answer, else the report that has it
    assert leave.lost_at is not None
    return Times(
        leave.kind,
        leave.lost_at,
        datetime.fromisoformat(seen) if seen else None,
        getattr(receipt, "at", None),
        in_app,
        getattr(receipt, "acknowledged_at", None),
    )


def show(found: Outcome, workers: Iterable[Killable], interval: int) -> None:
    """Print what was measured, by kind."""
    print(ROW.format("", "people", "t0 to t1", "t0 to t2", "t0 to dead in app", "t2 to t3"))
    print(ROW.format("p50 / p99 / max in s", "", "seen", "dead here", "", "acknowledged"))
    kinds = sorted({each.kind for each in found.times})
    for kind in (*kinds, "all"):
        of_kind = [each for each in found.times if kind in (each.kind, "all")]
        whole = [each for each in of_kind if each.is_whole]
        print(
            ROW.format(
                kind,
                f"{len(of_kind):,}",
                *(_shown([_gap(each.lost, end(each)) for each in whole]) for end in (_seen, _dead, _in_app)),
                _shown([_gap(each.dead, each.acknowledged) for each in whole]),
            )
        )
    missing = {
        name: sum(getattr(each, name) is None for each in found.times)
        for name in ("seen", "dead", "dead_in_app", "acknowledged")
    }
    longest = max(found.cycles_s, default=0.0)
    in_app = [_gap(each.lost, each.dead_in_app) for each in found.times if each.dead_in_app]
    print(f"  missing: {missing}; twice in effect {found.twice}; sent again {found.sent_again}")
    print(
        f"  others who lost access {found.bystanders}; cycles {dict(found.statuses)}, longest {longest:.1f} s"
    )
    print(f"  workers killed {sum(each.kills for each in workers)} times; load {os.getloadavg()[0]:.1f}")
    print(f"  {GOAL}: {percentile(sorted(in_app), 0.99):.1f} <= {interval * 60 + longest:.1f} s")


def _seen(times: Times) -> datetime | None:
    return times.seen


def _dead(times: Times) -> datetime | None:
    return times.dead


def _in_app(times: Times) -> datetime | None:
    return times.dead_in_app


def _gap(since: datetime | None, until: datetime | None) -> float:
    assert since is not None
    assert until is not None
    return (until - since).total_seconds()


def _shown(gaps: Sequence[float]) -> str:
    if not gaps:
        return "none"
    ordered = sorted(gaps)
    return " / ".join(f"{percentile(ordered, share):.0f}" for share in (0.5, 0.99, 1.0))
