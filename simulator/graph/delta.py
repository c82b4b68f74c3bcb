"""`/users/delta` and `/groups/delta`: the token that carries the query, and the answer
of one page.

A token knows the type, the selected properties, the filter, and where it stands: in the
first round the place of the last object given, in a later round the range of the change
feed and how many changed objects were given. It is only good for seven days, and only
while the server keeps its epoch.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from simulator.graph.call import Call
from simulator.graph.delta_rounds import Cursor, Page, Scope, changed_page, first_page
from simulator.graph.limits import DELTA_TOKEN_LIFE, MOST_DELTA_FILTER_IDS
from simulator.graph.paging import page_response, seal, unseal
from simulator.graph.query import read_options
from simulator.graph.schema import GROUP, USER, Schema
from simulator.graph.wire import GraphError, GraphResponse, bad_request

BEYOND_EVERY_OBJECT = 10**12


@dataclass(frozen=True, slots=True)
class Token:
    """What a `$skiptoken` or `$deltatoken` of a delta query holds."""

    kind: str
    select: tuple[str, ...] | None
    ids: tuple[str, ...]
    epoch: int
    issued: float
    """Seconds of the virtual clock."""
    since: int
    """Changes up to here are known to the client."""
    until: int | None = None
    """In a later round: the changes up to here belong to it. None: the round is the
    first, or has not begun."""
    is_first_round: bool = False
    cursor: Cursor = field(default_factory=Cursor)

    def seal(self) -> str:
        return seal(asdict(self))


def users_delta(call: Call) -> GraphResponse:
    return _delta(call, USER)


def groups_delta(call: Call) -> GraphResponse:
    return _delta(call, GROUP)


def _delta(call: Call, schema: Schema) -> GraphResponse:
    _refuse_options(call.request.query)
    token = _token(call, schema)
    if call.request.query.get("$deltatoken") == "latest":
        return _answer(call, schema, token, Page((), None))
    if not token.is_first_round and token.until is None:
        token = replace(token, until=call.directory.sequence)
    scope = Scope(
        call.tenant, call.request.roles, schema, token.select, frozenset(token.ids), _wants_minimal(call)
    )
    if token.cursor.page in call.tenant.behaviour.empty_pages:
        page = Page((), replace(token.cursor, page=token.cursor.page + 1))
    elif token.is_first_round:
        page = first_page(scope, token.cursor)
    else:
        page = changed_page(scope, token.since, token.until or 0, token.cursor)
    if page.next_cursor is None and call.tenant.behaviour.endless_pages:
        page = replace(page, next_cursor=Cursor(token.cursor.page + 1, after=BEYOND_EVERY_OBJECT))
    return _answer(call, schema, token, page)


def _answer(call: Call, schema: Schema, token: Token, page: Page) -> GraphResponse:
    request = call.request
    path = f"/{schema.collection}/delta"
    context = f"{request.base_url}/$metadata#{schema.collection}"
    if token.select is not None:
        context += f"({','.join(token.select)})"
    if page.next_cursor is not None:
        following = replace(token, cursor=page.next_cursor)
        link = request.link(path, {"$skiptoken": following.seal()})
        return page_response(context, page.fragments, next_link=link, cacheable=False)
    known = token.since if token.is_first_round or token.until is None else token.until
    done = replace(token, since=known, until=None, is_first_round=False, cursor=Cursor(), issued=_now(call))
    link = request.link(path, {"$deltatoken": done.seal()})
    return page_response(context, page.fragments, delta_link=link, cacheable=False)


def _token(call: Call, schema: Schema) -> Token:
    query = call.request.query
    text = query.get("$skiptoken") or query.get("$deltatoken")
    if text and text != "latest":
        return _received(call, schema, unseal(text))
    select = read_options(call.request, schema).select
    relations = _selected_relations(query.get("$select", ""), schema)
    tracked = (
        None if select is None and not relations else tuple(dict.fromkeys((*(select or ()), *relations)))
    )
    if tracked is not None:
        schema.check_trackable(tracked)
    return Token(
        kind=schema.name,
        select=tracked,
        ids=_filter_ids(query.get("$filter")),
        epoch=call.tenant.behaviour.delta_epoch,
        issued=_now(call),
        since=call.directory.sequence,
        is_first_round=query.get("$deltatoken") != "latest",
    )


def _received(call: Call, schema: Schema, state: Mapping[str, object]) -> Token:
    values = dict(state)
    values["cursor"] = Cursor(**values.get("cursor", {}))  # type: ignore[arg-type]  # sealed by us
    values["ids"] = tuple(values["ids"])  # type: ignore[arg-type]
    values["select"] = None if values["select"] is None else tuple(values["select"])  # type: ignore[arg-type]
    token = Token(**values)  # type: ignore[arg-type]
    if token.kind != schema.name:
        raise bad_request("The token in the request belongs to another resource: badToken.")
    resync = {"Location": call.request.link(f"/{schema.collection}/delta", {"$deltatoken": ""})}
    if token.epoch != call.tenant.behaviour.delta_epoch:
        message = "Resync required. Replace any local items with the server's version."
        raise GraphError(410, "resyncRequired", message, resync)
    if datetime.fromtimestamp(token.issued, UTC) + DELTA_TOKEN_LIFE < call.directory.clock.now():
        raise GraphError(410, "syncStateNotFound", "The sync state generation is not found.", resync)
    return token


def _now(call: Call) -> float:
    return call.directory.clock.now().timestamp()


def _selected_relations(text: str, schema: Schema) -> tuple[str, ...]:
    names = {name.strip() for name in text.split(",")}
    return tuple(sorted(names & schema.relations & {"manager", "members"}))


def _refuse_options(query: Mapping[str, str]) -> None:
    for option in ("$expand", "$top", "$orderby", "$search"):
        if option in query:
            raise bad_request(f"{option} is not supported in a delta query.", "Request_UnsupportedQuery")


def _filter_ids(text: str | None) -> tuple[str, ...]:
    """Read the only filter delta has: up to 50 times `id eq '...'` with `or`
    between."""
    if not text:
        return ()
    ids = re.findall(r"id eq '([^']+)'", text)
    if (
        not re.fullmatch(r"\s*id eq '[^']+'(\s+or\s+id eq '[^']+')*\s*", text)
        or len(ids) > MOST_DELTA_FILTER_IDS
    ):
        message = (
            f"A delta query takes only a filter of up to {MOST_DELTA_FILTER_IDS} ids: id eq 'a' or id eq 'b'."
        )
        raise bad_request(message, "Request_UnsupportedQuery")
    return tuple(ids)


def _wants_minimal(call: Call) -> bool:
    return "return=minimal" in call.request.headers.get("prefer", "").replace(" ", "")
