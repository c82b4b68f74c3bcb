"""Our store as a storage of scim2-server, so that the library's contract can be asked of it."""

from __future__ import annotations

from typing import Any, cast

from scim2_models import (
    Context,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimProvider,
    SearchRequest,
    UniquenessException,
)
from scim2_server.storage import AsyncScimStorage, SearchPage

from scim.endpoints.projection import EVERYTHING
from scim.endpoints.representation import group_resource, member_value, user_resource
from scim.schema.definitions import Shape, shapes
from scim.schema.filters import criterion_of, parse, read_order
from store import errors, lifecycle
from store.database import Database
from store.directory import groups, memberships, users
from store.records import (
    Cause,
    ChangeGroup,
    ChangeUser,
    Command,
    Connection,
    CreateGroup,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    Group,
    GroupId,
    Origin,
    Outcome,
    ShownUser,
    UserId,
)
from store.search import query as search
from store.search.combined import users_and_groups
from store.search.criteria import Constant, Order, Position, SearchQuery

EVERYBODY = 10_000
_OURS = ("schemas", "id", "meta", "members")


class LibraryStorage(AsyncScimStorage):
    """Translates between the library's models and commands, queries and records of the store."""

    supports_cursors = True

    def __init__(self, provider: ScimProvider, database: Database, connection: Connection) -> None:
        self.provider = provider
        self.database = database
        self.connection = connection

    async def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        tenant_id, connection_id = self.connection.tenant_id, self.connection.id
        async with self.database.reading() as reading:
            try:
                if resource_type.id == "User":
                    return self._model(
                        await users.get(reading, tenant_id, UserId(resource_id), connection_id=connection_id)
                    )
                group = await groups.get(
                    reading, tenant_id, GroupId(resource_id), connection_id=connection_id
                )
            except errors.NotFound as error:
                raise NotFoundException from error
            members = await memberships.of_group(reading, tenant_id, group.id)
        return self._model(group, [member_value(each, "") for each in members])

    async def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        several = len(resource_types) > 1
        queries = {each.id: self._query(each, search_request, position, several) for each in resource_types}
        tenant_id, connection_id = self.connection.tenant_id, self.connection.id
        page: search.SearchPage[Any]
        async with self.database.reading() as reading:
            if several:
                both = (queries["User"], queries["Group"])
                page = await users_and_groups(reading, tenant_id, connection_id, *both)
            elif "User" in queries:
                page = await search.users(reading, tenant_id, connection_id, queries["User"])
            else:
                page = await search.groups(reading, tenant_id, connection_id, queries["Group"])
        return SearchPage(
            page.total, [self._model(each) for each in page.items], _place(page.next), _place(page.previous)
        )

    def _query(
        self, resource_type: ResourceType, search_request: SearchRequest[Any], position: Any, several: bool
    ) -> SearchQuery:
        shape = shapes()[f"{resource_type.id}s".lower()]
        criterion = None
        if search_request.filter:
            undeclared = Constant(False) if several else None
            criterion = criterion_of(shape, parse(str(search_request.filter)), undeclared)
        return SearchQuery(
            criterion,
            self._order(shape, search_request),
            offset=(search_request.start_index or 1) - 1,
            limit=EVERYBODY if search_request.count is None else search_request.count,
            position=Position(*position) if position else None,
        )

    async def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        document, members = self._document(resource)
        command: Command = (
            CreateUser(document)
            if resource_type.id == "User"
            else CreateGroup(document, member_ids=tuple(each["value"] for each in members))
        )
        return self._model((await self._perform(command)).record, members)

    async def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        document, members = self._document(resource)
        version = _number(expected_version)
        command: Command = (
            ChangeUser(UserId(str(resource.id)), lambda _: document, version)
            if resource_type.id == "User"
            else ChangeGroup(GroupId(str(resource.id)), lambda _: document, expected_version=version)
        )
        return self._model((await self._perform(command)).record, members)

    async def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        version = _number(expected_version)
        if resource_type.id == "User":
            await self._perform(DeleteUser(UserId(resource_id), expected_version=version))
        else:
            await self._perform(DeleteGroup(GroupId(resource_id), expected_version=version))

    async def _perform(self, command: Command) -> Outcome:
        connection = self.connection
        try:
            [outcome] = await lifecycle.perform(
                self.database, connection.tenant_id, connection.id, [command], Cause(Origin.SCIM, "contract")
            )
        except errors.NotFound as error:
            raise NotFoundException from error
        except errors.UniquenessConflict as error:
            raise UniquenessException from error
        except errors.VersionMoved as error:
            raise PreconditionFailedException from error
        return outcome

    def _order(self, shape: Shape, request: SearchRequest[Any]) -> Order | None:
        return read_order(shape, str(request.sort_by), request.sort_order) if request.sort_by else None

    def _document(self, resource: Resource[Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        body = resource.model_dump(scim_ctx=Context.DEFAULT)
        return {name: value for name, value in body.items() if name not in _OURS}, body.get("members", [])

    def _model(
        self, record: ShownUser | Group | None, members: list[dict[str, Any]] | None = None
    ) -> Resource[Any]:
        assert record is not None
        is_user = isinstance(record, ShownUser)
        body = user_resource(record, "", EVERYTHING) if is_user else group_resource(record, "", EVERYTHING)  # type: ignore[arg-type]
        del body["meta"]["location"]
        resource_type = next(each for each in self.provider.resource_types if (each.id == "User") == is_user)
        model = cast("type[Resource[Any]]", self.provider.model_for(resource_type))
        return model.model_validate({**body, "members": members} if members else body)


def _place(position: Position | None) -> list[Any] | None:
    return None if position is None else [position.value, position.seq, position.backward, position.part]


def _number(version: str | None) -> int | None:
    return None if version is None else int(version.removeprefix('W/"').removesuffix('"'))
