"""Tell which assigned groups keep their members from this token.

Members of a group with `visibility: HiddenMembership`, and the group in `memberOf` of
its members, are left out with status 200 unless the token has `Member.Read.Hidden`;
`Directory.Read.All` is not enough (Graph, "List group members"). Nothing follows from
such an answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from store.records import GraphId
from worker.graph import models, queries
from worker.graph.errors import GraphError, NotFound
from worker.graph.graph_query import ANY_OBJECT
from worker.graph.http.client import MAX_BATCH, GraphClient, decoded
from worker.graph.models import ObjectKind
from worker.graph.read.pages import Pages, for_each_chunk

READ_HIDDEN = "Member.Read.Hidden"
REMEDY = (
    f"Grant the application permission {READ_HIDDEN} in Entra (App registrations > API permissions > "
    "Microsoft Graph) and give admin consent."
)
MAY_BE_HIDDEN = (
    "The person may be a member of an assigned group whose members are hidden (visibility HiddenMembership); "
    f"the token lacks {READ_HIDDEN}."
)


async def may_read_hidden(graph: GraphClient) -> bool:
    """Return whether the token shows the members of every group."""
    return READ_HIDDEN in await graph.token_roles()


def why_unreadable(group_id: GraphId, name: str) -> str:
    """Return what the admin is told of such a group."""
    called = f"{name} ({group_id})" if name else group_id
    return (
        f"The members of the group {called} are hidden (visibility HiddenMembership), and the token lacks "
        f"{READ_HIDDEN}: nobody is removed through this group, and nobody who might have access through it "
        f"is disabled for lack of an assignment. {REMEDY}"
    )


async def groups_with_hidden_members(
    graph: GraphClient, group_ids: Collection[GraphId], *, transitive: bool
) -> frozenset[GraphId]:
    """Return the assigned groups not all of whose members this token sees.

    With `transitive` a nested group that hides its members hides them here too.
    """
    if await may_read_hidden(graph):
        return frozenset()
    hiding = await groups_hiding_members(graph, group_ids)
    if not transitive:
        return hiding
    nested = {group: await _nested_groups(graph, group) for group in sorted(group_ids)}
    inside = await groups_hiding_members(graph, frozenset[GraphId]().union(*nested.values()))
    return hiding | {group for group, held in nested.items() if held & inside}


async def _nested_groups(graph: GraphClient, group_id: GraphId) -> frozenset[GraphId]:
    pages = Pages(graph, queries.transitive_members(graph.sdk, group_id), models.decode_objects)
    return frozenset([each.id async for page in pages for each in page if each.kind is ObjectKind.GROUP])


async def groups_hiding_members(graph: GraphClient, group_ids: Collection[GraphId]) -> frozenset[GraphId]:
    """Return the groups with the visibility that hides members.

    A group that could not be read may be one of them; one that does not exist is not.
    """
    of_any = queries.group_visibility(graph.sdk, ANY_OBJECT)
    hiding: set[GraphId] = set()

    async def ask(some: Sequence[GraphId]) -> None:
        asked = [of_any.about(group_id) for group_id in some]
        for group_id, answer in zip(some, await graph.batch(asked), strict=True):
            if hides_members(answer):
                hiding.add(group_id)

    await for_each_chunk(sorted(group_ids), MAX_BATCH, ask)
    return frozenset(hiding)


def hides_members(answer: bytes | GraphError) -> bool:
    """Return whether an answer about a group may be of one that hides its members."""
    if isinstance(answer, NotFound):
        return False
    try:
        return isinstance(answer, GraphError) or _group_of(answer).hides_members
    except GraphError:
        return True


def _group_of(body: bytes) -> models.MemberGroup:
    return decoded(models.decode_member_group, body, "a group")
