"""Drift reports: the findings of each cycle, kept and compared over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import RowMapping, ScalarSelect, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.bulk_write import bind_names, insert_statement, write_batch
from store.errors import NotFound
from store.records import (
    ConnectionId,
    Cycle,
    CycleId,
    CycleKind,
    DriftFinding,
    DriftKind,
    FindingState,
    Reason,
    SubjectType,
    TenantId,
)
from store.sync import cycles
from store.sync.revocations import TimesToRevoke, times_to_revoke

_c = tables.drift_findings.c
_ONGOING = text("drift_findings.state IN ('open', 'held', 'accepted')")
"""The condition of the index, in its own words.

A database does not match a bound value with the condition of a partial index.
"""

_INSERT = insert_statement(tables.drift_findings)

_STANDING = frozenset({FindingState.OPEN, FindingState.HELD, FindingState.REPAIRED})

Identity: TypeAlias = tuple[str, str]
Earlier: TypeAlias = Mapping[Identity, DriftFinding]
"""Findings that were open in the previous report, by identity."""


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


def _to_findings(row: RowMapping) -> Iterator[DriftFinding]:
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
        yield replace(first, subject_id=subject_id, subject_label=label)


def _identity(finding: DriftFinding) -> Identity:
    return finding.kind.value, finding.subject_id


async def start_report(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId
) -> Earlier:
    """Delete a cycle's report, which may be recorded again, and return the findings
    open before it.
    """
    await conn.execute(
        delete(tables.drift_findings).where(
            _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.cycle_id == cycle_id
        )
    )
    return {_identity(f): f for f in await _ongoing(conn, tenant_id, connection_id, cycle_id)}


def merge_with_previous(
    findings: Iterable[DriftFinding],
    earlier: Earlier,
    *,
    complete: bool,
    looked_at: Collection[str] | None = None,
) -> Iterator[DriftFinding]:
    """Yield a cycle's findings as they are saved.

    A finding that was open in the previous report keeps its `first_seen`. An open one
    that this complete cycle no longer sees is added as `resolved`, if its subject is
    among `looked_at` (None: all were).
    """
    seen: set[Identity] = set()
    for finding in findings:
        before = earlier.get(_identity(finding)) if earlier else None
        if before is None:
            yield finding
        else:
            seen.add(_identity(finding))
            yield _continued(finding, before)
    for identity, finding in earlier.items():
        if identity not in seen:
            # An incomplete cycle or an increment did not see everything: what it missed
            # stays as it was.
            is_over = complete and (looked_at is None or _concerns(finding, looked_at))
            yield replace(finding, state=FindingState.RESOLVED) if is_over else finding


def _continued(finding: DriftFinding, before: DriftFinding) -> DriftFinding:
    """Return a finding that was open before with what was known since: when it was
    first seen, and when it happened.
    """
    since = {name: before.evidence[name] for name in ("lost", "seen_at") if name in before.evidence}
    return replace(finding, first_seen=before.first_seen, evidence={**finding.evidence, **since})


@dataclass(slots=True)
class ReportCounts:
    """The numbers of one report, counted from the very findings that are saved."""

    states: Counter[FindingState] = field(default_factory=Counter)
    standing: Counter[DriftKind] = field(default_factory=Counter)
    """By kind: open, held, or repaired by this cycle."""
    new: Counter[DriftKind] = field(default_factory=Counter)
    """By kind: not open in the report before."""

    def counting(self, findings: Iterable[DriftFinding], earlier: Earlier) -> Iterator[DriftFinding]:
        """Yield the findings, and count them on the way."""
        for finding in findings:
            self.states[finding.state] += 1
            if finding.state in _STANDING:
                self.standing[finding.kind] += 1
            if _identity(finding) not in earlier:
                self.new[finding.kind] += 1
            yield finding

    def to_json(self) -> dict[str, int]:
        """Return the number of findings in every state, and of new ones."""
        states = {state.value: self.states[state] for state in FindingState}
        return {**states, "new": self.new.total()}


def _concerns(finding: DriftFinding, looked_at: Collection[str]) -> bool:
    """Return whether one of the finding's subjects was looked at.

    A membership has two, its group and its member.
    """
    return any(subject in looked_at for subject in finding.subject_id.split(":"))


async def open_findings(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId
) -> frozenset[Identity]:
    """Return kind and subject of the findings open in the last report before this
    cycle.
    """
    return frozenset(map(_identity, await _ongoing(conn, tenant_id, connection_id, cycle_id)))


async def has_open(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, kinds: Collection[DriftKind]
) -> bool:
    """Return whether the last report has an open finding of one of these kinds."""
    last = _last_report(tenant_id, connection_id)
    query = select(_c.id).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.cycle_id == last,
        _c.kind.in_(sorted(kind.value for kind in kinds)),
        _ONGOING,
    )
    return (await conn.execute(query.limit(1))).first() is not None


async def of_subjects(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_ids: Collection[str],
    subject_ids: Collection[str],
) -> dict[tuple[str, str], list[DriftFinding]]:
    """Return the findings of these users and groups in these cycles, by cycle and
    subject.
    """
    query = select(tables.drift_findings).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.cycle_id.in_(sorted(cycle_ids)),
        _c.subject_id.in_(sorted(subject_ids)),
    )
    found: dict[tuple[str, str], list[DriftFinding]] = {}
    for row in (await conn.execute(query)).mappings():
        first = next(_to_findings(row))
        found.setdefault((row["cycle_id"], first.subject_id), []).append(first)
    return found


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_id: CycleId,
    findings: Sequence[DriftFinding],
) -> None:
    """Add findings to a cycle's report.

    Neighbours that differ in nothing but their subject share a row.
    """
    rows: list[dict[str, Any]] = []
    before: DriftFinding | None = None
    for finding in findings:
        if before is not None and _are_alike(before, finding):
            rows[-1]["others"].append((finding.subject_id, finding.subject_label))
        else:
            rows.append(_row(tenant_id, connection_id, cycle_id, finding))
        before = finding
    if rows:
        await write_batch(conn, [(_INSERT, [bind_names(tables.drift_findings, row) for row in rows])])


async def record_repairs(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_id: CycleId,
    findings: Sequence[DriftFinding],
) -> Sequence[DriftFinding]:
    """Add what an on-demand request or an approved plan repaired as its own report;
    return these findings as they are kept.

    A finding that was open in the last report keeps its `first_seen`, and is repaired
    in that report too, so that its numbers stay true.
    """
    earlier = await start_report(conn, tenant_id, connection_id, cycle_id) if findings else {}
    kept = [
        _continued(each, earlier[_identity(each)]) if _identity(each) in earlier else each
        for each in findings
    ]
    known = {_identity(finding): finding for finding in kept if _identity(finding) in earlier}
    await add(conn, tenant_id, connection_id, cycle_id, kept)
    if known:
        await _settle(conn, tenant_id, connection_id, cycle_id, known)
    return kept


async def _settle(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId, known: Earlier
) -> None:
    """Mark these findings of the last report before this cycle as repaired."""
    query = select(tables.drift_findings).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.cycle_id == _last_report(tenant_id, connection_id, cycle_id),
        _ONGOING,
    )
    states: Counter[FindingState] = Counter()
    last: str | None = None
    for row in (await conn.execute(query.order_by(_c.id))).mappings().all():
        parts = list(_to_findings(row))
        if not any(_identity(part) in known for part in parts):
            continue
        last = row["cycle_id"]
        states.update(part.state for part in parts if _identity(part) in known)
        await conn.execute(delete(tables.drift_findings).where(_c.tenant_id == tenant_id, _c.id == row["id"]))
        await add(conn, tenant_id, connection_id, CycleId(last), [_repaired(p, known) for p in parts])
    if last is not None:
        await cycles.note_repairs(conn, tenant_id, CycleId(last), states)


def _repaired(finding: DriftFinding, known: Earlier) -> DriftFinding:
    """Return an open finding as the repair left it, with all the evidence there is."""
    repair = known.get(_identity(finding))
    if repair is None:
        return finding
    evidence = {**finding.evidence, **repair.evidence}
    return replace(finding, state=FindingState.REPAIRED, evidence=evidence)


def _are_alike(one: DriftFinding, other: DriftFinding) -> bool:
    return (
        one.kind is other.kind
        and one.state is other.state
        and one.reason is other.reason
        and one.subject_type is other.subject_type
        and one.after == other.after
        and one.before == other.before
        and one.evidence == other.evidence
        and one.first_seen == other.first_seen
    )


async def _ongoing(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, but_for: CycleId
) -> list[DriftFinding]:
    """Return the findings open in the last report before this cycle."""
    query = select(tables.drift_findings).where(
        _c.tenant_id == tenant_id,
        _c.connection_id == connection_id,
        _c.cycle_id == _last_report(tenant_id, connection_id, but_for),
        _ONGOING,
    )
    rows = (await conn.execute(query.order_by(_c.id))).mappings()
    return [finding for row in rows for finding in _to_findings(row)]


def _last_report(
    tenant_id: TenantId, connection_id: ConnectionId, but_for: CycleId | None = None
) -> ScalarSelect[str]:
    """Return the id of the last cycle that came to its end, other than this one."""
    c = tables.cycles.c
    query = (
        select(c.id)
        .where(c.tenant_id == tenant_id, c.connection_id == connection_id)
        .where(c.kind != CycleKind.ON_DEMAND.value, c.complete.is_not(None))
    )
    query = query if but_for is None else query.where(c.id != but_for)
    return query.order_by(c.started_at.desc(), c.id).limit(1).scalar_subquery()


def _row(
    tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId, finding: DriftFinding
) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "cycle_id": cycle_id,
        "kind": finding.kind.value,
        "reason": finding.reason.value if finding.reason else None,
        "subject_type": finding.subject_type.value,
        "subject_id": finding.subject_id,
        "subject_label": finding.subject_label,
        "others": [],
        "before": finding.before,
        "after": finding.after,
        "first_seen": finding.first_seen,
        "state": finding.state.value,
        "evidence": finding.evidence,
    }


async def report(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId | None = None
) -> DriftReport:
    """Return the findings of a cycle, or of the last that reported.

    Raises `NotFound` before the first.
    """
    cycle = await _reported(conn, tenant_id, connection_id, cycle_id)
    query = select(tables.drift_findings).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.cycle_id == cycle.id
    )
    rows = (await conn.execute(query.order_by(_c.id))).mappings()
    findings = tuple([finding for row in rows for finding in _to_findings(row)])
    at, new = cycle.finished_at or cycle.started_at, cycle.findings.get("new", 0)
    times = await times_to_revoke(conn, tenant_id, connection_id, at)
    return DriftReport(cycle.id, at, bool(cycle.complete), findings, new, times)


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
