"""What a person left: by person, across accounts, and gone only by an administrator's word."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from config.settings import Settings
from console.admin.actor import Actor, ActorKind
from console.admin.errors import InvalidResult
from console.admin.history import person_history, results
from console.admin.history.results import NewResult
from console.admin.services import Services
from store.database import Database
from store.records import ChangeHolder, Connection, CreateUser, DeleteUser, GraphId, Origin, User
from store.tenancy import connections
from tests.builders.secret_keys import secret_key
from tests.builders.store_rows import perform, person

ADA = Actor(ActorKind.CLI, "ada")
ANN, BEN = GraphId("entra-ann"), GraphId("entra-ben")

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)


@pytest.fixture
def services(database: Database, database_url: str) -> Services:
    return Services(
        Settings(database_url=database_url, secret_key=(SecretStr(secret_key("a desk")),)), database
    )


async def account(database: Database, connection: Connection, name: str, object_id: GraphId) -> User:
    command = CreateUser(person(name), entra_object_id=object_id)
    [outcome] = await perform(database, connection, command, origin=Origin.GRAPH)
    assert isinstance(outcome.record, User)
    return outcome.record


async def test_the_history_of_a_person_is_that_of_all_accounts_and_of_no_one_else(
    services: Services, database: Database, contoso: Connection
) -> None:
    """W4: "history follows the person across all accounts and connections of the tenant to that directory"."""
    second = await database.write(lambda conn: connections.create(conn, contoso.tenant_id, "Second"))
    first_account = await account(database, contoso, "ann", ANN)
    other_account = await account(database, second, "ann", ANN)
    for place, user, title in ((contoso, first_account, "First"), (second, other_account, "Second")):
        await results.add(services, ADA, place.id, user.id, NewResult(title, 90))
    await perform(database, contoso, ChangeHolder(first_account.id, BEN), origin=Origin.GRAPH)
    await results.add(services, ADA, contoso.id, first_account.id, NewResult("Of Ben", 80))
    await perform(database, contoso, DeleteUser(first_account.id))

    of_ann = await person_history.export(services, ADA, second.id, other_account.id)
    of_ben = await person_history.export(services, ADA, contoso.id, first_account.id)

    assert {result.title for each in of_ann.accounts for result in each.results} == {"First", "Second"}
    assert {result.title for each in of_ben.accounts for result in each.results} == {"Of Ben"}

    erased = await person_history.erase(services, ADA, contoso.id, first_account.id, "Art. 17", holder=1)

    assert sorted(trace.results for trace in erased.erasures) == [1, 1]
    after = await person_history.export(services, ADA, second.id, other_account.id)
    assert [each.results for each in after.accounts] == [[], []]
    assert {trace.actor for each in after.accounts for trace in each.erasures} == {"cli:ada"}
    kept = await person_history.export(services, ADA, contoso.id, first_account.id)
    assert len(kept.accounts[0].results) == 1


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (NewResult("", 1), "title"),
        (NewResult("x" * 501, 1), "title"),
        (NewResult("a\nb", 1), "title"),
        (NewResult("a", 10**10), "score"),
        (NewResult("a", 1, document={"text": "x" * 65_536}), "document"),
        (NewResult("a", 1, document={"text": "\x00"}), "document"),
        (NewResult("a", 1, idempotency_key=""), "idempotency_key"),
        (NewResult("a", 1, idempotency_key="ü"), "idempotency_key"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_its_field(
    services: Services, database: Database, contoso: Connection, wanted: NewResult, field: str
) -> None:
    """Issue 11: "document up to 64 kB, idempotency key"."""
    with pytest.raises(InvalidResult) as refused:
        await results.add(services, ADA, contoso.id, "nobody", wanted)
    assert refused.value.field == field


async def test_a_key_that_is_used_again_for_another_result_is_refused(
    services: Services, database: Database, contoso: Connection
) -> None:
    """The same request twice is one result; another one under its key is a mistake of the app."""
    ann = await account(database, contoso, "ann", ANN)
    place = services, ADA, contoso.id, ann.id
    first = await results.add(*place, NewResult("Reading", 90, idempotency_key="k"))
    assert await results.add(*place, NewResult("Reading", 90, idempotency_key="k")) == first
    with pytest.raises(InvalidResult):
        await results.add(*place, NewResult("Writing", 90, idempotency_key="k"))
