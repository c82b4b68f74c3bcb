"""One simulated Entra tenant, put together: directory, credentials, Graph, provisioning
service, faults; and what a token may do there.
"""

import asyncio
from base64 import b64encode
from collections import deque
from dataclasses import dataclass, replace
from functools import partial

import orjson

from simulator.directory import Directory
from simulator.faults import FaultBook
from simulator.graph.batch import Answer
from simulator.graph.behaviour import Behaviour
from simulator.graph.call import Tenant
from simulator.graph.service import Graph
from simulator.graph.wire import GraphError, GraphRequest, GraphResponse
from simulator.login.authority import Authority
from simulator.notifications import Notifier
from simulator.provisioning import ProvisioningJobs, ProvisioningService
from simulator.registration import Registration
from simulator.signing import Signer

REMEMBERED_REQUESTS = 20_000
AUTHORIZE_URL = "https://login.microsoftonline.com/common/oauth2/authorize"
REVOKED_BEFORE = "1604106651"
"""The moment in Microsoft's sample of a claims challenge; only its presence counts
here."""


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


def authorized_roles(simulation: Simulation, authorization: str) -> frozenset[str]:
    """Return the permissions of a token.

    Raise GraphError (401) for a token that is missing, foreign, expired or cut off, and
    for one that does not satisfy the claims challenge in force.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthorized("Access token is empty.")
    roles = simulation.authority.roles(token.strip())
    if roles is None:
        raise _unauthorized("Lifetime validation failed, the token is expired or its signature is invalid.")
    challenge = simulation.behaviour.claims_challenge
    if challenge == "always" or (challenge and not simulation.authority.answers_challenge(token.strip())):
        raise claims_challenge()
    return roles


def claims_challenge() -> GraphError:
    """Make the 401 of continuous access evaluation, with the claims a new token must
    have.
    """
    claims = {"access_token": {"nbf": {"essential": True, "value": REVOKED_BEFORE}}}
    header = (
        f'Bearer realm="", authorization_uri="{AUTHORIZE_URL}", '
        'client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", '
        f'claims="{b64encode(orjson.dumps(claims)).decode()}"'
    )
    message = (
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and "
        "code: TokenIssuedBeforeRevocationTimestamp"
    )
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": header})


def _unauthorized(message: str) -> GraphError:
    challenge = f'Bearer realm="", authorization_uri="{AUTHORIZE_URL}"'
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})
