"""OData query options of one request, read and checked as Graph does."""

import re
from dataclasses import dataclass

from simulator.graph.limits import DEFAULT_PAGE, LARGEST_EXPANDED_PAGE, LARGEST_PAGE
from simulator.graph.schema import Schema
from simulator.graph.wire import GraphError, GraphRequest, bad_request


@dataclass(frozen=True, slots=True)
class Expand:
    relation: str
    select: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Options:
    select: tuple[str, ...] | None
    top: int
    count: bool
    filter: str | None
    order_by: str | None
    expand: Expand | None
    skip_token: str | None

    @property
    def is_first_page(self) -> bool:
        return self.skip_token is None


def read_options(request: GraphRequest, schema: Schema) -> Options:
    """Read the options for a list or object of a type; refuse what v1.0 refuses."""
    query = request.query
    count = query.get("$count", "false").lower() == "true"
    options = Options(
        select=_names(query.get("$select"), schema),
        top=_page_size(query.get("$top"), is_expanded="$expand" in query),
        count=count,
        filter=query.get("$filter"),
        order_by=query.get("$orderby"),
        expand=_expand(query.get("$expand")),
        skip_token=query.get("$skiptoken"),
    )
    if "$search" in query:
        require_index(request, "$search")
        raise bad_request("This simulator has no $search; use $filter.", "Request_UnsupportedQuery")
    if count:
        require_index(request, "$count")
    return options


def require_index(request: GraphRequest, what: str) -> None:
    """Refuse an advanced query without its header: it is needed on every page (paging
    concept page).
    """
    if not request.is_advanced:
        message = (
            f"Request with {what} query parameter only works through MSGraph with a special request header: "
        )
        raise GraphError(400, "Request_UnsupportedQuery", message + "'ConsistencyLevel: eventual'")


def _page_size(text: str | None, *, is_expanded: bool) -> int:
    """Return the page size; with `$expand` a larger one is cut, not refused."""
    if text is None:
        return DEFAULT_PAGE
    if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
        raise bad_request(f"Invalid page size specified: '{text}'. Must be between 1 and 999 inclusive.")
    return min(int(text), LARGEST_EXPANDED_PAGE) if is_expanded else int(text)


def refuse_advanced_expand(request: GraphRequest) -> None:
    """Refuse `$expand` in an advanced query (aad-advanced-queries): it is not
    supported.
    """
    if request.is_advanced and "$expand" in request.query:
        message = "$expand is not supported with advanced query capabilities (ConsistencyLevel: eventual)."
        raise bad_request(message, "Request_UnsupportedQuery")


def _names(text: str | None, schema: Schema) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or names == ("*",):
        return None
    by_lower_case = {name.lower(): name for name in schema.known}
    names = tuple(by_lower_case.get(name.lower(), name) for name in names)
    schema.check(names)
    return tuple(name for name in names if name not in schema.relations)


def _expand(text: str | None) -> Expand | None:
    if not text:
        return None
    found = re.fullmatch(r"(\w+)(?:\((.*)\))?", text.strip())
    if found is None:
        raise bad_request(f"Parsing OData Select and Expand failed: '{text}'.")
    selects = re.search(r"\$select=([^;)]*)", found[2] or "")
    names = tuple(name.strip() for name in selects[1].split(",")) if selects else None
    return Expand(found[1], names)
