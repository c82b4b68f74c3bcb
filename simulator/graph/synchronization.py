"""`/synchronization` and `/auditLogs/provisioning`: what Graph shows of the
provisioning service.
"""

from collections.abc import Awaitable
from typing import TypeVar

import orjson

from simulator.clock import graph_time
from simulator.graph.application import find
from simulator.graph.call import Call, Document
from simulator.graph.limits import LOG_RETENTION
from simulator.graph.paging import Listing, list_response, plain_list
from simulator.graph.query import read_options
from simulator.graph.schema import ANY
from simulator.graph.wire import GraphError, GraphResponse, bad_request, json_response, not_found
from simulator.provisioning import (
    NotPossible,
    ProvisioningError,
    ProvisioningJobs,
    ProvisioningService,
)

Result = TypeVar("Result")


def _jobs(call: Call) -> ProvisioningJobs:
    if call.tenant.provisioning is None:
        raise not_found("synchronization")
    return call.tenant.provisioning


def _service(call: Call) -> ProvisioningService:
    """Return the job that an address names; only the application of the tenant has
    jobs.
    """
    ours = find(call)["id"] == call.directory.service_principal_id
    service = _jobs(call).with_id(call.argument("job")) if ours else None
    if service is None:
        raise not_found(call.argument("job"))
    return service


def _job(call: Call) -> Document:
    return _service(call).job_representation()


async def _tried(work: Awaitable[Result]) -> Result:
    """Turn a refusal of the service into Graph's error."""
    try:
        return await work
    except NotPossible as error:
        raise GraphError(error.status, error.code, error.message) from None
    except ProvisioningError as error:
        raise bad_request(error.message, error.code) from None


def _context(call: Call) -> str:
    return f"servicePrincipals('{call.directory.service_principal_id}')/synchronization/jobs"


def list_jobs(call: Call) -> GraphResponse:
    ours = find(call)["id"] == call.directory.service_principal_id
    services = call.tenant.provisioning if call.tenant.provisioning and ours else ()
    jobs = [service.job_representation() for service in services]
    return _uncached(plain_list(call, _context(call), jobs))


def get_job(call: Call) -> GraphResponse:
    context = f"{call.request.base_url}/$metadata#{_context(call)}/$entity"
    return json_response({"@odata.context": context, **_job(call)})


def get_schema(call: Call) -> GraphResponse:
    job = _job(call)
    context = f"{call.request.base_url}/$metadata#{_context(call)}('{job['id']}')/schema/$entity"
    return json_response({"@odata.context": context, **_service(call).schema_representation()})


async def start(call: Call) -> GraphResponse:
    await _tried(_service(call).start())
    return GraphResponse(204)


async def pause(call: Call) -> GraphResponse:
    await _tried(_service(call).stop())
    return GraphResponse(204)


async def restart(call: Call) -> GraphResponse:
    """Restart; `resetScope` decides whether links are broken (Full) and staged deletes
    allowed (ForceDeletes).
    """
    service = _service(call)
    criteria = _body(call).get("criteria")
    scope = str(criteria.get("resetScope", "")) if isinstance(criteria, dict) else ""
    await _tried(service.restart(full="Full" in scope, force_deletes="ForceDeletes" in scope))
    return GraphResponse(204)


async def validate_credentials(call: Call) -> GraphResponse:
    service = _service(call) if "job" in call.arguments else _jobs(call).main
    find(call)
    await _tried(service.test_connection())
    return GraphResponse(204)


async def provision_on_demand(call: Call) -> GraphResponse:
    """Answer a pair whose key and value are JSON documents encoded as strings
    (provision on demand).
    """
    answer = await _tried(_service(call).answer_on_demand(_body(call)))
    context = f"{call.request.base_url}/$metadata#microsoft.graph.stringKeyStringValuePair"
    return json_response({"@odata.context": context, **answer})


def save_secrets(call: Call) -> GraphResponse:
    find(call)
    pairs = _body(call).get("value")
    if not isinstance(pairs, list) or not all(
        isinstance(p, dict) and {"key", "value"} <= set(p) for p in pairs
    ):
        raise bad_request("The value must be a list of key and value pairs.")
    _jobs(call).main.put_secrets({str(pair["key"]): str(pair["value"]) for pair in pairs})
    return GraphResponse(204)


def _body(call: Call) -> Document:
    body = call.request.json() if call.request.body else {}
    if not isinstance(body, dict):
        raise bad_request("The body must be an object.")
    return body


def list_log(call: Call) -> GraphResponse:
    """Answer the provisioning log, newest first, with Graph's filters."""
    options = read_options(call.request, ANY)
    oldest = graph_time(call.directory.clock.now() - LOG_RETENTION)
    found = call.tenant.provisioning.log_entries() if call.tenant.provisioning else []
    entries = [entry for entry in found if entry["activityDateTime"] >= oldest]
    listing = Listing(
        keys=range(len(entries)),
        items=entries,
        properties=lambda entry: entry,
        render=orjson.dumps,
        context="auditLogs/provisioning",
    )
    return _uncached(list_response(call, options, listing))


def _uncached(response: GraphResponse) -> GraphResponse:
    """Return an answer not to be remembered: jobs change while the directory does
    not."""
    return GraphResponse(response.status, response.body, response.headers, response.content_type)
