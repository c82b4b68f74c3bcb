"""One simulated Entra tenant, put together: directory, credentials, Graph, provisioning service, faults."""

from collections import deque
from dataclasses import dataclass

from simulator.directory import Directory
from simulator.faults import FaultBook
from simulator.graph.behaviour import Behaviour
from simulator.graph.call import Tenant
from simulator.graph.service import Graph
from simulator.graph.wire import GraphRequest, GraphResponse
from simulator.login.authority import Authority
from simulator.provisioning import ProvisioningService
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
    graph: Graph
    requests: deque[str]
    """The last requests outside `/admin`: method, path and status."""


def build_simulation(directory: Directory, registration: Registration | None = None) -> Simulation:
    """Wire a directory up with everything around it."""
    registration = registration or Registration(directory.client_id, {directory.client_secret: None})
    behaviour = Behaviour()
    faults = FaultBook(directory.seed)
    signer = Signer()
    provisioning = ProvisioningService(directory, signer=signer)
    tenant = Tenant(directory, behaviour, provisioning, registration)
    return Simulation(
        directory=directory,
        registration=registration,
        authority=Authority(directory, registration, signer),
        behaviour=behaviour,
        faults=faults,
        provisioning=provisioning,
        graph=Graph(tenant, lambda request: _fault_in_batch(faults, request)),
        requests=deque(maxlen=REMEMBERED_REQUESTS),
    )


def _fault_in_batch(faults: FaultBook, request: GraphRequest) -> GraphResponse | None:
    """Let an armed fault answer an item of a batch as it would answer the same request by itself."""
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    target = f"/v1.0{request.spelling}" + (f"?{query}" if query else "")
    fault = faults.take(request.method, target)
    if fault is None or not fault.replaces_answer:
        return None
    return GraphResponse(fault.status or 200, fault.replacement(), fault.headers)
