"""Find a few users and groups by the beginning of a name, for a person who types it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from store.records import GraphId
from worker.graph import models, queries
from worker.graph.graph_query import GraphQuery
from worker.graph.http.client import GraphClient
from worker.graph.url_templates import url_of

MOST = 10
FEWEST_CHARACTERS = 2
_NAMES = ("displayName", "userPrincipalName", "mail")
_SHAPE = queries.UserShape(("id", "accountEnabled", "displayName", "userPrincipalName"), with_manager=False)


@dataclass(frozen=True, slots=True)
class NamedUser:
    """A user of the directory as a person knows them."""

    id: GraphId
    display_name: str
    user_name: str
    is_enabled: bool | None
    """None where Graph does not say."""


async def users_beginning_with(graph: GraphClient, text: str) -> Sequence[NamedUser]:
    """Return up to `MOST` users, by one request. Raises a `GraphError`."""
    tests = " or ".join(f"startswith({name},{queries.quoted(text)})" for name in _NAMES)
    query = queries.users(graph.sdk, _SHAPE, top=MOST)
    query = replace(query, url=f"{query.url}&$filter={quote(tests)}", name="users by the beginning of a name")
    page = await graph.read(query, models.decode_users)
    return [
        NamedUser(
            user.id,
            str(user.properties.get("displayName") or ""),
            str(user.properties.get("userPrincipalName") or user.id),
            user.account_enabled,
        )
        for user in page.value[:MOST]
    ]


@dataclass(frozen=True, slots=True)
class NamedGroup:
    """A group of the directory as a person knows it."""

    id: GraphId
    display_name: str


async def groups_beginning_with(graph: GraphClient, text: str) -> Sequence[NamedGroup]:
    """Return up to `MOST` groups, by one request. Raises a `GraphError`."""
    builder = graph.sdk.groups
    parameters = builder.GroupsRequestBuilderGetQueryParameters(
        filter=f"startswith(displayName,{queries.quoted(text)})", select=["id", "displayName"], top=MOST
    )
    query = GraphQuery(url_of(builder, parameters), "groups by the beginning of a name", queries.READ_MEMBERS)
    page = await graph.read(query, models.decode_groups)
    return [NamedGroup(group.id, group.display_name or group.id) for group in page.value[:MOST]]
