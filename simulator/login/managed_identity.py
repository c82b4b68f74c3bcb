"""The managed identity endpoints of a machine in Azure: IMDS (virtual machines) and App
Service.

A stand-in for what runs beside an app there. A token says that this machine is who it
is; the app registration may trust that as a federated credential.
"""

import secrets
import time

from aiohttp import web

from simulator.login.authority import Authority
from simulator.signing import LIFE_S

IMDS_PATH = "/metadata/identity/oauth2/token"
APP_SERVICE_PATH = "/msi/token"


def add_managed_identity(app: web.Application, authority: Authority) -> None:
    """Mount both endpoints; what they give differs in shape only."""
    endpoints = Endpoints(authority)
    app.router.add_get(IMDS_PATH, endpoints.imds)
    app.router.add_get(APP_SERVICE_PATH, endpoints.app_service)


class Endpoints:
    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    async def imds(self, request: web.Request) -> web.Response:
        """`Metadata: true` shows that the request is no forgery of a redirect."""
        if request.headers.get("Metadata", "").lower() != "true":
            return _refused(400, "bad_request_102", "Required metadata header not specified")
        return self._token(request, request.query.get("client_id"))

    async def app_service(self, request: web.Request) -> web.Response:
        """`X-IDENTITY-HEADER` holds what the platform put into `IDENTITY_HEADER`."""
        given = request.headers.get("X-IDENTITY-HEADER", "")
        if not secrets.compare_digest(given.encode(), self._authority.registration.identity_header.encode()):
            return web.json_response({"statusCode": 401, "message": "Unauthorized"}, status=401)
        return self._token(request, request.query.get("client_id"))

    def _token(self, request: web.Request, client_id: str | None) -> web.Response:
        resource = request.query.get("resource")
        if not resource:
            return _refused(400, "invalid_request", "The resource parameter is missing.")
        registration = self._authority.registration
        principal = registration.managed_identities.get((client_id or "system").lower())
        if principal is None:
            return _refused(400, "invalid_request", "Identity not found")
        tenant = self._authority.directory.entra_tenant_id
        issuer = f"{request.scheme}://{request.host}/{tenant}/v2.0"
        claims = {"aud": resource, "iss": issuer, "sub": principal, "oid": principal, "tid": tenant}
        return web.json_response(
            {
                "access_token": self._authority.signer.sign(claims),
                "client_id": client_id or "",
                "expires_in": str(LIFE_S),
                "expires_on": str(int(time.time()) + LIFE_S),
                "resource": resource,
                "token_type": "Bearer",
            }
        )


def _refused(status: int, error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)
