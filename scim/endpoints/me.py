"""/Me: the user that a token stands for (RFC 7644 §3.11).

A token of a connection stands for no user. A token that stands for a user reaches this
user by this alias, and nothing else. Its permissions say what it may do there.
"""

from __future__ import annotations

from msgspec import structs
from scim2_models import ForbiddenException, NotFoundException
from scim2_server.errors import MethodNotAllowedException
from scim2_server.routing import Operation, Target

from scim.endpoints import users
from scim.request import ScimRequest, ScimResponse
from store.records import UserId

_ACTS = {
    Operation.query: users.read,
    Operation.replace: users.replace,
    Operation.patch: users.patch,
    Operation.delete: users.delete,
}
_ABOUT_THE_SERVER = frozenset(
    {
        Operation.service_provider_config,
        Operation.resource_types,
        Operation.resource_type,
        Operation.schemas,
        Operation.schema,
    }
)


async def answer(request: ScimRequest, operation: Operation) -> ScimResponse:
    """Act on the user of the token; the response names the resource behind the alias.

    Raises scim2_models.NotFoundException for a token without a user, and
    MethodNotAllowedException for POST.
    """
    act = _ACTS.get(operation)
    if act is None:
        raise MethodNotAllowedException(allowed=["GET", "PUT", "PATCH", "DELETE"])
    user_id = user_behind(request)
    given = await act(structs.replace(request, is_self=True), user_id)
    location = f"{request.principal.base}/Users/{user_id}"
    return structs.replace(
        given, headers={**given.headers, "Content-Location": location, "Location": location}
    )


def user_behind(request: ScimRequest) -> UserId:
    """Return the user of the token; raises scim2_models.NotFoundException for none."""
    user_id = request.principal.token.user_id
    if user_id is None:
        raise NotFoundException(
            detail=f"The API token '{request.principal.token.name}' stands for a connection, not for a user: nobody is "
            "behind /Me. Use /Users, or a token made with: leaver token create … --user"
        )
    return user_id


def refuse_others(request: ScimRequest, target: Target) -> None:
    """Refuse a token of a user access to anything but this user.

    Raises scim2_models.ForbiddenException.
    """
    if request.principal.token.user_id is None or target.me or target.operation in _ABOUT_THE_SERVER:
        return
    raise ForbiddenException(
        detail=f"The API token '{request.principal.token.name}' stands for one user: it reaches /Me and nothing else."
    )
