"""One simulated Entra tenant, put together: directory, credentials, Graph, provisioning
service, faults.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from functools import partial

from simulator.directory import Directory
from simulator.faults import FaultBook
from simulator.graph.batch import Answer
from simulator.graph.behaviour import Behaviour
from simulator.graph.call import Tenant
from simulator.graph.service import Graph
from simulator.graph.wire import GraphRequest, GraphResponse
from simulator.login.authority import Authority
from simulator.notifications import Notifier
from simulator.provisioning import ProvisioningJobs, ProvisioningService
from simulator.registration import Registration
from simulator.signing import Signer

REMEMBERED_REQUESTS = 20_000


@dataclass(frozen=True, slots=True)
class Simulation:
    directory: Directory
    registration: Registration
    authority: Authority
    behaviour: Behaviour
    faults: FaultBook
    provisioning: ProvisioningService
    """The main job of the application."""
    jobs: ProvisioningJobs
    notifier: Notifier
    graph: Graph
    requests: deque[str]
    """The last requests outside `/admin`: method, path and status."""


def build_simulation(
    directory: Directory, registration: Registration | None = None, signer: Signer | None = None
) -> Simulation:
    """Wire a directory up with everything around it.

    A new signer makes a key, which takes longer than all the rest.
    """
    registration = registration or Registration(directory.client_id, {directory.client_secret: None})
    behaviour = Behaviour()
    faults = FaultBook(directory.seed)
    signer = signer or Signer()
    provisioning = ProvisioningService(directory, signer=signer)
    jobs = ProvisioningJobs(provisioning)
    notifier = Notifier(directory)
    tenant = Tenant(directory, behaviour, jobs, registration, notifier)
    return Simulation(
        directory=directory,
        registration=registration,
        authority=Authority(directory, registration, signer),
        behaviour=behaviour,
        faults=faults,
        provisioning=provisioning,
        jobs=jobs,
        notifier=notifier,
        graph=Graph(tenant, partial(_disturbed_item, faults)),
        requests=deque(maxlen=REMEMBERED_REQUESTS),
    )


async def _disturbed_item(faults: FaultBook, request: GraphRequest, answer: Answer) -> GraphResponse:
    """Apply an armed fault to an item of a batch as to the same request by itself."""
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    target = f"/v1.0{request.spelling}" + (f"?{query}" if query else "")
    fault = faults.take(request.method, target, in_batch=True)
    if fault is None:
        return await answer(request)
    await asyncio.sleep(fault.delay_s)  # and with it the whole batch: it is answered once every item is
    if fault.replaces_answer:
        response = GraphResponse(fault.answer_status, fault.replacement(), fault.answer_headers)
    else:
        given = await answer(request)
        response = replace(given, headers={**given.headers, **fault.headers})
    return replace(response, body=fault.cut(faults.changed(fault, response.body)))
