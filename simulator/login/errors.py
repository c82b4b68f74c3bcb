"""Refusals of the login endpoints: AADSTS codes in the body documented for the token
endpoint.
"""

import uuid
from datetime import datetime

from aiohttp import web

from simulator.objects import JsonValue


class LoginError(Exception):
    """The login endpoint refuses; `code` is the number behind AADSTS."""

    def __init__(self, error: str, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.error = error
        self.code = code
        self.message = message
        self.status = status


def tenant_not_found(tenant: str) -> LoginError:
    message = (
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing "
        "into the correct cloud."
    )
    return LoginError("invalid_request", 90002, message)


def app_not_found(client_id: str) -> LoginError:
    message = (
        f"Application with identifier '{client_id}' was not found in the directory. This can happen if the "
        "application has not been installed by the administrator of the tenant."
    )
    return LoginError("unauthorized_client", 700016, message)


def error_body(error: LoginError, now: datetime) -> dict[str, JsonValue]:
    """Make the documented error document; trace and correlation ids are fresh."""
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    moment = now.strftime("%Y-%m-%d %H:%M:%SZ")
    ids = f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}"
    text = f"AADSTS{error.code}: {error.message} {ids}"
    return {
        "error": error.error,
        "error_description": text,
        "error_codes": [error.code],
        "timestamp": moment,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={error.code}",
    }


def error_response(error: LoginError, now: datetime) -> web.Response:
    return web.json_response(error_body(error, now), status=error.status)
