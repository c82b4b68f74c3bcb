"""What is asked of Entra's provisioning service through Graph, built by msgraph-sdk's request builders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.records import GraphId, SubjectType
from worker.graph.queries import Query

if TYPE_CHECKING:
    from kiota_abstractions.request_information import RequestInformation
    from msgraph.generated.service_principals.item.synchronization.jobs.item.provision_on_demand import (
        provision_on_demand_post_request_body as posted,
    )
    from msgraph.graph_service_client import GraphServiceClient

PERMISSION = "Synchronization.ReadWrite.All"
"""Reading jobs takes less, but whoever reads them here is about to ask."""

MOST_MEMBERS = 5
"""Members of a group in one call (graph-api, provision on demand)."""

TYPE_NAMES = {SubjectType.USER: "User", SubjectType.GROUP: "Group"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object to be provisioned; of a group at most `MOST_MEMBERS` of its members."""

    type: SubjectType
    graph_id: GraphId
    members: Sequence[GraphId] = ()


def jobs(sdk: GraphServiceClient, service_principal_id: str) -> Query:
    builder = sdk.service_principals.by_service_principal_id(service_principal_id).synchronization.jobs
    request = builder.to_get_request_information()
    return _query(request, builder.request_adapter.base_url, "the provisioning jobs")


def schema(sdk: GraphServiceClient, service_principal_id: str, job_id: str) -> Query:
    service = sdk.service_principals.by_service_principal_id(service_principal_id).synchronization
    builder = service.jobs.by_synchronization_job_id(job_id).schema
    request = builder.to_get_request_information()
    return _query(request, builder.request_adapter.base_url, "the schema of the provisioning job")


def provision_on_demand(
    sdk: GraphServiceClient, service_principal_id: str, job_id: str, rule_id: str, wanted: Wanted
) -> Query:
    service = sdk.service_principals.by_service_principal_id(service_principal_id).synchronization
    builder = service.jobs.by_synchronization_job_id(job_id).provision_on_demand
    request = builder.to_post_request_information(_body(rule_id, wanted))
    return _query(request, builder.request_adapter.base_url, "provisionOnDemand")


def _body(rule_id: str, wanted: Wanted) -> posted.ProvisionOnDemandPostRequestBody:
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


def _query(request: RequestInformation, base_url: str, name: str) -> Query:
    request.path_parameters["baseurl"] = base_url
    return Query(request.url, name, PERMISSION, body=request.content)
