"""What goes in and out of the simulated Graph: a request, an answer, an error, each as
a plain value.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import orjson

from simulator.clock import graph_time
from simulator.directory import Directory
from simulator.objects import JsonValue

JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"


@dataclass(frozen=True, slots=True)
class GraphRequest:
    method: str
    path: str
    """Decoded, below `/v1.0`, one slash between segments, casts as `graph.user`,
    functions without `()`."""
    spelling: str
    """The path as the client wrote it (links keep it)."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    base_url: str
    """Scheme, host and version, for links: `http://127.0.0.1:8123/v1.0`."""
    roles: frozenset[str] = frozenset()
    """Application permissions in the token."""
    has_quoted_key: bool = False
    """Whether the object was named as `/users('{id}')`, the key syntax of OData."""

    @property
    def is_advanced(self) -> bool:
        """Return whether the client asked for the index (`ConsistencyLevel:
        eventual`)."""
        return self.headers.get("consistencylevel", "").lower() == "eventual"

    def link(self, path: str, query: Mapping[str, str]) -> str:
        """Make an absolute URL in Graph's spelling: `$` and commas as they are."""
        pairs = [
            f"{quote(name, safe='$')}={quote(value, safe=_SAFE_IN_QUERY)}" for name, value in query.items()
        ]
        return f"{self.base_url}{path}" + (f"?{'&'.join(pairs)}" if pairs else "")

    def json(self) -> Any:
        """Parse the body; an unreadable one is Graph's 400."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise GraphError(400, "BadRequest", "Unable to read JSON request payload.") from None


_SAFE_IN_QUERY = "$,'()/:*@!;=-._~"


class Body(bytes):
    """Bytes of an answer, with their compressed form after the first request for it."""

    packed: bytes | None = None

    def compressed(self) -> bytes:
        if self.packed is None:
            self.packed = gzip.compress(self, compresslevel=1)
        return self.packed


@dataclass(frozen=True, slots=True)
class GraphResponse:
    status: int
    body: bytes = b""
    """A `Body` where compressing is worth it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    cacheable: bool = False
    """The same request gives the same bytes until the directory changes."""


class GraphError(Exception):
    """Graph refuses; rendered as its error body."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def bad_request(message: str, code: str = "Request_BadRequest") -> GraphError:
    """Make the 400 for a query that makes no sense."""
    return GraphError(400, code, message)


def request_denied() -> GraphError:
    """Make the 403 for a permission that the token lacks."""
    message = "Insufficient privileges to complete the operation."
    return GraphError(403, "Authorization_RequestDenied", message)


def not_found(object_id: str) -> GraphError:
    """Make the 404 for an object that is gone, or was never there."""
    message = (
        f"Resource '{object_id}' does not exist or one of its queried reference-property objects are not "
        "present."
    )
    return GraphError(404, "Request_ResourceNotFound", message)


def parse_request(
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Mapping[str, str],
    body: bytes,
    base_url: str,
    roles: frozenset[str],
) -> GraphRequest:
    """Read a path below `/v1.0` and a query string.

    Doubled slashes are one: SDKs build `v1.0//users`.
    """
    spelling = "/" + "/".join(part for part in raw_path.split("/") if part)
    path = unquote(spelling).replace("/microsoft.graph.", "/graph.").removesuffix("()")
    quoted_key = _QUOTED_KEY.match(path)
    if quoted_key is not None:
        key = quoted_key["key"].replace("''", "'")
        path = f"/{quoted_key['collection']}/{key}{path[quoted_key.end() :]}"
    query = {
        (name if name.startswith("$") or name not in _SYSTEM_OPTIONS else f"${name}"): value
        for name, value in parse_qsl(raw_query, keep_blank_values=True)
    }
    return GraphRequest(method, path, spelling, query, headers, body, base_url, roles, quoted_key is not None)


_QUOTED_KEY = re.compile(r"/(?P<collection>users|groups)\('(?P<key>(?:[^']|'')*)'\)(?=/|\Z)")


# Graph takes its query options with and without the dollar sign.
_SYSTEM_OPTIONS = frozenset(
    {"select", "filter", "top", "count", "orderby", "expand", "search", "skiptoken", "deltatoken"}
)


def json_response(
    value: JsonValue, status: int = 200, headers: Mapping[str, str] | None = None, *, cacheable: bool = False
) -> GraphResponse:
    return GraphResponse(status, orjson.dumps(value), headers or {}, cacheable=cacheable)


def error_response(
    error: GraphError, request_id: str, client_request_id: str, directory: Directory
) -> GraphResponse:
    """Render an error as `{"error": {"code", "message", "innerError"}}`."""
    inner: dict[str, JsonValue] = {
        "date": graph_time(directory.clock.now()).removesuffix("Z"),
        "request-id": request_id,
        "client-request-id": client_request_id,
    }
    body: JsonValue = {"error": {"code": error.code, "message": error.message, "innerError": inner}}
    return GraphResponse(error.status, orjson.dumps(body), error.headers)
