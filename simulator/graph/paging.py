"""Lists in pages: a cursor that survives changes between two pages, the envelope with
its links, and opaque tokens (`$skiptoken`, `$deltatoken`) that hold the state of a
query.
"""

import base64
import binascii
import bisect
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import orjson

from simulator.graph.call import Call
from simulator.graph.filters import parse_filter
from simulator.graph.query import Options, require_index
from simulator.graph.wire import Body, GraphResponse, bad_request
from simulator.objects import JsonValue

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """What a list request is about, in its natural order."""

    keys: Sequence[int]
    """One growing number per item: the cursor is the last one given, so no item is
    skipped when others vanish."""
    items: Sequence[Item]
    properties: Callable[[Item], Mapping[str, JsonValue]]
    """What `$filter` and `$orderby` see."""
    render: Callable[[Item], bytes]
    context: str


def list_response(call: Call, options: Options, listing: Listing[Item]) -> GraphResponse:
    """Answer one page: filter, order, cut, link to the next."""
    keys, items = _narrowed(call, options, listing)
    state = unseal(options.skip_token) if options.skip_token else {}
    page = int(str(state.get("page", 1)))
    start = bisect.bisect_right(keys, int(str(state.get("after", -1))))
    behaviour = call.tenant.behaviour
    take = min(options.top, behaviour.largest_page or options.top)
    take = 0 if page in behaviour.empty_pages else take
    end = min(start + take, len(keys))
    after = keys[end - 1] if end else -1
    has_next = end < len(keys) or behaviour.endless_pages
    next_token = seal({"after": after, "page": page + 1}) if has_next else None
    counted = options.count and options.is_first_page
    return page_response(
        context=f"{call.request.base_url}/$metadata#{listing.context}",
        count=max(0, len(keys) + behaviour.count_error) if counted else None,
        next_link=_next_link(call, next_token),
        fragments=map(listing.render, items[start:end]),
    )


def count_response(call: Call, options: Options, listing: Listing[Item]) -> GraphResponse:
    """Answer a `/$count` segment: a bare number, only with the index's header."""
    if not call.request.is_advanced:
        raise bad_request("$count is not currently supported.")
    keys, _ = _narrowed(call, options, listing)
    count = max(0, len(keys) + call.tenant.behaviour.count_error)
    return GraphResponse(200, str(count).encode(), content_type="text/plain", cacheable=True)


def page_response(
    context: str,
    fragments: Iterable[bytes],
    *,
    count: int | None = None,
    next_link: str | None = None,
    delta_link: str | None = None,
    cacheable: bool = True,
) -> GraphResponse:
    """Put rendered objects into Graph's envelope."""
    head: dict[str, JsonValue] = {"@odata.context": context}
    if count is not None:
        head["@odata.count"] = count
    if next_link is not None:
        head["@odata.nextLink"] = next_link
    if delta_link is not None:
        head["@odata.deltaLink"] = delta_link
    body = orjson.dumps(head)[:-1] + b',"value":[' + b",".join(fragments) + b"]}"
    return GraphResponse(200, Body(body), cacheable=cacheable)


def plain_list(call: Call, context: str, documents: Iterable[Mapping[str, JsonValue]]) -> GraphResponse:
    """Answer a short list whole."""
    fragments = [orjson.dumps(document) for document in documents]
    return page_response(f"{call.request.base_url}/$metadata#{context}", fragments)


def _next_link(call: Call, token: str | None) -> str | None:
    if token is None:
        return None
    query = {name: value for name, value in call.request.query.items() if name != "$skiptoken"}
    return call.request.link(call.request.spelling, {**query, "$skiptoken": token})


def _narrowed(call: Call, options: Options, listing: Listing[Item]) -> tuple[Sequence[int], Sequence[Item]]:
    keys, items = listing.keys, listing.items
    if options.filter is not None:
        wanted = parse_filter(options.filter, is_by_index=call.request.is_advanced)
        if wanted.is_advanced:
            require_index(call.request, "$filter")
        kept = [place for place, item in enumerate(items) if wanted.matches(listing.properties(item))]
        keys, items = [keys[place] for place in kept], [items[place] for place in kept]
    if options.order_by is None:
        return keys, items
    ordered = _ordered(items, options.order_by, listing.properties)
    return range(len(ordered)), ordered


def _ordered(
    items: Sequence[Item], order_by: str, properties: Callable[[Item], Mapping[str, JsonValue]]
) -> Sequence[Item]:
    name, _, direction = order_by.strip().partition(" ")
    if not name.isidentifier() or direction.strip().lower() not in {"", "asc", "desc"}:
        raise bad_request(f"Invalid $orderby clause '{order_by}'.")

    def key(item: Item) -> tuple[bool, str]:
        value = properties(item).get(name)
        return value is not None, str(value).lower()

    return sorted(items, key=key, reverse=direction.strip().lower() == "desc")


def seal(state: Mapping[str, JsonValue]) -> str:
    """Pack a query's state into one word without meaning to the client."""
    body = orjson.dumps(dict(state), option=orjson.OPT_SORT_KEYS)
    return base64.urlsafe_b64encode(_mark(body) + body).decode().rstrip("=")


def unseal(token: str) -> Mapping[str, JsonValue]:
    """Unpack a token; a foreign or damaged one is Graph's 400."""
    try:
        packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        packed = b""
    if len(packed) <= 6 or _mark(packed[6:]) != packed[:6]:
        raise bad_request("The token in the request is invalid: badToken.")
    state: Mapping[str, JsonValue] = orjson.loads(packed[6:])
    return state


def _mark(body: bytes) -> bytes:
    return hashlib.sha256(b"simulator token" + body).digest()[:6]
