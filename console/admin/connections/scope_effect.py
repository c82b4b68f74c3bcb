"""What a change of scope would do, in numbers, before it is made.

Microsoft Graph is read once more and judged by both policies; nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from console.admin.actor import Actor
from console.admin.connections.policy import SCOPE_SETTINGS, changed_policy, check_policy
from console.admin.connections.settings import ConnectionChanges, check_app_id
from console.admin.references import find_connection
from console.admin.services import Services
from store.records import Connection, MembershipMode, Policy
from worker.errors import WorkerError
from worker.services import build_services

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient
    from worker.reconcile.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ScopeEffect:
    """How many people are entitled now, and how many would be then."""

    now: int | None
    then: int | None
    gain: int = 0
    lose: int = 0
    why_unknown: str = ""
    """Why Graph could not be read; empty where it was."""


async def scope_effect(
    services: Services, actor: Actor, connection: str, changes: ConnectionChanges
) -> ScopeEffect | None:
    """Return what the changes would do to who counts; None where they change nothing of
    it.

    Raises `UnknownReference`, `InvalidObjectId`, `ValueOutOfRange`, `InvalidPolicy`.
    """
    check_policy(changes.policy)
    check_app_id(changes.app_id)
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
    then = replace(
        found,
        policy=changed_policy(found.policy, changes.policy),
        app_id=changes.app_id or found.app_id,
    )
    if not SCOPE_SETTINGS & set(changes.names()) or (then.policy, then.app_id) == (
        found.policy,
        found.app_id,
    ):
        return None
    if changes.credential is not None:
        return ScopeEffect(None, None, why_unknown="the new credential is not stored yet.")
    try:
        async with build_services(services.settings, services.db).open_graph(found) as graph:
            return await _compare(graph, found, then)
    except WorkerError as error:
        return ScopeEffect(None, None, why_unknown=str(error))


async def _compare(graph: GraphClient, now: Connection, then: Connection) -> ScopeEffect:
    from worker.reconcile.completeness import gaps
    from worker.reconcile.entitlement import entitlement_of

    snapshot = await _read(graph, now, then.policy)
    before = entitlement_of(snapshot, now.policy)
    if then.app_id != now.app_id:
        snapshot = await _read(graph, then, now.policy)
    after = entitlement_of(snapshot, then.policy)
    for each in (before, after):
        if not each.is_whole:
            return ScopeEffect(None, None, why_unknown=gaps(each.snapshot, then.policy.scope)[0])
    gained, lost = after.entitled - before.entitled, before.entitled - after.entitled
    return ScopeEffect(len(before.entitled), len(after.entitled), len(gained), len(lost))


async def _read(graph: GraphClient, connection: Connection, other: Policy) -> Snapshot:
    from worker.graph.read.snapshot import read_snapshot

    return await read_snapshot(graph, replace(connection, policy=_reading(connection.policy, other)))


def _reading(policy: Policy, other: Policy) -> Policy:
    """Return a policy under which everything is read that either of two asks for."""
    is_nested = MembershipMode.TRANSITIVE in (policy.membership, other.membership)
    return replace(
        policy,
        membership=MembershipMode.TRANSITIVE if is_nested else policy.membership,
        scoping_filters=policy.scoping_filters + other.scoping_filters,
    )
