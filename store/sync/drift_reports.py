"""Drift reports: the findings that each cycle over a connection reported.

Reports of a connection are numbered. A finding is stored once, with the number of the
first report that shows it as it is, and of the first that does not any more. So a
report costs what changed since the one before: increments run every few minutes, and
most find nothing new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import structs
from sqlalchemy import ColumnElement, RowMapping, String, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import NotFound
from store.records import (
    ConnectionId,
    Cycle,
    CycleId,
    DriftFinding,
    DriftKind,
    FindingState,
    Reason,
    SubjectType,
    TenantId,
)
from store.sync import cycles
from store.sync.report_comparison import ONGOING, Identity, identity
from store.sync.revocations import TimesToRevoke, times_to_revoke

_c = tables.drift_findings.c


@dataclass(frozen=True, slots=True)
class DriftReport:
    cycle_id: CycleId
    at: datetime
    complete: bool
    findings: tuple[DriftFinding, ...]
    new: int = 0
    """How many findings were not open in the report before."""
    times_to_revoke: TimesToRevoke | None = None
    """Of the connection, in the 30 days before the report."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the number of findings in every state, and of new ones."""
        states = Counter(finding.state for finding in self.findings)
        return {**{state.value: states[state] for state in FindingState}, "new": self.new}


def to_findings(row: Mapping[str, Any] | RowMapping) -> Iterator[DriftFinding]:
    """Yield the findings that share one stored row."""
    first = DriftFinding(
        kind=DriftKind(row["kind"]),
        reason=Reason(row["reason"]) if row["reason"] else None,
        subject_type=SubjectType(row["subject_type"]),
        subject_id=row["subject_id"],
        subject_label=row["subject_label"],
        before=row["before"],
        after=row["after"],
        first_seen=row["first_seen"],
        state=FindingState(row["state"]),
        evidence=row["evidence"],
    )
    yield first
    for subject_id, label in row["others"]:
        yield structs.replace(first, subject_id=subject_id, subject_label=label)


def of_report(tenant_id: TenantId, connection_id: ConnectionId, number: int) -> ColumnElement[bool]:
    """Return the condition that the report of this number shows a stored row."""
    return and_(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        or_(_c.end_report.is_(None), _c.end_report > number),
        _c.first_report <= number,
    )


def are_ongoing() -> ColumnElement[bool]:
    return _c.state.in_(sorted(state.value for state in ONGOING))


async def open_findings(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> frozenset[Identity]:
    """Return kind and subject of the findings open in the last report."""
    number = await cycles.last_report_number(conn, tenant_id, connection_id)
    query = select(tables.drift_findings).where(of_report(tenant_id, connection_id, number), are_ongoing())
    rows = (await conn.execute(query)).mappings()
    return frozenset(identity(finding) for row in rows for finding in to_findings(row))


async def has_open(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, kinds: Collection[DriftKind]
) -> bool:
    """Return whether the last report has an open finding of one of these kinds."""
    number = await cycles.last_report_number(conn, tenant_id, connection_id)
    query = select(_c.id).where(
        of_report(tenant_id, connection_id, number),
        _c.kind.in_(sorted(kind.value for kind in kinds)),
        are_ongoing(),
    )
    return (await conn.execute(query.limit(1))).first() is not None


async def open_subjects(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, kind: DriftKind
) -> frozenset[str]:
    """Return the subjects of the findings of one kind that are open in the last
    report.
    """
    number = await cycles.last_report_number(conn, tenant_id, connection_id)
    query = select(tables.drift_findings).where(
        of_report(tenant_id, connection_id, number), _c.kind == kind.value, are_ongoing()
    )
    rows = (await conn.execute(query)).mappings()
    return frozenset(finding.subject_id for row in rows for finding in to_findings(row))


async def of_subjects(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_ids: Collection[str],
    subject_ids: Collection[str],
) -> dict[tuple[str, str], list[DriftFinding]]:
    """Return what these cycles found anew or changed about these users and groups, by
    cycle and subject.
    """
    query = select(tables.drift_findings).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.cycle_id.in_(sorted(cycle_ids)),
        _c.subject_id.in_(sorted(subject_ids)),
    )
    found: dict[tuple[str, str], list[DriftFinding]] = {}
    for row in (await conn.execute(query)).mappings():
        first = next(to_findings(row))
        found.setdefault((row["cycle_id"], first.subject_id), []).append(first)
    return found


async def ongoing_of(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, subject_ids: Collection[str]
) -> list[DriftFinding]:
    """Return what the last report says about some users and groups and is not done.

    A row can stand for several subjects, which are listed in it.
    """
    listed = (cast(_c.others, String).contains(f'"{each}"', autoescape=True) for each in subject_ids)
    query = select(tables.drift_findings).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.end_report.is_(None),
        are_ongoing(),
        or_(_c.subject_id.in_(sorted(subject_ids)), *listed),
    )
    rows = (await conn.execute(query.order_by(_c.id))).mappings()
    return [each for row in rows for each in to_findings(row) if each.subject_id in subject_ids]


