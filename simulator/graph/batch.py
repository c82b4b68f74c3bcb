"""`$batch`: up to 20 requests in one, each with an answer of its own, in another order
than asked.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from simulator.graph.limits import MOST_BATCHED_REQUESTS
from simulator.graph.wire import GraphError, GraphRequest, GraphResponse, json_response, parse_request
from simulator.objects import JsonValue

Answer = Callable[[GraphRequest], Awaitable[GraphResponse]]


async def answer_batch(request: GraphRequest, answer: Answer) -> GraphResponse:
    """Answer every item by itself; the batch is 200 even if all of them fail, 400 only
    if it is malformed.
    """
    items = _items(request.json())
    done: dict[str, dict[str, JsonValue]] = {}
    for item in items:
        done[item["id"]] = await _answer_item(request, item, done, answer)
    # Answers may come in any order (json-batching): clients match on id.
    return json_response({"responses": list(reversed(done.values()))})


def _items(body: Any) -> list[dict[str, Any]]:
    items = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise GraphError(400, "BadRequest", "Invalid batch payload format.")
    if len(items) > MOST_BATCHED_REQUESTS:
        raise GraphError(
            400,
            "BadRequest",
            f"Number of batch request steps exceeds the maximum value of {MOST_BATCHED_REQUESTS}.",
        )
    ids = [item.get("id") for item in items]
    if not all(isinstance(i, str) and i for i in ids) or len(set(ids)) < len(ids):
        raise GraphError(400, "BadRequest", "Every batch request step needs a unique id.")
    for item in items:
        if not isinstance(item.get("method"), str) or not isinstance(item.get("url"), str):
            raise GraphError(
                400, "BadRequest", f"Batch request step '{item['id']}' needs a method and a url."
            )
        if "$batch" in item["url"]:
            raise GraphError(400, "BadRequest", "A batch cannot hold a batch.")
    return items


async def _answer_item(
    outer: GraphRequest, item: Mapping[str, Any], done: Mapping[str, Mapping[str, JsonValue]], answer: Answer
) -> dict[str, JsonValue]:
    for needed in item.get("dependsOn") or ():
        status = done.get(needed, {}).get("status")
        if not isinstance(status, int) or status >= 400:
            return _failed_dependency(str(item["id"]), needed)
    url = urlsplit(item["url"])
    headers = {**outer.headers, **{str(k).lower(): str(v) for k, v in (item.get("headers") or {}).items()}}
    body = orjson.dumps(item["body"]) if item.get("body") is not None else b""
    inner = parse_request(
        item["method"].upper(), url.path, url.query, headers, body, outer.base_url, outer.roles
    )
    response = await answer(inner)
    answered: dict[str, JsonValue] = {
        "id": str(item["id"]),
        "status": response.status,
        "headers": {**response.headers, "Content-Type": response.content_type.partition(";")[0]},
    }
    if response.body:
        answered["body"] = _embedded(response)
    return answered


def _embedded(response: GraphResponse) -> JsonValue:
    """Return a body as JSON; what an armed fault answered instead of JSON stays a
    text."""
    text = bytes(response.body).decode()
    if not response.content_type.startswith("application/json"):
        return text
    try:
        body: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return body


def _failed_dependency(item_id: str, needed: str) -> dict[str, JsonValue]:
    error: JsonValue = {
        "code": "FailedDependency",
        "message": f"The request '{needed}' it depends on failed.",
    }
    return {
        "id": item_id,
        "status": 424,
        "headers": {"Content-Type": "application/json"},
        "body": {"error": error},
    }
