"""Can this connection read what it needs? Step by step, each with its remedy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from store.records import Connection, GraphId, MembershipMode
from worker.errors import NeedsHuman
from worker.graph import models, queries
from worker.graph.auth.credentials import Credential
from worker.graph.errors import ConnectionFault, ConsentMissing, GraphError, GraphTryAgain, NotFound
from worker.graph.http.client import GraphClient, open_graph
from worker.graph.http.retry import RetryPolicy
from worker.graph.read.application import missing_roles, read_application, read_assignments
from worker.graph.read.delta import groups_link, users_link
from worker.graph.read.hidden_members import READ_HIDDEN, REMEDY, groups_with_hidden_members
from worker.graph.read.users import user_shape

_IMPATIENT = RetryPolicy(attempts=2, total_s=15.0, answer_within_s=30.0)
"""A person waits for the answer."""


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step of a probe. After the first that failed, the others are not tried."""

    name: str
    """The keys of `_Probing.steps`."""
    ok: bool
    detail: str
    remedy: str = ""


async def probe(
    connection: Connection, credential: Credential, policy: RetryPolicy = _IMPATIENT
) -> tuple[ProbeStep, ...]:
    """Try token, permissions, and one row of every query that a cycle sends.

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
    if isinstance(error, NeedsHuman):
        return ProbeStep(name, False, str(error), error.remedy)
    if isinstance(error, ConnectionFault) and error.remedy:
        return ProbeStep(name, False, str(error), error.remedy)
    if isinstance(error, GraphTryAgain):
        return ProbeStep(name, False, str(error), "Check the network to login and Graph URL, then try again.")
    ask = " If it is right, send the request-id to Microsoft." if error.request_id else ""
    return ProbeStep(name, False, str(error), f"Check the connection's Graph URL and mapping.{ask}")


class _Probing:
    def __init__(self, graph: GraphClient, connection: Connection) -> None:
        self._graph = graph
        self._connection = connection
        self._service_principal_id = ""
        self._assigned_groups: list[GraphId] = []
        self._people: list[GraphId] = []
        self.steps: dict[str, Callable[[], Awaitable[ProbeStep]]] = {
            "credential": self._credential,
            "permissions": self._permissions,
            "application": self._application,
            "assignments": self._assignments,
            "groups": self._groups,
            "users": self._users,
            "deleted users": self._deleted_users,
            "one person": self._one_person,
            "changes": self._changes,
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
        self._assigned_groups = sorted(GraphId(p) for p, kind in principals.items() if kind == "Group")
        kinds = list(principals.values())
        detail = f"{kinds.count('User')} users and {kinds.count('Group')} groups are assigned."
        remedy = (
            ""
            if rows
            else "Assign users or groups to the application (Enterprise applications > Users and groups)."
        )
        return ProbeStep("assignments", True, detail, remedy)

    async def _groups(self) -> ProbeStep:
        """Read one assigned group as a cycle does, and which groups hide members."""
        is_transitive = self._connection.policy.membership is MembershipMode.TRANSITIVE
        for group in self._assigned_groups[:1]:
            asked = [queries.group(self._graph.sdk, group), queries.members(self._graph.sdk, group)]
            asked += [queries.transitive_members(self._graph.sdk, group)] if is_transitive else []
            for answer in await self._graph.batch([query.of_one_row for query in asked]):
                if isinstance(answer, GraphError) and not isinstance(answer, NotFound):
                    raise answer
        hiding = await groups_with_hidden_members(
            self._graph, self._assigned_groups, transitive=is_transitive
        )
        if hiding:
            detail = (
                f"{len(hiding)} assigned groups hide their members (visibility HiddenMembership), and the token "
                f"lacks {READ_HIDDEN}: {', '.join(sorted(hiding)[:_MOST_NAMED])}. Nobody is removed through them."
            )
            return ProbeStep("groups", True, detail, REMEDY)
        return ProbeStep("groups", True, "Assigned groups and their members can be read.")

    async def _users(self) -> ProbeStep:
        """Read the users with every property that the mapping asks for."""
        sdk, shape = self._graph.sdk, user_shape(self._connection.policy)
        page = await self._graph.read(queries.users(sdk, shape).of_one_row, models.decode_users)
        self._people = [user.id for user in page.value]
        if any(user.account_enabled is None for user in page.value):
            return ProbeStep("users", False, models.NO_STATE, ConsentMissing("", queries.READ_USERS).remedy)
        await self._graph.read(queries.users_count(sdk), models.decode_count)
        if shape.with_manager and self._people:
            await self._graph.read(queries.managers(sdk, self._people), models.decode_managers)
        return ProbeStep("users", True, "Users can be read, with their account state and all that is mapped.")

    async def _deleted_users(self) -> ProbeStep:
        query = queries.deleted_users(self._graph.sdk).of_one_row
        await self._graph.read(query, models.decode_deleted_users)
        return ProbeStep("deleted users", True, "The recycle bin can be read.")

    async def _one_person(self) -> ProbeStep:
        """Read one user alone, as each leaver is before anything is taken."""
        sdk = self._graph.sdk
        for person in self._people[:1]:
            await self._graph.get(queries.user(sdk, person, queries.STATE_ONLY))
            await self._graph.get(queries.member_groups(sdk, person).of_one_row)
            try:
                await self._graph.get(queries.assignments_of_user(sdk, person, self._service_principal_id))
            except ConsentMissing:
                detail = "A person can be read alone; assignments from the application's whole list."
                return ProbeStep("one person", True, detail)
        return ProbeStep("one person", True, "A person can be read alone, with groups and assignments.")

    async def _changes(self) -> ProbeStep:
        await users_link(self._graph, self._connection.policy)
        await groups_link(self._graph)
        return ProbeStep("changes", True, "Changes since the last cycle can be read.")


_MOST_NAMED = 5
