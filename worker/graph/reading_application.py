"""The application: found by its appId, its assignments in full, and the canary that shows reading works."""

from __future__ import annotations

from collections.abc import Sequence

from store.records import Connection, GraphId
from worker.graph import queries, wire
from worker.graph.client import GraphClient, decoded
from worker.graph.errors import ApplicationNotFound, GraphError, NotFound
from worker.graph.pages import Pages
from worker.graph.wire import AppRoleAssignment, ServicePrincipal
from worker.reconcile.snapshot import ListRead


async def read_application(graph: GraphClient, connection: Connection) -> ServicePrincipal:
    """The application whose assignments count. Raises `ApplicationNotFound`, or any `GraphError`."""
    app_id = connection.app_id or connection.client_id or ""
    try:
        return await graph.read(
            queries.service_principal_of_app(graph.sdk, app_id), wire.decode_service_principal
        )
    except NotFound as error:
        raise ApplicationNotFound(
            f"The directory has no enterprise application with the application (client) id {app_id}.",
            "Check the connection's app id (Enterprise applications > Properties > Application ID), and that "
            "the application was added to this directory.",
        ) from error


async def read_assignments(
    graph: GraphClient, service_principal_id: str
) -> tuple[list[AppRoleAssignment], ListRead]:
    """All of `appRoleAssignedTo`; there is no delta for it."""
    pages = Pages(graph, queries.assignments(graph.sdk, service_principal_id), wire.decode_assignments)
    found = [row async for rows in pages for row in rows]
    return found, pages.proof


async def read_canary(graph: GraphClient, service_principal_id: str, people: Sequence[GraphId]) -> bool:
    """Reads by themselves objects that should exist: the application, and one of `people` (any will do)."""
    asked = [queries.service_principal(graph.sdk, service_principal_id)]
    asked += [queries.user(graph.sdk, person, queries.STATE_ONLY) for person in people]
    application, *users = await graph.batch(asked)
    try:
        if isinstance(application, GraphError):
            return False
        decoded(wire.decode_service_principal, application, "the application")
        return not users or any(_is_user(answer) for answer in users)
    except GraphError:
        return False


def _is_user(answer: bytes | GraphError) -> bool:
    return not isinstance(answer, GraphError) and bool(decoded(wire.decode_user_state, answer, "a user").id)
