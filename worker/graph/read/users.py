"""Read all users of the directory, and the soft-deleted ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import msgspec

from store.records import GraphId, Policy
from worker.graph import models, queries
from worker.graph.errors import GraphError
from worker.graph.http.client import GraphClient
from worker.graph.models import GraphPage
from worker.graph.property_file import PropertyFile
from worker.graph.read.pages import Pages
from worker.reconcile.arrays.object_ids import ObjectIds
from worker.reconcile.arrays.user_table import DIGEST_BYTES, UserTable
from worker.reconcile.digests import policy_key
from worker.reconcile.mapping.attribute_mapping import required_graph_properties, wants_manager
from worker.reconcile.snapshot import GraphUser, ListRead

INDEX_LAG = timedelta(hours=1)
"""`/users/$count` is answered by an index that lags by minutes.

Source: Graph, "Advanced queries".
"""


def user_shape(policy: Policy) -> queries.UserShape:
    """Return the properties to read: those mapped, matched, filtered by."""
    return queries.UserShape(tuple(sorted(required_graph_properties(policy))), wants_manager(policy))


async def read_users(
    graph: GraphClient, policy: Policy, progress: Callable[[int, int | None], None], ids: ObjectIds
) -> tuple[UserTable, ListRead]:
    """Read every user.

    `expected_items` of the proof is what `/users/$count` said before.
    """
    expected = await count_users(graph)
    found, decode = directory_reader(policy, ids)
    pages = Pages(graph, queries.users(graph.sdk, user_shape(policy)), decode)
    async for _ in pages:
        progress(len(found), expected)
    return found, _readable(replace(pages.proof, expected_items=expected), found)


def directory_reader(policy: Policy, ids: ObjectIds) -> tuple[UserTable, Callable[[bytes], GraphPage[None]]]:
    """Return an empty table and the decoder of pages that fills it."""
    file = PropertyFile()
    table = UserTable(ids, lambda place: models.user_properties(file.read(place)))
    return table, _collector(policy_key(policy), table, file)


def _collector(key: bytes, table: UserTable, file: PropertyFile) -> Callable[[bytes], GraphPage[None]]:
    """Return a decoder for pages of a whole directory that puts its users into a table.

    The page that it returns has only the number of users.
    """

    def decode(body: bytes) -> GraphPage[None]:
        page = models.decode_raw_users(body)
        unidentified = 0
        # Written out for speed: it runs for each user of the directory.
        for raw in page.value:
            content = bytes(raw)
            try:
                user = models.decode_listed_user(content)
            except msgspec.ValidationError:
                other = models.salvaged_user(content)
                if other is None:
                    unidentified += 1
                else:
                    table.put_other(other)
                continue
            manager = user.manager.id if user.manager else None
            digest = blake2b(content, digest_size=DIGEST_BYTES, key=key).digest()
            table.put(GraphId(user.id), user.account_enabled, manager, digest, file.keep(content))
        return page.holding([None] * (len(page.value) - unidentified), unidentified)

    return decode


NEARLY_ALL = 0.9
"""Share of the users without a state from where on it is the permission that lacks."""


def _readable(proof: ListRead, users: UserTable) -> ListRead:
    """Mark the list as unfinished if (nearly) all users are without their state."""
    unknown = sum(1 for _ in users.in_state(None))
    if proof.finished and unknown and unknown >= len(users) * NEARLY_ALL:
        detail = (
            f"{unknown} of {len(users)} users are without accountEnabled; User.Read.All makes it readable"
        )
        return replace(proof, finished=False, detail=detail)
    if proof.finished and proof.unidentified and not users:
        return replace(proof, finished=False, detail=f"no row of {proof.unidentified} has an object id")
    return proof


async def count_users(graph: GraphClient) -> int | None:
    """Return Graph's count, or None.

    The count is an additional proof, not a condition.
    """
    try:
        count = await graph.read(queries.users_count(graph.sdk), models.decode_count)
    except GraphError:
        return None
    graph.set_tenant_size(count)
    return count


@dataclass(frozen=True, slots=True)
class DeletedUsers:
    """The soft-deleted users: when each was deleted, and the identifiers of before."""

    at: dict[GraphId, datetime]
    users: dict[GraphId, GraphUser]


async def read_deleted_users(graph: GraphClient) -> tuple[DeletedUsers, ListRead]:
    """Read the soft-deleted users."""
    pages = Pages(graph, queries.deleted_users(graph.sdk), models.decode_deleted_users)
    found = [user async for users in pages for user in users]
    deleted = {GraphId(user.id): user.deleted_date_time or datetime.now(UTC) for user in found}
    return DeletedUsers(deleted, {GraphId(user.id): user.record() for user in found}), pages.proof


async def weigh_against_count(
    graph: GraphClient,
    proof: ListRead,
    users: Mapping[GraphId, GraphUser],
    deleted: Mapping[GraphId, datetime],
) -> ListRead:
    """Mark the list as unfinished if it is shorter than Graph's own count.

    Users deleted within `INDEX_LAG` may still be counted. A second count allows for
    changes during the reading.
    """
    if proof.expected_items is None or not proof.finished:
        return proof
    since = datetime.now(UTC) - INDEX_LAG
    leaving = sum(1 for graph_id, at in deleted.items() if at > since and graph_id not in users)
    listed = len(users) + proof.unidentified
    expected = proof.expected_items - leaving
    if listed < expected:
        recount = await count_users(graph)
        expected = expected if recount is None else min(expected, recount - leaving)
    if listed >= expected:
        return replace(proof, items=listed, expected_items=expected)
    detail = f"Graph counts {expected} users but listed {listed}"
    return replace(proof, finished=False, items=listed, expected_items=expected, detail=detail)
