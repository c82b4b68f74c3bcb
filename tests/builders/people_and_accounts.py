"""People of a simulated company and what the push and they themselves do with their accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from store import lifecycle
from store.directory import sessions
from store.records import Cause, CreateUser, Document, Origin, User, UserId
from tests.builders.simulated_connection import Pull

CORP = "fabrikam-demo.example"


def hired(pull: Pull, name: str, **properties: Any) -> str:
    """A new person in Entra, assigned by themselves."""
    held = {
        "userPrincipalName": f"{name}@{CORP}",
        "mail": f"{name}@{CORP}",
        "mailNickname": name,
        "displayName": name.title(),
        "accountEnabled": True,
        **properties,
    }
    person = pull.directory.create_user(held).id
    pull.directory.assign(person)
    return person


async def perform(pull: Pull, *commands: Any, origin: Origin = Origin.SCIM) -> list[User]:
    connection = pull.connection
    outcomes = await lifecycle.perform(
        pull.db, connection.tenant_id, connection.id, list(commands), Cause(origin, "a request")
    )
    return [outcome.record for outcome in outcomes if isinstance(outcome.record, User)]


async def pushed_by(pull: Pull, mapping: Mapping[str, str]) -> None:
    """Entra pushes everybody who is entitled by this mapping of SCIM attribute to Graph property."""
    people = [pull.directory.users[person] for person in sorted(pull.directory.entitled())]
    documents: list[Document] = [
        {"active": True, **{path: str(user.properties[name]) for path, name in mapping.items()}}
        for user in people
    ]
    await perform(pull, *map(CreateUser, documents))


async def signed_in(pull: Pull, user_id: UserId) -> str:
    tenant_id = pull.connection.tenant_id
    _, secret = await pull.db.write(lambda conn: sessions.start(conn, tenant_id, user_id))
    return secret


async def lives(pull: Pull, secret: str) -> bool:
    async with pull.db.reading() as conn:
        return await sessions.find_live(conn, secret) is not None
