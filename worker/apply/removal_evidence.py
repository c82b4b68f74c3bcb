"""Evidence behind removals: when it was taken, and taking it again when it is too old
to write on.

A worker that was stopped in mid-apply wakes up with evidence from before. The store
refuses a removal on such evidence
(`store.errors.EvidenceTooOld`); here each account and group concerned is read again in
Graph.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from store.records import Connection, EvidenceAge, GraphId
from store.sync import leases
from worker.errors import TryAgain
from worker.reconcile.confirmation import Confirmation, confirm
from worker.reconcile.plan import Absentee, Change, Plan
from worker.reconcile.snapshot import Evidence
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient


class Reverify(Protocol):
    """Read again in Graph what removals rest on."""

    async def __call__(self, changes: Sequence[Change]) -> tuple[Sequence[bool], EvidenceAge]:
        """Return for each removal whether it is still right, and the age of the new
        evidence.
        """
        ...


@dataclass(frozen=True, slots=True)
class GraphReverification:
    """Re-reads the absentees of a plan for removals that are about to be written."""

    services: WorkerServices
    connection: Connection
    absentees: Mapping[str, Absentee]
    """By `subject.key`, as the plan named them."""

    async def __call__(self, changes: Sequence[Change]) -> tuple[Sequence[bool], EvidenceAge]:
        """Return for each removal whether Graph still says `gone`; raises `WorkerError`
        where Graph does not answer.
        """
        keys = {key for change in changes for key in change.absentee_keys}
        age, evidence = await verify_now(
            self.services,
            self.connection,
            [self.absentees[key] for key in sorted(keys & self.absentees.keys())],
        )
        return [confirm(change, evidence) is Confirmation.GONE for change in changes], age


def reverification(services: WorkerServices, connection: Connection, plan: Plan) -> GraphReverification:
    """Return the re-reading of a plan's absentees, for `worker.apply.apply_plan`."""
    return GraphReverification(
        services, connection, {absentee.subject.key: absentee for absentee in plan.absentees}
    )


async def verify_now(
    services: WorkerServices, connection: Connection, absentees: Collection[Absentee]
) -> tuple[EvidenceAge, Mapping[str, Evidence]]:
    """Return what Graph says now about each absentee, and when that was asked."""
    from worker.graph.read.evidence import verify_absentees

    age = await evidence_age(services, connection)
    async with services.open_graph(connection) as graph:
        graph.prioritize()
        groups = await _assigned_groups(graph, connection)
        return age, await verify_absentees(graph, connection, tuple(absentees), groups)


async def evidence_age(services: WorkerServices, connection: Connection) -> EvidenceAge:
    """Return the age of evidence whose taking begins now, by the database's clock."""
    async with services.db.reading(single_statement=True) as conn:
        taken_at: datetime = await leases.database_time(conn, services.clock())
    return EvidenceAge(taken_at.astimezone(UTC), connection.policy.evidence_max_age_s)


async def _assigned_groups(graph: GraphClient, connection: Connection) -> frozenset[GraphId]:
    from worker.graph.read.application import read_application, read_assignments

    application = await read_application(graph, connection)
    rows, proof = await read_assignments(graph, application.id)
    if not proof.finished:
        raise TryAgain(f"The assignments could not be read whole, so nobody is removed now. {proof.detail}")
    return frozenset(GraphId(row.principal_id) for row in rows if row.principal_type == "Group")
