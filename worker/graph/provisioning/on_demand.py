"""Ask Entra's provisioning service to provision one object now.

The call is `synchronization/jobs/{id}/provisionOnDemand`. This module finds the job and
the rule for users or groups in its schema, keeps the pace, and decodes the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.records import GraphId, SubjectType
from worker.errors import NeedsHuman
from worker.graph.errors import BadRequest, NotFound
from worker.graph.graph_query import GraphQuery
from worker.graph.provisioning import models as wire

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient
if TYPE_CHECKING:
    from kiota_abstractions.request_information import RequestInformation
    from msgraph.generated.service_principals.item.synchronization.jobs.item.provision_on_demand import (
        provision_on_demand_post_request_body as posted,
    )
    from msgraph.graph_service_client import GraphServiceClient


class NoProvisioningJob(NeedsHuman):
    """Provisioning was never set up for the application or the type."""


class NotTaken(NeedsHuman):
    """The service refuses the request itself: it is not set up, or the job is gone."""


@dataclass(frozen=True, slots=True)
class ProvisioningService:
    """The job that will be asked, and its rules by type of object."""

    service_principal_id: str
    job: wire.ProvisioningJob
    rules: Mapping[SubjectType, str]


async def find_service(graph: GraphClient, service_principal_id: str) -> ProvisioningService:
    """Return the application's provisioning job, an active one first.

    Raises `NoProvisioningJob`, `GraphError`.
    """
    listed = await graph.read(jobs_query(graph.sdk, service_principal_id), wire.decode_jobs)
    found = sorted(listed.value, key=lambda job: (not job.is_active, job.id))
    for job in found:
        asked = schema_query(graph.sdk, service_principal_id, job.id)
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
    graph: GraphClient, service: ProvisioningService, pace: CallPace, wanted: OnDemandRequest
) -> wire.OnDemandAnswer:
    """Ask for one object, after waiting for a turn.

    Raises `NoProvisioningJob` if its type is switched off, `NotTaken` if the service
    refuses.
    """
    rule_id = service.rules.get(wanted.type)
    if rule_id is None:
        raise NoProvisioningJob(
            f"The provisioning job does not provision {wanted.type}s.",
            f"In Entra switch on the mapping of {wanted.type}s: Provisioning > Mappings.",
        )
    query = provision_on_demand_query(
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


# Requests to Entra's provisioning service through Graph, built by msgraph-sdk.

PERMISSION = "Synchronization.ReadWrite.All"
"""Reading jobs takes less, but the next call asks for provisioning."""

MOST_MEMBERS = 5
"""Members of a group in one call (graph-api, provision on demand)."""

TYPE_NAMES = {SubjectType.USER: "User", SubjectType.GROUP: "Group"}


@dataclass(frozen=True, slots=True)
class OnDemandRequest:
    """One object to provision; of a group at most `MOST_MEMBERS` of its members."""

    type: SubjectType
    graph_id: GraphId
    members: Sequence[GraphId] = ()


def jobs_query(sdk: GraphServiceClient, service_principal_id: str) -> GraphQuery:
    builder = sdk.service_principals.by_service_principal_id(service_principal_id).synchronization.jobs
    request = builder.to_get_request_information()
    return _query(request, builder.request_adapter.base_url, "the provisioning jobs")


def schema_query(sdk: GraphServiceClient, service_principal_id: str, job_id: str) -> GraphQuery:
    service = sdk.service_principals.by_service_principal_id(service_principal_id).synchronization
    builder = service.jobs.by_synchronization_job_id(job_id).schema
    request = builder.to_get_request_information()
    return _query(request, builder.request_adapter.base_url, "the schema of the provisioning job")


def provision_on_demand_query(
    sdk: GraphServiceClient, service_principal_id: str, job_id: str, rule_id: str, wanted: OnDemandRequest
) -> GraphQuery:
    service = sdk.service_principals.by_service_principal_id(service_principal_id).synchronization
    builder = service.jobs.by_synchronization_job_id(job_id).provision_on_demand
    request = builder.to_post_request_information(_body(rule_id, wanted))
    return _query(request, builder.request_adapter.base_url, "provisionOnDemand")


def _body(rule_id: str, wanted: OnDemandRequest) -> posted.ProvisionOnDemandPostRequestBody:
    from msgraph.generated.models.synchronization_job_application_parameters import (
        SynchronizationJobApplicationParameters,
    )
    from msgraph.generated.models.synchronization_job_subject import SynchronizationJobSubject
    from msgraph.generated.models.synchronization_linked_objects import SynchronizationLinkedObjects
    from msgraph.generated.service_principals.item.synchronization.jobs.item.provision_on_demand import (
        provision_on_demand_post_request_body as posted,
    )

    subject = SynchronizationJobSubject(object_id=wanted.graph_id, object_type_name=TYPE_NAMES[wanted.type])
    if wanted.members:
        user = TYPE_NAMES[SubjectType.USER]
        members = [SynchronizationJobSubject(object_id=m, object_type_name=user) for m in wanted.members]
        subject.links = SynchronizationLinkedObjects(members=members)
    parameters = SynchronizationJobApplicationParameters(rule_id=rule_id, subjects=[subject])
    return posted.ProvisionOnDemandPostRequestBody(parameters=[parameters])


def _query(request: RequestInformation, base_url: str, name: str) -> GraphQuery:
    request.path_parameters["baseurl"] = base_url
    return GraphQuery(request.url, name, PERMISSION, body=request.content)


# Graph allows five calls of *Provision on demand* in ten seconds.
#
# A 429 would hold up everything else that this process asks of the same Entra tenant.
# So all callers of one tenant share one pace, and each call waits for its turn.

CALLS, WINDOW_S = 5, 10.0
"""graph-api, throttling limits: provisionOnDemand."""
_MARGIN_S = 0.25
"""Calls do not reach Graph at the distance they left at."""


class CallPace:
    """At most `CALLS` turns in any `WINDOW_S`, first come, first served."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._given: deque[float] = deque(maxlen=CALLS)

    async def turn(self) -> None:
        """Wait until one more call may be made."""
        now = self._clock()
        oldest = self._given[0] if len(self._given) == CALLS else None
        at = now if oldest is None else max(now, oldest + WINDOW_S + _MARGIN_S)
        self._given.append(at)  # taken before it is waited for: the next call waits behind it
        if at > now:
            await self._sleep(at - now)


_paces: dict[tuple[str, str], CallPace] = {}


def pace_of(graph_url: str, entra_tenant_id: str) -> CallPace:
    """Return the pace that this process shares for one Entra tenant."""
    return _paces.setdefault((graph_url, entra_tenant_id.lower()), CallPace())
