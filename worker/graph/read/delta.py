"""Read the changes since a delta link: users, and groups with their direct members.

A delta repeats and replays objects in no order, so the last entry of each counts. It is
not a snapshot: an object that is not mentioned has not changed. Two gaps are Graph's
own: a soft-deleted user stays in `members@delta` until purged (so the deltas of users
and groups are read together), and assignments have no delta at all.

Links live seven days. The whole link is kept, opaque, in the transaction that stores
what it led to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from store.records import GraphId, Policy
from worker.graph import models, queries
from worker.graph.errors import MalformedAnswer, ResyncRequired
from worker.graph.graph_query import GraphQuery
from worker.graph.http.client import GraphClient
from worker.graph.models import GraphPage
from worker.graph.read.pages import Pages
from worker.graph.read.users import user_shape
from worker.reconcile.snapshot import GraphGroup, GraphUser, ListRead

_GROUP = "#microsoft.graph.group"


class Removal(StrEnum):
    """`@removed.reason`, in Graph's words."""

    SOFT_DELETED = "changed"
    PURGED = "deleted"


@dataclass(frozen=True, slots=True)
class UsersDelta:
    changed: Mapping[GraphId, GraphUser]
    """With every property that was asked for and ever set, but the manager."""
    managers: Mapping[GraphId, GraphId | None]
    """Users with a new manager, or none."""
    removed: Mapping[GraphId, Removal]
    link: str | None
    """Where to go on; None where the delta was not read to its end."""
    proof: ListRead


@dataclass(frozen=True, slots=True)
class GroupsDelta:
    changed: Mapping[GraphId, GraphGroup]
    members: Mapping[GraphId, Mapping[GraphId, bool]]
    """By group: members that came (True) and members that left (False)."""
    nested: frozenset[GraphId]
    """Groups that came into a group, or left one."""
    removed: Mapping[GraphId, Removal]
    link: str | None
    proof: ListRead


async def users_link(graph: GraphClient, policy: Policy) -> str:
    """Return a link that knows everything up to now.

    It is taken *before* a full read, so that no change falls between the two. Raises a
    `GraphError`.
    """
    return await _link_from_now(graph, queries.users_delta(graph.sdk, user_shape(policy)))


async def groups_link(graph: GraphClient) -> str:
    """Return such a link for groups and their members."""
    return await _link_from_now(graph, queries.groups_delta(graph.sdk))


async def read_users_delta(graph: GraphClient, policy: Policy, link: str) -> UsersDelta:
    """Read the changes among users since `link`.

    Raises `ResyncRequired` if only a full read helps.
    """
    changed: dict[GraphId, GraphUser] = {}
    managers: dict[GraphId, GraphId | None] = {}
    removed: dict[GraphId, Removal] = {}

    def take(graph_id: GraphId, row: dict[str, Any]) -> None:
        if (removal := _removal(row)) is not None:
            removed[graph_id] = removal
            changed.pop(graph_id, None)
            managers.pop(graph_id, None)
            return
        removed.pop(graph_id, None)
        for manager, is_there in _relation(row, "manager@delta"):
            if is_there or managers.get(graph_id) in (None, manager):
                managers[graph_id] = manager if is_there else None
        row.pop("manager@delta", None)
        changed[graph_id] = models.user_from_properties(row)

    query = queries.users_delta(graph.sdk, user_shape(policy))
    proof, next_link = await _read(graph, query, link, take)
    return UsersDelta(changed, managers, removed, next_link, proof)


async def read_groups_delta(graph: GraphClient, link: str) -> GroupsDelta:
    """Read the changes among groups since `link`.

    Raises `ResyncRequired` if only a full read helps.
    """
    changed: dict[GraphId, GraphGroup] = {}
    members: dict[GraphId, dict[GraphId, bool]] = {}
    nested: set[GraphId] = set()
    removed: dict[GraphId, Removal] = {}

    def take(graph_id: GraphId, row: dict[str, Any]) -> None:
        if (removal := _removal(row)) is not None:
            removed[graph_id] = removal
            changed.pop(graph_id, None)
            members.pop(graph_id, None)
            return
        removed.pop(graph_id, None)
        members.setdefault(graph_id, {}).update(_relation(row, "members@delta"))
        nested.update(
            _id_of(item) for item in row.get("members@delta", ()) if item.get("@odata.type") == _GROUP
        )
        row.pop("members@delta", None)
        changed[graph_id] = models.group_from_properties(row)

    proof, next_link = await _read(graph, queries.groups_delta(graph.sdk), link, take)
    return GroupsDelta(changed, members, frozenset(nested), removed, next_link, proof)


async def _link_from_now(graph: GraphClient, query: GraphQuery) -> str:
    link = f"{query.url}&$deltatoken=latest"
    page = await graph.read(query.at(link), models.decode_delta)
    if not page.delta_link:
        raise MalformedAnswer(f"Graph gave no link to go on from for {query.name}.")
    return page.delta_link


async def _read(
    graph: GraphClient, query: GraphQuery, link: str, take: Callable[[GraphId, dict[str, Any]], None]
) -> tuple[ListRead, str | None]:
    def decode(body: bytes) -> GraphPage[None]:
        page = models.decode_delta(body)
        for row in page.value:
            take(_id_of(row), row)
        return GraphPage([None] * len(page.value), page.next_link, _delta_link(page), page.count)

    pages = Pages(graph, graph.follow(query, link), decode)
    async for _ in pages:
        pass
    if isinstance(pages.error, ResyncRequired):
        raise pages.error
    return pages.proof, pages.delta_link if pages.proof.finished else None


def _delta_link(page: GraphPage[dict[str, Any]]) -> str | None:
    if page.next_link is None and page.delta_link is None:
        raise msgspec.ValidationError("a last page without a link to go on from")
    return page.delta_link


def _id_of(row: dict[str, Any]) -> GraphId:
    found = row.get("id")
    if not isinstance(found, str) or not found:
        raise msgspec.ValidationError("a changed object without an id")
    return GraphId(found)


def _removal(row: dict[str, Any]) -> Removal | None:
    marker = row.get("@removed")
    if marker is None:
        return None
    try:
        return Removal(marker["reason"])
    except (ValueError, TypeError, KeyError) as error:
        raise msgspec.ValidationError("a removed object without a known reason") from error


def _relation(row: dict[str, Any], name: str) -> list[tuple[GraphId, bool]]:
    """Return the related objects: the id, and whether it is still related."""
    related = row.get(name, [])
    if not isinstance(related, list) or not all(isinstance(item, dict) for item in related):
        raise msgspec.ValidationError(f"{name} that is not a list of objects")
    return [(_id_of(item), "@removed" not in item) for item in related]