async def report(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId | None = None
) -> DriftReport:
    """Return the findings of a cycle, or of the last that reported.

    Raises `NotFound` before the first.
    """
    cycle = await _reported(conn, tenant_id, connection_id, cycle_id)
    query = select(tables.drift_findings).where(_shown_by(cycle))
    rows = (await conn.execute(query.order_by(_c.id))).mappings()
    findings = tuple([finding for row in rows for finding in to_findings(row)])
    at, new = cycle.finished_at or cycle.started_at, cycle.findings.get("new", 0)
    times = await times_to_revoke(conn, tenant_id, connection_id, at)
    return DriftReport(cycle.id, at, bool(cycle.complete), findings, new, times)


@dataclass(frozen=True, slots=True)
class FindingCount:
    """The findings of a report of one kind in one state."""

    kind: DriftKind
    state: FindingState
    number: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Which findings of a report are wanted; None filters nothing."""

    state: FindingState | None = None
    kind: DriftKind | None = None
    without: frozenset[DriftKind] = frozenset()
    """Kinds that are left out."""
    after: tuple[int, int] = (0, 0)
    """The `next` of the page before."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class FindingPage:
    """A page of a drift report, and how many findings the whole has."""

    cycle_id: CycleId
    at: datetime
    complete: bool
    counts: tuple[FindingCount, ...]
    """Of the whole report, the most first."""
    findings: tuple[DriftFinding, ...]
    next: tuple[int, int] | None
    """The `after` of the next page; None on the last."""

    def number_of(self, *states: FindingState) -> int:
        """Return the number of findings in these states."""
        return sum(each.number for each in self.counts if each.state in states)


async def page(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_id: CycleId | None = None,
    query: FindingQuery | None = None,
) -> FindingPage:
    """Return a page of the findings of a cycle, or of the last that reported, and the
    numbers of all of them, which the database counts.

    Raises `NotFound` before the first.
    """
    query = query or FindingQuery()
    cycle = await _reported(conn, tenant_id, connection_id, cycle_id)
    row_id, place = query.after
    wanted = select(tables.drift_findings).where(_shown_by(cycle), _c.id >= row_id)
    if query.state is not None:
        wanted = wanted.where(_c.state == query.state.value)
    if query.kind is not None:
        wanted = wanted.where(_c.kind == query.kind.value)
    if query.without:
        wanted = wanted.where(_c.kind.not_in(sorted(kind.value for kind in query.without)))
    # A row stands for one finding at least.
    rows = (await conn.execute(wanted.order_by(_c.id).limit(query.limit + place + 1))).mappings()
    listed = [(row["id"], number, each) for row in rows for number, each in enumerate(to_findings(row))]
    listed = [each for each in listed if each[:2] >= (row_id, place)]
    following = listed[query.limit][:2] if len(listed) > query.limit else None
    return FindingPage(
        cycle.id,
        cycle.finished_at or cycle.started_at,
        bool(cycle.complete),
        await _counts(conn, cycle),
        tuple(finding for _, _, finding in listed[: query.limit]),
        following,
    )


async def _counts(conn: AsyncConnection, cycle: Cycle) -> tuple[FindingCount, ...]:
    length = func.json_array_length if conn.dialect.name == "sqlite" else func.jsonb_array_length
    number = (func.count() + func.sum(length(_c.others))).label("number")
    query = (
        select(_c.kind, _c.state, number, func.min(_c.first_seen).label("oldest"))
        .where(_shown_by(cycle))
        .group_by(_c.kind, _c.state)
        .order_by(number.desc(), _c.kind)
    )
    return tuple(
        FindingCount(DriftKind(row.kind), FindingState(row.state), int(row.number), row.oldest)
        for row in await conn.execute(query)
    )


def _shown_by(cycle: Cycle) -> ColumnElement[bool]:
    """Return the condition that a cycle's report shows a row. What an on-demand request
    repaired is no report over the connection and has no number.
    """
    if cycle.report_number is not None:
        return of_report(cycle.tenant_id, cycle.connection_id, cycle.report_number)
    return and_(
        _c.tenant_id == cycle.tenant_id,
        _c.connection_id == cycle.connection_id,
        _c.cycle_id == cycle.id,
        _c.first_report == 0,
    )


async def _reported(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId | None
) -> Cycle:
    cycle: Cycle | None
    if cycle_id is not None:
        cycle = await cycles.get(conn, tenant_id, cycle_id)
        if cycle.connection_id == connection_id:
            return cycle
        raise NotFound("this connection has no such cycle")
    cycle = await cycles.last(conn, tenant_id, connection_id, reported=True)
    if cycle is not None:
        return cycle
    raise NotFound("no cycle of this connection has reported yet: `leaver sync` runs one")
