"""Entra's provisioning service, asked to provision one object now (`synchronization/jobs/{id}/provisionOnDemand`).

Finds the job and the rule for users or groups in its schema, keeps the pace, and gives the answer decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.records import SubjectType
from worker.errors import NeedsHuman
from worker.graph import ask_entra_queries as queries
from worker.graph import ask_entra_wire as wire
from worker.graph.ask_entra_pace import Pace
from worker.graph.ask_entra_queries import TYPE_NAMES, Wanted
from worker.graph.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from worker.graph.client import GraphClient


class NoProvisioningJob(NeedsHuman):
    """Provisioning was never set up for the application, or not for this type of object."""


class NotTaken(NeedsHuman):
    """The service refuses the request itself: it is not set up, or the job is gone."""


@dataclass(frozen=True, slots=True)
class ProvisioningService:
    """The job that will be asked, and its rules by type of object."""

    service_principal_id: str
    job: wire.Job
    rules: Mapping[SubjectType, str]


async def find_service(graph: GraphClient, service_principal_id: str) -> ProvisioningService:
    """Finds the application's provisioning job, an active one first. Raises `NoProvisioningJob`, `GraphError`."""
    listed = await graph.read(queries.jobs(graph.sdk, service_principal_id), wire.decode_jobs)
    found = sorted(listed.value, key=lambda job: (not job.is_active, job.id))
    for job in found:
        asked = queries.schema(graph.sdk, service_principal_id, job.id)
        schema = await graph.read(asked, wire.decode_schema)
        rules = {
            of: rule[0] for of, name in TYPE_NAMES.items() if (rule := schema.rule_for(name)) and rule[1]
        }
        if rules:
            return ProvisioningService(service_principal_id, job, rules)
    raise NoProvisioningJob(
        "The application has no provisioning job that provisions anything."
        if found
        else "The application has no provisioning job.",
        "In Entra open Enterprise applications > the application > Provisioning, set Automatic with Tenant URL and"
        " Secret Token, and switch on the mappings.",
    )


async def ask(
    graph: GraphClient, service: ProvisioningService, pace: Pace, wanted: Wanted
) -> wire.OnDemandAnswer:
    """Asks for one object, waiting for its turn. Raises `NoProvisioningJob` where its type is switched off."""
    rule_id = service.rules.get(wanted.type)
    if rule_id is None:
        raise NoProvisioningJob(
            f"The provisioning job does not provision {wanted.type}s.",
            f"In Entra switch on the mapping of {wanted.type}s: Provisioning > Mappings.",
        )
    query = queries.provision_on_demand(
        graph.sdk, service.service_principal_id, service.job.id, rule_id, wanted
    )
    await pace.turn()
    try:
        return await graph.read(query, wire.decode_on_demand)
    except (BadRequest, NotFound) as error:
        raise NotTaken(
            f"Entra's provisioning service did not take the request ({error.said}).",
            "In Entra open the application's Provisioning: Tenant URL and Secret Token have to be set and Test"
            " Connection has to succeed. Its own Provision on demand shows the same there.",
        ) from error
