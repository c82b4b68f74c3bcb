"""Write drift reports: what changed since the report before.

A report is written in several transactions and shown when its cycle ends. One that
broke off is taken back by the next `start_report`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs
from sqlalchemy import BindParameter, Integer, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.bulk_write import bind_names, insert_statement, write_batch
from store.engine.prepared_statements import fetch, fetch_tuples
from store.records import ConnectionId, CycleId, DriftFinding, FindingState, TenantId
from store.sync import cycles
from store.sync.drift_reports import are_ongoing, to_findings
from store.sync.report_comparison import ONGOING, Identity, continued, identity

_c = tables.drift_findings.c
_INSERT = insert_statement(tables.drift_findings)
_OF_CONNECTION = _c.tenant_id == bindparam("of_tenant"), _c.connection_id == bindparam("of_connection")
_NUMBER: BindParameter[int] = bindparam("number", type_=Integer)
_TAKE_BACK = delete(tables.drift_findings).where(*_OF_CONNECTION, _c.first_report > _NUMBER).returning(_c.id)
_ONGOING = (
    select(tables.drift_findings)
    .where(*_OF_CONNECTION, or_(_c.end_report.is_(None), _c.end_report > _NUMBER))
    .where(_c.first_report <= _NUMBER, or_(*(_c.state == state.value for state in sorted(ONGOING))))
    .order_by(_c.id)
)
_IN_NO_REPORT = 0
"""First and end number of a row that only an on-demand request shows."""


@dataclass(slots=True)
class PreviousReport:
    """The findings that were open before a report, and what it changes about them."""

    number: int
    """Of the report that is written."""
    findings: dict[Identity, DriftFinding] = field(default_factory=dict)
    rows: dict[int, list[DriftFinding]] = field(default_factory=dict)
    """The same findings by the row that stores them."""
    _rows_of: dict[Identity, list[int]] = field(default_factory=dict)
    _changed: set[Identity] = field(default_factory=set)

    def add_row(self, row_id: int, findings: list[DriftFinding]) -> None:
        self.rows[row_id] = findings
        for finding in findings:
            self.findings[identity(finding)] = finding
            self._rows_of.setdefault(identity(finding), []).append(row_id)

    def changes(self, findings: Iterable[DriftFinding]) -> Iterator[DriftFinding]:
        """Yield the findings that the report before did not show as they are now."""
        if not self.findings:
            yield from findings
            return
        for finding in findings:
            key = identity(finding)
            is_stored = self.findings.get(key) == finding and len(self._rows_of[key]) == 1
            if not is_stored:
                self._changed.add(key)
                yield finding

    @property
    def ended_rows(self) -> list[int]:
        """Return the rows that this report does not show any more."""
        return sorted({row for key in self._changed for row in self._rows_of.get(key, ())})

    def remainders(self) -> Iterator[DriftFinding]:
        """Yield the unchanged findings of the rows that end: they need a new row."""
        for row_id in self.ended_rows:
            for finding in self.rows[row_id]:
                if identity(finding) not in self._changed:
                    yield finding


async def start_report(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> PreviousReport:
    """Take back a report that broke off, and return what was open before this one."""
    before = await cycles.last_report_number(conn, tenant_id, connection_id)
    values = {"of_tenant": tenant_id, "of_connection": connection_id, "number": before}
    if await fetch_tuples(conn, _TAKE_BACK, values):
        await conn.execute(
            update(tables.drift_findings)
            .where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
            .where(_c.end_report > before, are_ongoing())
            .values(end_report=None)
        )
    previous = PreviousReport(before + 1)
    for row in await fetch(conn, _ONGOING, values):
        previous.add_row(row["id"], list(to_findings(row)))
    return previous


async def add(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_id: CycleId,
    number: int,
    findings: Sequence[DriftFinding],
) -> None:
    """Add findings to the report of this number.

    Neighbours that differ in nothing but their subject share a row.
    """
    rows: list[dict[str, Any]] = []
    before: DriftFinding | None = None
    for finding in findings:
        if before is not None and _are_alike(before, finding):
            rows[-1]["others"].append((finding.subject_id, finding.subject_label))
        else:
            rows.append(_row(tenant_id, connection_id, cycle_id, number, finding))
        before = finding
    if rows:
        await write_batch(conn, [(_INSERT, [bind_names(tables.drift_findings, row) for row in rows])])


async def end_rows(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    number: int,
    rows: Collection[int],
) -> None:
    """End rows with the report before this number. Write what replaces them first."""
    await conn.execute(
        update(tables.drift_findings)
        .where(_c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.id.in_(sorted(rows)))
        .values(end_report=number)
    )


async def record_repairs(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_id: CycleId,
    findings: Sequence[DriftFinding],
) -> Sequence[DriftFinding]:
    """Keep what an on-demand request or an approved plan repaired under its own cycle;
    return these findings as they are kept.

    A finding that was open in the last report keeps its `first_seen`, and is repaired
    in that report too, so that its numbers stay true.
    """
    if not findings:
        return findings
    scope = tenant_id, connection_id
    last = await cycles.last_report(conn, *scope)
    previous = PreviousReport(_IN_NO_REPORT) if last is None else await start_report(conn, *scope)
    earlier = previous.findings
    kept = [
        continued(each, earlier[identity(each)]) if identity(each) in earlier else each for each in findings
    ]
    await add(conn, *scope, cycle_id, _IN_NO_REPORT, kept)
    known = {identity(finding): finding for finding in kept if identity(finding) in earlier}
    if known and last is not None:
        await _settle(conn, *scope, last, known, previous)
    return kept


async def _settle(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    last: cycles.NumberedReport,
    known: Mapping[Identity, DriftFinding],
    previous: PreviousReport,
) -> None:
    """Mark these findings as repaired in the last report, as if it had done it."""
    repaired = list(previous.changes(_repaired(previous.findings[key], each) for key, each in known.items()))
    await add(conn, tenant_id, connection_id, last.cycle_id, last.number, repaired)
    await add(conn, tenant_id, connection_id, last.cycle_id, last.number, list(previous.remainders()))
    ended = previous.ended_rows
    await end_rows(conn, tenant_id, connection_id, last.number, ended)
    # A row that the last report was the first to show is shown by none now.
    await conn.execute(
        delete(tables.drift_findings).where(
            _c.tenant_id == tenant_id, _c.id.in_(ended), _c.first_report >= last.number
        )
    )
    states = Counter(previous.findings[key].state for key in known)
    await cycles.note_repairs(conn, tenant_id, last.cycle_id, states)


def _repaired(finding: DriftFinding, repair: DriftFinding) -> DriftFinding:
    """Return an open finding as the repair left it, with all the evidence there is."""
    evidence = {**finding.evidence, **repair.evidence}
    return structs.replace(finding, state=FindingState.REPAIRED, evidence=evidence)


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


def _row(
    tenant_id: TenantId, connection_id: ConnectionId, cycle_id: CycleId, number: int, finding: DriftFinding
) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "cycle_id": cycle_id,
        "first_report": number,
        "end_report": _end_report(number, finding),
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


def _end_report(number: int, finding: DriftFinding) -> int | None:
    """Return the first report that does not show the row; None while it is ongoing."""
    if number == _IN_NO_REPORT:
        return _IN_NO_REPORT
    return None if finding.state in ONGOING else number + 1
