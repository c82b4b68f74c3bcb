"""Names are found by index, at their beginning first, and a search has an end."""

from __future__ import annotations

import pytest

from store.database import Database
from store.directory import browsing
from store.directory.browsing import FoundNames
from store.directory.listing import UserFilter
from store.records import Connection
from store.tenancy import deletion
from tests.builders.store_rows import create_user


async def find(
    database: Database, contoso: Connection, part: str, *, anywhere: bool | None = None
) -> tuple[FoundNames, list[str]]:
    wanted = UserFilter(name=part, active=True)
    of = contoso.tenant_id, contoso.id
    async with database.reading() as conn:
        found = await browsing.find_names(conn, *of, wanted, anywhere=anywhere)
        page = await browsing.sorted_users(conn, *of, wanted, found=found)
    return found, [user.user_name.partition("@")[0] for user in page.items]


async def test_a_name_is_looked_for_at_its_beginning_then_anywhere_and_up_to_a_number(
    database: Database, contoso: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 12: a page with 100,000 people takes no longer than one with 100; the surname is found all the same."""
    for name, shown in (("ana", "Ana Núñez"), ("bo", "Bo ANAND"), ("cy", "Anabel 100% _x"), ("dan", "Dan")):
        await create_user(database, contoso, name, displayName=shown)
    found, names = await find(database, contoso, "ANA")
    assert (names, found.is_anywhere, found.is_more) == (["ana", "cy"], False, False)
    found, names = await find(database, contoso, "núñ")
    assert (names, found.is_anywhere) == (["ana"], True)
    found, names = await find(database, contoso, "ana", anywhere=True)
    assert (names, found.is_anywhere) == (["ana", "bo", "cy"], True)
    assert (await find(database, contoso, "nand", anywhere=False))[1] == []
    assert (await find(database, contoso, "0% _"))[1] == ["cy"]
    assert (await find(database, contoso, "%"))[1] == ["cy"]
    assert (await find(database, contoso, "nobody"))[1] == []
    monkeypatch.setattr(browsing, "MOST_FOUND", 1)
    found, names = await find(database, contoso, "ana", anywhere=True)
    assert (names, found.is_more) == (["ana"], True)
    async with database.reading() as conn:
        counts = await deletion.count(conn, contoso.tenant_id, contoso.id, most=3)
    assert counts.active == 3
