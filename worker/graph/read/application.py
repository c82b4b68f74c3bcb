"""Read the application: permissions for it, assignments to it, and the canary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from store.records import Connection, GraphId
from worker.graph import models, queries
from worker.graph.errors import ApplicationNotFound, ConsentMissing, GraphError, NotFound
from worker.graph.http.client import GraphClient, decoded
from worker.graph.models import AppRoleAssignment, ServicePrincipal
from worker.graph.queries import READ_APPLICATIONS, READ_MEMBERS, READ_USERS
from worker.graph.read.pages import Pages
from worker.reconcile.snapshot import ListRead

_DIRECTORY = frozenset({"Directory.Read.All", "Directory.ReadWrite.All"})

_ENOUGH: Mapping[str, frozenset[str]] = {
    READ_APPLICATIONS: _DIRECTORY
    | {"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"},
    READ_MEMBERS: _DIRECTORY
    | {"GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All"},
    READ_USERS: _DIRECTORY | {"User.Read.All", "User.ReadWrite.All"},
}
"""Least permission -> everything that includes it (Graph permissions reference)."""


def missing_roles(roles: frozenset[str]) -> frozenset[str]:
    """Return the least permissions that no role of the token grants."""
    return frozenset(least for least, enough in _ENOUGH.items() if not enough & roles)


async def may_read_directory(graph: GraphClient) -> bool:
    """Return whether the token has what `/users/{id}/appRoleAssignments` takes: a
    refusal is then a fault of the moment, and no lack of a permission.
    """
    return bool(_DIRECTORY & await graph.token_roles())


async def granted_roles(graph: GraphClient) -> frozenset[str]:
    """Return the permissions in the token.

    Raises `ConsentMissing` if one that reading takes is not among them. Called before
    anything is read: Graph would answer some lists and refuse others, and no answer
    would say which permission is missing.
    """
    roles = await graph.token_roles()
    missing = sorted(missing_roles(roles))
    if missing:
        names = ", ".join(missing)
        raise ConsentMissing(f"The token lacks {names}: nothing was read, and nobody was touched.", names)
    return roles


async def read_application(graph: GraphClient, connection: Connection) -> ServicePrincipal:
    """Return the application whose assignments count.

    Raises `ApplicationNotFound`, or any `GraphError`.
    """
    app_id = connection.app_id or connection.client_id or ""
    try:
        return await graph.read(
            queries.service_principal_of_app(graph.sdk, app_id), models.decode_service_principal
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
    """Read all of `appRoleAssignedTo`; there is no delta for it."""
    pages = Pages(graph, queries.assignments(graph.sdk, service_principal_id), models.decode_assignments)
    found = [row async for rows in pages for row in rows]
    proof = pages.proof
    if proof.finished and proof.unidentified and not found:
        proof = replace(proof, finished=False, detail=f"no row of {proof.unidentified} has a principalId")
    return found, proof


async def read_canary(graph: GraphClient, service_principal_id: str, people: Sequence[GraphId]) -> bool:
    """Return whether objects that should exist can be read one by one.

    These are the application and one of `people` (any of them will do).
    """
    asked = [queries.service_principal(graph.sdk, service_principal_id)]
    asked += [queries.user(graph.sdk, person, queries.STATE_ONLY) for person in people]
    application, *users = await graph.batch(asked)
    try:
        if isinstance(application, GraphError):
            return False
        decoded(models.decode_service_principal, application, "the application")
        return not users or any(_is_user(answer) for answer in users)
    except GraphError:
        return False


def _is_user(answer: bytes | GraphError) -> bool:
    return not isinstance(answer, GraphError) and bool(decoded(models.decode_user_state, answer, "a user").id)


# The end of the client secret: the app registration shows it to apps that may read
# applications.
#
# Graph never shows a secret, only its first three characters (`hint`) and its end
# (Graph, "passwordCredential"). An app that is registered in another directory is not
# found; then an admin's entry is the only source.

HINT_LENGTH = 3


async def read_end_of_secret(graph: GraphClient, client_id: str, secret: str) -> datetime | None:
    """Return the earliest end among the app's secrets that begin like this one.

    None if Graph does not say.
    """
    try:
        registered = await graph.read(
            queries.own_registration(graph.sdk, client_id), models.decode_registration
        )
    except GraphError:  # knowing is a convenience: a cycle does not fail for it
        return None
    hint = secret[:HINT_LENGTH]
    ends = [each.end_date_time for each in registered.password_credentials if each.hint == hint]
    return min((end for end in ends if end is not None), default=None)
