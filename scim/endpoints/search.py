"""Search resources: GET /Users, GET /Groups, GET /, and POST …/.search.

RFC 7644 §3.4.2 and §3.4.3, RFC 9865.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct, structs
from scim2_models import InvalidFilterException, InvalidSyntaxException, InvalidValueException
from scim2_server.cursor import Cursors

from scim.auth.request_rate import answer_cost, scan_cost
from scim.endpoints import groups
from scim.endpoints.match_queries import is_match_query, newly_matched_user, note_match
from scim.endpoints.projection import Projection, read_projection
from scim.endpoints.representation import group_resource, group_value, user_resource
from scim.limits import ScimLimits, setting_of
from scim.request import ScimRequest, ScimResponse
from scim.schema.definitions import Shape
from scim.schema.filters import criterion_of as meaning_of
from scim.schema.filters import parse, read_filter, read_order
from store.directory import memberships
from store.directory.listing import count_rows
from store.records import Group, ShownUser
from store.search import query as search
from store.search.combined import users_and_groups
from store.search.criteria import (
    Constant,
    Criterion,
    Position,
    SearchQuery,
    comparisons,
    reads_every_row,
)
from store.search.query import SearchPage

LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
FURTHEST = 2**31
SHOWN_IN_ONE_GO = 50
"""Resources of a page that are written before other requests have their turn."""
SECTIONS = {"User": "admin:user", "Group": "admin:group"}


class SearchParameters(Struct, frozen=True):
    """The parameters of a search, from a query string or from the body of POST
    …/.search.
    """

    filter: str | None = None
    sort_by: str | None = None
    sort_order: str | None = None
    start_index: int = 1
    count: int | None = None
    cursor: str | None = None
    attributes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    scope: str = ""
    """What is searched: the endpoint of one resource type, or empty for all of them."""

    owner: tuple[str, str] = ("", "")
    """The connection and the token that ask."""

    def query_key(self) -> str:
        """Return the key a cursor is bound to: who asks, and all parameters except the
        position.
        """
        parts = [
            *self.owner,
            self.scope,
            self.filter,
            self.sort_by,
            self.sort_order,
            *self.attributes,
            "-",
            *self.excluded,
        ]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]


def read_query(query: Mapping[str, str]) -> SearchParameters:
    """Read the query parameters of a GET; unknown ones, such as Entra's flag, are
    ignored.
    """
    return SearchParameters(
        filter=query.get("filter") or None,
        sort_by=query.get("sortBy") or None,
        sort_order=query.get("sortOrder"),
        start_index=_integer("startIndex", query.get("startIndex"), 1),
        count=_integer("count", query.get("count"), None),
        cursor=query.get("cursor"),
        attributes=tuple(query.get("attributes", "").split(",")),
        excluded=tuple(query.get("excludedAttributes", "").split(",")),
    )


def read_search_request(body: Any) -> SearchParameters:
    """Read the body of POST …/.search."""
    if not isinstance(body, Mapping):
        raise InvalidSyntaxException(detail="The body of a search must be a JSON object.")
    entry = {key.lower(): value for key, value in body.items() if value is not None}
    return SearchParameters(
        filter=_text(entry, "filter"),
        sort_by=_text(entry, "sortBy"),
        sort_order=_text(entry, "sortOrder"),
        start_index=_integer("startIndex", entry.get("startindex"), 1),
        count=_integer("count", entry.get("count"), None),
        cursor=_text(entry, "cursor", empty=True),
        attributes=_names(entry, "attributes"),
        excluded=_names(entry, "excludedAttributes"),
    )


async def listing(
    request: ScimRequest, shapes: Sequence[Shape], asked: SearchParameters, cursors: Cursors
) -> ScimResponse:
    """Answer a search over one resource type, or over all of them at the root."""
    token = request.principal.token
    asked = structs.replace(
        asked,
        scope=shapes[0].endpoint if len(shapes) == 1 else "",
        owner=(token.connection_id, token.id),
    )
    readable = [each for each in shapes if request.principal.may(SECTIONS[each.name], "read")]
    if not readable and not _finds_nothing(request, asked):
        request.principal.require(SECTIONS[shapes[0].name], "read")
    async with request.load.large_page(token.tenant_id, request.limits, _page_size(request.limits, asked)):
        return await _answered(request, shapes, readable, asked, cursors)


async def _answered(
    request: ScimRequest,
    shapes: Sequence[Shape],
    readable: Sequence[Shape],
    asked: SearchParameters,
    cursors: Cursors,
) -> ScimResponse:
    query, page = await _search(request, shapes, readable, asked, cursors)
    if (found := newly_matched_user(query, page)) is not None:
        await note_match(request, found)
    envelope: dict[str, Any] = {
        "schemas": [LIST_URN],
        "totalResults": page.total,
        "itemsPerPage": len(page.items),
    }
    if asked.cursor is None:
        envelope["startIndex"] = max(asked.start_index, 1)  # less "SHALL be interpreted as 1" (§3.4.2.4)
    else:
        envelope |= _cursors(page, asked, query, cursors)
    projections = {each.name: read_projection(each, asked.attributes, asked.excluded) for each in shapes}
    return await _answer(request, envelope, page.items, projections)


def _finds_nothing(request: ScimRequest, asked: SearchParameters) -> bool:
    """Whether a search for an unreadable resource type is answered with an empty list.

    It is for a token that may read the other type. Test Connection probes both users
    and groups, and takes a 403 for wrong credentials (captured in June 2026); a token
    for users alone is one of the ways to set Entra up. A later write is refused, with
    the permission it lacks.
    """
    return asked.filter is not None and any(request.principal.may(each, "read") for each in SECTIONS.values())


async def _search(
    request: ScimRequest,
    shapes: Sequence[Shape],
    readable: Sequence[Shape],
    asked: SearchParameters,
    cursors: Cursors,
) -> tuple[SearchQuery, SearchPage[Any]]:
    """Find one page of the resource types; those the token may not read give no
    results.
    """
    connection = request.principal.connection
    several = len(shapes) > 1
    queries = {each.name: _query(request, each, asked, cursors, several=several) for each in shapes}
    for name in queries.keys() - {each.name for each in readable}:
        queries[name] = structs.replace(queries[name], criterion=Constant(False))
    judging = {name: comparisons(query) for name, query in queries.items() if reads_every_row(query)}
    if judging:
        _require_few(request.limits, queries)
        async with request.load.large_request(connection.tenant_id, request.limits):
            rows = await _rows_of(request)
            request.charge(sum(scan_cost(rows.get(name, 0), times) for name, times in judging.items()))
            query, page = await _find(request, queries)
    else:
        query, page = await _find(request, queries)
    request.charge(answer_cost(len(page.items)))
    return query, page


def _require_few(limits: ScimLimits, queries: Mapping[str, SearchQuery]) -> None:
    """Raise InvalidFilterException for a filter that costs each row too much."""
    unsorted = (structs.replace(query, order=None) for query in queries.values())
    if any(reads_every_row(each) and comparisons(each) > limits.max_scan_terms for each in unsorted):
        raise InvalidFilterException(
            detail=f"The filter has more than {limits.max_scan_terms} comparisons, and no index answers it: ask in "
            "several requests, by userName, externalId, displayName or id where you can, or have the operator of "
            f"Leaver raise {setting_of('max_scan_terms')}."
        )


async def _rows_of(request: ScimRequest) -> Mapping[str, int]:
    """Return how many rows there are of each resource type, as of a minute ago."""
    connection = request.principal.connection
    known = request.load.known_rows(connection.id)
    if known is None:
        async with request.db.reading() as reading:
            known = await count_rows(reading, connection.tenant_id, connection.id)
        request.load.note_rows(connection.id, known)
    return known


async def _find(
    request: ScimRequest, queries: Mapping[str, SearchQuery]
) -> tuple[SearchQuery, SearchPage[Any]]:
    connection, several = request.principal.connection, len(queries) > 1
    single_statement = not several and all(map(search.is_single_statement, queries.values()))
    async with request.db.reading(single_statement=single_statement) as reading:
        if several:
            users, groups = queries["User"], queries["Group"]
            page: SearchPage[Any] = await users_and_groups(
                reading, connection.tenant_id, connection.id, users, groups
            )
            return structs.replace(users, order=users.order or groups.order), page
        [(name, query)] = queries.items()
        find = search.users if name == "User" else search.groups
        return query, await find(reading, connection.tenant_id, connection.id, query)


def _query(
    request: ScimRequest, shape: Shape, asked: SearchParameters, cursors: Cursors, *, several: bool
) -> SearchQuery:
    """Read the query for one resource type.

    In a search over several types, attributes that the type lacks match nothing.
    """
    limits = request.limits
    criterion = _criterion(request, shape, asked.filter, several=several) if asked.filter else None
    query = SearchQuery(
        criterion,
        read_order(shape, asked.sort_by, asked.sort_order) if asked.sort_by else None,
        offset=max(asked.start_index, 1) - 1,
        limit=_page_size(limits, asked),
        is_match=shape.name == "User" and is_match_query(criterion),
    )
    if asked.cursor is None:
        return query
    query = structs.replace(query, offset=0)
    if not asked.cursor:
        return query
    sealed = cursors.open(asked.cursor, asked.query_key(), query.limit, limits.cursor_timeout_s)
    return structs.replace(query, position=Position(*sealed))


def _page_size(limits: ScimLimits, asked: SearchParameters) -> int:
    count = limits.default_page_size if asked.count is None else asked.count
    return min(max(count, 0), limits.max_page_size)


def _criterion(request: ScimRequest, shape: Shape, expression: str, *, several: bool) -> Criterion:
    if not several:
        return read_filter(shape, expression, request.limits)
    return meaning_of(shape, parse(expression, request.limits), undeclared=Constant(False))


def _cursors(
    page: SearchPage[Any], asked: SearchParameters, query: SearchQuery, cursors: Cursors
) -> dict[str, str]:
    """Seal the positions of the next and previous page against reading and forging."""
    places = {"nextCursor": page.next, "previousCursor": page.previous}
    return {
        name: cursors.seal(
            asked.query_key(), query.limit, [place.value, place.seq, place.backward, place.part]
        )
        for name, place in places.items()
        if place is not None
    }


async def _answer(
    request: ScimRequest,
    envelope: dict[str, Any],
    items: Sequence[ShownUser | Group],
    projections: Mapping[str, Projection],
) -> ScimResponse:
    with_members = "Group" in projections and projections["Group"].wants("members")
    if with_members and any(isinstance(each, Group) for each in items):
        return ScimResponse(200, _written(request, envelope, items, projections))
    resources = []
    for number, each in enumerate(items):
        if number % SHOWN_IN_ONE_GO == SHOWN_IN_ONE_GO - 1:
            await asyncio.sleep(0)  # other requests go on
        resources.append(await _resource(request, each, projections))
    return ScimResponse(200, {**envelope, "Resources": resources})


async def _resource(
    request: ScimRequest, item: ShownUser | Group, projections: Mapping[str, Projection]
) -> dict[str, Any]:
    base = request.principal.base
    if isinstance(item, Group):
        return group_resource(item, base, projections["Group"])
    resource = user_resource(item, base, projections["User"])
    if projections["User"].asks_for("groups"):
        async with request.db.reading() as connection:
            found = await memberships.of_member(connection, item.tenant_id, item.id)
        resource["groups"] = [group_value(each, base) for each in found]
    return resource


async def _written(
    request: ScimRequest,
    envelope: dict[str, Any],
    items: Sequence[ShownUser | Group],
    projections: Mapping[str, Projection],
) -> AsyncIterator[bytes]:
    """Write a list of groups with their members, which may be many."""
    yield orjson.dumps(envelope)[:-1] + b',"Resources":['
    for number, item in enumerate(items):
        if number:
            yield b","
        if isinstance(item, Group):
            async for piece in groups.written(request, item, projections["Group"]):
                yield piece
        else:
            yield orjson.dumps(await _resource(request, item, projections))
    yield b"]}"


def _integer(name: str, value: Any, default: Any) -> Any:
    if value is None or value == "":
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = FURTHEST
    if not -FURTHEST < number < FURTHEST:
        raise InvalidValueException(detail=f"'{name}' must be an integer of at most 31 bits.")
    return number


def _text(entry: Mapping[str, Any], name: str, *, empty: bool = False) -> str | None:
    value = entry.get(name.lower())
    if value is None or (value == "" and not empty):
        return None
    if not isinstance(value, str):
        raise InvalidValueException(detail=f"'{name}' must be a string.")
    return value


def _names(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = entry.get(name.lower(), [])
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise InvalidValueException(detail=f"'{name}' must be a list of attribute names.")
    return tuple(names)
