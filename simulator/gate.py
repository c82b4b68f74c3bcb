"""Graph's gate: what a token may do, and why it is refused with 401."""

from base64 import b64encode

import orjson

from simulator.graph.wire import GraphError
from simulator.simulation import Simulation

AUTHORIZE_URL = "https://login.microsoftonline.com/common/oauth2/authorize"
REVOKED_BEFORE = "1604106651"
"""The moment in Microsoft's sample of a claims challenge; only its presence counts
here."""


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
