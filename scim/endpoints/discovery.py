"""/ServiceProviderConfig, /ResourceTypes, /Schemas: what this server can do (RFC 7644
§4).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    ForbiddenException,
    NotFoundException,
    Pagination,
    Patch,
    ServiceProviderConfig,
    Sort,
)
from scim2_server.utils import load_default_resource_types

from scim.endpoints.search import LIST_URN
from scim.limits import ScimLimits
from scim.request import ScimRequest, ScimResponse
from scim.schema.definitions import Declared, is_for_groups, schema_bodies


def service_provider_config(request: ScimRequest) -> ScimResponse:
    _refuse_filter(request)
    location = f"{request.principal.base}/ServiceProviderConfig"
    meta = {"resourceType": "ServiceProviderConfig", "location": location}
    return ScimResponse(200, {**_config(request.limits), "meta": meta}, {"Content-Location": location})


def resource_types(request: ScimRequest, resource_type_id: str | None = None) -> ScimResponse:
    return _found(
        request,
        "ResourceType",
        "ResourceTypes",
        _resource_types(request.principal.declared),
        resource_type_id,
    )


def schemas(request: ScimRequest, schema_id: str | None = None) -> ScimResponse:
    return _found(request, "Schema", "Schemas", schema_bodies(request.principal.declared), schema_id)


def _found(
    request: ScimRequest, kind: str, endpoint: str, bodies: dict[str, dict[str, Any]], wanted: str | None
) -> ScimResponse:
    _refuse_filter(request)
    base = f"{request.principal.base}/{endpoint}"
    located = {
        key.lower(): {**body, "meta": {"resourceType": kind, "location": f"{base}/{key}"}}
        for key, body in bodies.items()
    }
    if wanted is None:
        every = list(located.values())
        listed = {
            "schemas": [LIST_URN],
            "totalResults": len(every),
            "itemsPerPage": len(every),
            "startIndex": 1,
        }
        return ScimResponse(200, {**listed, "Resources": every})
    found = located.get(wanted.lower())
    if found is None:
        raise NotFoundException(detail=f"There is no {kind} '{wanted}': GET {base} lists all.")
    return ScimResponse(200, found, {"Content-Location": str(found["meta"]["location"])})


def _refuse_filter(request: ScimRequest) -> None:
    if "filter" in request.query:
        raise ForbiddenException(detail="Discovery endpoints take no filter (RFC 7644 §4).")


def _resource_types(declared: Declared) -> dict[str, dict[str, Any]]:
    bodies = {
        key: each.model_dump()
        for key, each in load_default_resource_types().items()
        if key in ("User", "Group")
    }
    for urn in sorted({urn for urn, _ in declared}):
        body = bodies["Group" if is_for_groups(urn) else "User"]
        body.setdefault("schemaExtensions", []).append({"schema": urn, "required": False})
    return bodies


@lru_cache(maxsize=4)
def _config(limits: ScimLimits) -> dict[str, Any]:
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(
            supported=True,
            max_operations=limits.max_bulk_operations,
            max_payload_size=limits.max_bulk_body_bytes,
        ),
        filter=Filter(supported=True, max_results=limits.max_page_size),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="API token",
                description="A bearer token made in Leaver for one connection.",
                spec_uri="https://www.rfc-editor.org/info/rfc6750",
                primary=True,
            ),
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauth2,
                name="OAuth 2.0 client credentials",
                description="/oauth/token: the connection as client, its API tokens as secrets, or an assertion of Entra.",
                spec_uri="https://www.rfc-editor.org/info/rfc6749",
            ),
        ],
        pagination=Pagination(
            cursor=True,
            index=True,
            default_pagination_method=Pagination.DefaultPaginationMethod.index,
            default_page_size=limits.default_page_size,
            max_page_size=limits.max_page_size,
            cursor_timeout=limits.cursor_timeout_s,
        ),
    )
    return config.model_dump()
