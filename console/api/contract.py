"""Turn plain functions into HTTP operations: the signature is the contract.

A parameter that the path names is text, a pydantic model is the body, any other one is
a query parameter. The answer is the annotated model (`Annotated[JsonDocument, Model]`).
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from console.admin.actor import Actor
from console.admin.services import Services
from console.api.cursors import PageCursors
from console.api.problems import FieldError, Problem
from console.documents.values import JsonDocument, page

BASE = "/api/admin/v1"
_NAMES_IN_PATH = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Caller:
    """The program that calls, and what it may do."""

    services: Services
    actor: Actor
    token_id: str
    permissions: frozenset[str]
    cursors: PageCursors
    scope: str
    """The list that a cursor of this request is good for."""
    if_match: str | None = None
    stopping: asyncio.Event | None = None
    """Set when the server stops: what waits is answered then."""

    def position(self, cursor: str | None) -> str | None:
        """Return where a page begins. Raises `Problem` for a foreign cursor."""
        return self.cursors.read(self.scope, cursor)

    def number(self, cursor: str | None) -> int | None:
        """Return where a page begins, in a list that is ordered by numbers."""
        position = self.position(cursor)
        return None if position is None else int(position)

    def page(self, items: Iterable[JsonDocument], following: int | str | None = None) -> JsonDocument:
        """Return a page with the cursor of the next."""
        return page(items, self.cursors.write(self.scope, following))

    def may(self, permission: str) -> bool:
        """Return whether the token has this permission, or all of its section."""
        section = permission.rpartition(":")[0]
        return not self.permissions.isdisjoint({permission, f"{section}:*", section, "*"})

    def require(self, permission: str) -> None:
        """Raise the problem of a token that lacks the permission."""
        if not self.may(permission):
            raise Problem("permission-missing", f"The API token lacks the permission {permission}.")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with headers, or with another status than the operation's own."""

    document: JsonDocument | None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None


Answer: TypeAlias = "JsonDocument | Reply | None"
Handler: TypeAlias = Callable[..., Awaitable[Answer]]


class RequestModel(BaseModel):
    """A body; what it does not know is refused, so that no misspelt name is ignored."""

    model_config = ConfigDict(extra="forbid")


class AnswerModel(BaseModel):
    """The schema of an answer, made by `console.documents`."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One method of one path."""

    tag: str
    method: str
    path: str
    permission: str | None
    handler: Handler
    path_names: tuple[str, ...]
    body: tuple[str, type[BaseModel]] | None
    """Name of the parameter, and its model."""
    query: type[BaseModel]
    answer: type[BaseModel] | None
    status: int
    problems: tuple[str, ...]
    shows_secret: bool
    needs_version: bool
    """Settings: If-Match is required."""

    @property
    def id(self) -> str:
        """Return the operationId: the name of the function."""
        return self.handler.__name__

    @property
    def summary(self) -> str:
        """Return the first sentence of the docstring."""
        return (inspect.getdoc(self.handler) or "").split("\n\n")[0].replace("\n", " ").rstrip(".")

    @property
    def description(self) -> str:
        """Return the docstring after its first sentence."""
        rest = (inspect.getdoc(self.handler) or "").split("\n\n")[1:]
        return "\n\n".join(part.replace("\n", " ") for part in rest)


class Routes:
    """The operations of one module, collected by its decorator."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.operations: list[ApiOperation] = []

    def add(
        self,
        method: str,
        path: str,
        permission: str | None,
        *,
        status: int = 200,
        problems: Sequence[str] = (),
        shows_secret: bool = False,
        needs_version: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Declare the decorated function as an operation."""

        def declare(handler: Handler) -> Handler:
            in_path, body, query, answer = _signature(handler, path)
            self.operations.append(
                ApiOperation(
                    tag=self.tag,
                    method=method,
                    path=path,
                    permission=permission,
                    handler=handler,
                    path_names=in_path,
                    body=body,
                    query=query,
                    answer=answer,
                    status=status,
                    problems=tuple(problems),
                    shows_secret=shows_secret,
                    needs_version=needs_version,
                )
            )
            return handler

        return declare


Signature: TypeAlias = (
    "tuple[tuple[str, ...], tuple[str, type[BaseModel]] | None, type[BaseModel], type[BaseModel] | None]"
)


def _signature(handler: Handler, path: str) -> Signature:
    """Return names in the path, the body, the query and the answer of a handler."""
    signature = inspect.signature(handler, eval_str=True)
    in_path = tuple(_NAMES_IN_PATH.findall(path))
    body: tuple[str, type[BaseModel]] | None = None
    query: dict[str, Any] = {}
    for name, parameter in list(signature.parameters.items())[1:]:
        annotation = parameter.annotation
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            body = (name, annotation)
        elif name not in in_path:
            query[name] = (annotation, ... if parameter.default is parameter.empty else parameter.default)
    query_model: type[BaseModel] = create_model(
        f"{handler.__name__}_query", __config__=ConfigDict(extra="forbid"), **query
    )
    return in_path, body, query_model, _answer_model(signature.return_annotation)


def _answer_model(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) is not Annotated:
        return None
    model: type[BaseModel] = get_args(annotation)[1]
    return model


def arguments(
    operation: ApiOperation,
    path: Mapping[str, str],
    query: Sequence[tuple[str, str]],
    raw_body: bytes,
) -> dict[str, Any]:
    """Return the arguments of the handler. Raises `Problem` that names each wrong
    field.
    """
    given = dict(query)
    if len(given) != len(query):
        raise _wrong([FieldError("A parameter is given more than once.")])
    found: dict[str, Any] = {name: path[name] for name in operation.path_names}
    try:
        checked = operation.query.model_validate(given)
    except ValidationError as error:
        raise _wrong(
            [FieldError(each["msg"], parameter=str(each["loc"][0])) for each in _faults(error)]
        ) from None
    found |= {name: getattr(checked, name) for name in operation.query.model_fields}
    if operation.body is not None:
        name, model = operation.body
        try:
            found[name] = model.model_validate_json(raw_body or b"{}")
        except ValidationError as error:
            raise _wrong(
                [FieldError(each["msg"], pointer=_pointer(each["loc"])) for each in _faults(error)]
            ) from None
    return found


def _wrong(errors: Sequence[FieldError]) -> Problem:
    return Problem("invalid-request", errors[0].detail, errors)


def _faults(error: ValidationError) -> list[Any]:
    """Return the faults without what was given (design.md §7, I9)."""
    return list(error.errors(include_url=False, include_context=False, include_input=False))[:20]


def _pointer(location: Sequence[int | str]) -> str:
    """Return a place in the body (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1")[:80] for part in location)


Limit = Annotated[int, Field(ge=1, le=200, description="How many items at most.")]
Cursor = Annotated[str | None, Field(max_length=400, description="`next` of the page before.")]
