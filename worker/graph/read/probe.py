"""Can this connection read what it needs? Step by step, each with its remedy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from store.records import Connection
from worker.graph import models, queries
from worker.graph.auth.credentials import Credential
from worker.graph.errors import GraphError, GraphNeedsHuman, GraphTryAgain
from worker.graph.http.client import GraphClient, open_graph
from worker.graph.http.retry import RetryPolicy
from worker.graph.read.application import missing_roles, read_application, read_assignments

_IMPATIENT = RetryPolicy(attempts=2, total_s=15.0, answer_within_s=30.0)
"""A person waits for the answer."""


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step of a probe. After the first that failed, the others are not tried."""

    name: str
    """`credential`, `permissions`, `application`, `assignments`, `users`"""
    ok: bool
    detail: str
    remedy: str = ""


async def probe(
    connection: Connection, credential: Credential, policy: RetryPolicy = _IMPATIENT
) -> tuple[ProbeStep, ...]:
    """Try token, permissions, application, assignments and one page of users.

    Never raises a `GraphError`: the step that failed holds it.
    """
    steps: list[ProbeStep] = []
    try:
        async with open_graph(connection, credential, policy) as graph:
            probing = _Probing(graph, connection)
            for name, step in probing.steps.items():
                steps.append(await _tried(name, step))
                if not steps[-1].ok:
                    break
    except GraphError as error:  # the connection cannot be opened at all
        steps.append(_failed("credential", error))
    return tuple(steps)


async def _tried(name: str, step: Callable[[], Awaitable[ProbeStep]]) -> ProbeStep:
    try:
        return await step()
    except GraphError as error:
        return _failed(name, error)


def _failed(name: str, error: GraphError) -> ProbeStep:
    if isinstance(error, GraphNeedsHuman):
        return ProbeStep(name, False, str(error), error.remedy)
    if isinstance(error, GraphTryAgain):
        return ProbeStep(name, False, str(error), "Check the network to login and Graph URL, then try again.")
    return ProbeStep(
        name, False, str(error), "Check the connection's Graph URL; then send the request-id to Microsoft."
    )


class _Probing:
    def __init__(self, graph: GraphClient, connection: Connection) -> None:
        self._graph = graph
        self._connection = connection
        self._service_principal_id = ""
        self.steps: dict[str, Callable[[], Awaitable[ProbeStep]]] = {
            "credential": self._credential,
            "permissions": self._permissions,
            "application": self._application,
            "assignments": self._assignments,
            "users": self._users,
        }

    async def _credential(self) -> ProbeStep:
        await self._graph.token_roles()
        return ProbeStep("credential", True, "Entra accepts the credential and gives a token.")

    async def _permissions(self) -> ProbeStep:
        missing = sorted(missing_roles(await self._graph.token_roles()))
        if not missing:
            return ProbeStep("permissions", True, "The token has every permission that reading takes.")
        names = ", ".join(missing)
        return ProbeStep(
            "permissions",
            False,
            f"The token lacks {names}.",
            f"Add the application permissions {names} (App registrations > API permissions > Microsoft "
            "Graph) and grant admin consent; it takes up to 15 minutes to appear in tokens.",
        )

    async def _application(self) -> ProbeStep:
        application = await read_application(self._graph, self._connection)
        self._service_principal_id = application.id
        return ProbeStep("application", True, f"Found {application.display_name or application.app_id}.")

    async def _assignments(self) -> ProbeStep:
        rows, proof = await read_assignments(self._graph, self._service_principal_id)
        if not proof.finished:
            return ProbeStep(
                "assignments", False, proof.detail, "Try again; the list could not be read to its end."
            )
        principals = {row.principal_id: row.principal_type for row in rows}
        kinds = list(principals.values())
        detail = f"{kinds.count('User')} users and {kinds.count('Group')} groups are assigned."
        remedy = (
            ""
            if rows
            else "Assign users or groups to the application (Enterprise applications > Users and groups)."
        )
        return ProbeStep("assignments", True, detail, remedy)

    async def _users(self) -> ProbeStep:
        await self._graph.read(queries.users(self._graph.sdk, queries.STATE_ONLY), models.decode_users)
        return ProbeStep("users", True, "Users can be read, with their account state.")
