"""Read the attribute mapping for users from Entra's provisioning job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from store.records import Connection
from worker.graph.graph_query import GraphQuery
from worker.graph.provisioning import models as wire
from worker.graph.provisioning.on_demand import NoProvisioningJob, jobs_query, schema_query
from worker.graph.read.application import read_application

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

READ_PERMISSION = "Synchronization.Read.All"
"""The least that reads a job and its schema (Graph, "Get synchronizationSchema")."""


@dataclass(frozen=True, slots=True)
class JobMapping:
    """The rows of one job's mapping, as Entra writes them."""

    job_id: str
    rows: Mapping[str, str]
    """Target path -> source: an attribute's name, or an expression."""
    other_jobs: int
    """Further jobs of the application, whose mapping may differ."""


async def read_job_mapping(graph: GraphClient, connection: Connection) -> JobMapping:
    """Return the mapping for users of the application's job, an active one first.

    Raises `NoProvisioningJob`, and `GraphError`: `ConsentMissing` names the permission.
    """
    application = await read_application(graph, connection)
    listed = await graph.read(_reading(jobs_query(graph.sdk, application.id)), wire.decode_jobs)
    for job in sorted(listed.value, key=lambda job: (not job.is_active, job.id)):
        asked = _reading(schema_query(graph.sdk, application.id, job.id))
        rows = (await graph.read(asked, wire.decode_schema)).rows_of("User")
        if rows is not None:
            return JobMapping(job.id, _sources(rows), len(listed.value) - 1)
    raise NoProvisioningJob(
        "The application has no provisioning job with a mapping of users.",
        "In Entra open Enterprise applications > the application > Provisioning > Mappings.",
    )


def _reading(query: GraphQuery) -> GraphQuery:
    return replace(query, permission=READ_PERMISSION)


def _sources(rows: list[wire.AttributeRow]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        source = row.source
        if not row.target_attribute_name or source is None:
            continue
        is_attribute = (source.type or "").lower() == "attribute"
        text = (source.name if is_attribute else source.expression) or source.expression
        if text:
            found[row.target_attribute_name] = text
    return found
