"""/Bulk: many operations in one request (RFC 7644 §3.7), each as if it had come alone.

scim2-server's plan orders them so that a creation comes before each use of its
`bulkId`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

from scim2_models import (
    BulkOperation,
    InvalidSyntaxException,
    InvalidValueException,
    PayloadTooLargeException,
    SCIMException,
    User,
)
from scim2_server.bulk import BulkPlan, BulkStep
from scim2_server.routing import Operation, match

from scim.errors import refusal_of
from scim.limits import setting_of
from scim.request import ScimRequest, ScimResponse
from store.errors import StoreError

BULK_REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
_METHODS = {each.value: each for each in BulkOperation.Method}
_ALLOWED = (Operation.create, Operation.replace, Operation.patch, Operation.delete)

Handle = Callable[[ScimRequest], Awaitable[ScimResponse]]


async def run(request: ScimRequest, handle: Handle) -> ScimResponse:
    """Run the operations until `failOnErrors` of them failed; each has a result."""
    plan = read_plan(request)
    for step in plan:
        request.charge(1)
        result, created = await _run_step(request, plan, step, handle)
        plan.record(step, result, created)
    return ScimResponse(
        200, {"schemas": [BULK_RESPONSE_URN], "Operations": [_shown(each) for each in plan.outcomes()]}
    )


def read_plan(request: ScimRequest) -> BulkPlan:
    """Read the body of a Bulk.

    Raises scim2_models.InvalidSyntaxException, InvalidValueException, or
    PayloadTooLargeException.
    """
    body = request.body()
    entry = {key.lower(): value for key, value in body.items()} if isinstance(body, Mapping) else {}
    operations = entry.get("operations")
    if not isinstance(operations, list):
        raise InvalidSyntaxException(detail="A Bulk needs 'Operations': a list.")
    if len(operations) > request.limits.max_bulk_operations:
        raise PayloadTooLargeException(
            detail=f"{len(operations)} operations; {request.limits.max_bulk_operations} are taken at once: send "
            f"several Bulks, or have the operator of Leaver raise {setting_of('max_bulk_operations')}."
        )
    fail_on_errors = entry.get("failonerrors")
    if fail_on_errors is not None and (not isinstance(fail_on_errors, int) or fail_on_errors < 1):
        raise InvalidValueException(detail="'failOnErrors' must be an integer greater than 0.")
    return BulkPlan([_operation(each) for each in operations], fail_on_errors)


def _operation(raw: Any) -> BulkOperation[Any]:
    """Read one operation without validation, since its errors are its own result."""
    if not isinstance(raw, Mapping):
        raise InvalidSyntaxException(detail="Each of the 'Operations' must be an object.")
    entry = {key.lower(): value for key, value in raw.items()}
    method, path, bulk_id, version = (entry.get(name) for name in ("method", "path", "bulkid", "version"))
    return BulkOperation[User[Any]].model_construct(
        method=_METHODS.get(method.upper()) if isinstance(method, str) else None,
        path=path if isinstance(path, str) else None,
        bulk_id=bulk_id if isinstance(bulk_id, str) else None,
        version=version if isinstance(version, str) else None,
        data=entry.get("data"),
    )


async def _run_step(
    request: ScimRequest, plan: BulkPlan, step: BulkStep, handle: Handle
) -> tuple[dict[str, Any], Any]:
    operation = plan.operation(step)
    result: dict[str, Any] = {"method": operation.method, "bulk_id": operation.bulk_id}
    if operation.method != "POST" and operation.path:
        result["location"] = f"{request.principal.base}/{operation.path.strip('/')}"
    try:
        answer = await handle(_single(request, plan.resolve(step)))
    except (SCIMException, StoreError) as error:
        refusal = refusal_of(error)
        return {**result, "status": refusal.status, "response": refusal.body}, None
    result["status"] = answer.status
    location = answer.headers.get("Content-Location")
    if location:
        result["location"] = location
    if "ETag" in answer.headers:
        result["version"] = answer.headers["ETag"]
    created = SimpleNamespace(id=location.rpartition("/")[2]) if location and answer.status == 201 else None
    return result, created


def _single(request: ScimRequest, operation: BulkOperation[Any]) -> ScimRequest:
    if operation.method is None or not operation.path:
        raise InvalidValueException(
            detail="A bulk operation needs a 'path' and a 'method': POST, PUT, PATCH or DELETE."
        )
    if operation.method == "POST" and not operation.bulk_id:
        raise InvalidValueException(detail="A POST in a Bulk needs a 'bulkId'.")
    if match(operation.method, operation.path).operation not in _ALLOWED:
        raise InvalidValueException(
            detail="A bulk operation must be about /Users or /Groups, or one of them."
        )
    headers = {"If-Match": operation.version} if operation.version else {}
    return request.within(operation.method, operation.path, operation.data, headers)


def _shown(result: Mapping[str, Any]) -> dict[str, Any]:
    names = {"bulk_id": "bulkId"}
    shown = {names.get(name, name): value for name, value in result.items() if value is not None}
    return {**shown, "status": str(result["status"])}
