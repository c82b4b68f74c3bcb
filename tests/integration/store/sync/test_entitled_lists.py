"""Who counted as entitled at the last reading, kept in parts: what an increment changes is what a full cycle would have
saved."""

from __future__ import annotations

from store.database import Database
from store.records import Connection, GraphId
from store.sync import entitled_lists
from store.sync.entitled_lists import USERS_PER_PART, EntitledTotals

PEOPLE = [GraphId(f"00000000-0000-4000-8000-{number:012}") for number in range(5 * USERS_PER_PART)]


async def saved(db: Database, connection: Connection) -> tuple[EntitledTotals | None, dict[GraphId, int]]:
    async with db.reading() as conn:
        scope = conn, connection.tenant_id, connection.id
        return await entitled_lists.totals(*scope), await entitled_lists.load_some(*scope, PEOPLE)


async def test_a_list_that_was_never_saved_has_no_totals(database: Database, contoso: Connection) -> None:
    """No list is no empty list: the next cycle reads everything."""
    assert await saved(database, contoso) == (None, {})


async def test_an_increment_saves_what_a_full_cycle_would(database: Database, contoso: Connection) -> None:
    """Some of those who were looked at left, some came, some are in another number of groups; the others stay."""
    scope = contoso.tenant_id, contoso.id
    before = {each: number % 7 for number, each in enumerate(PEOPLE[:-50])}
    looked_at = frozenset([*PEOPLE[:60], *PEOPLE[-60:]])
    now = dict.fromkeys([*PEOPLE[20:60], *PEOPLE[-40:]], 9)
    after = {each: held for each, held in before.items() if each not in looked_at} | now
    await database.write(lambda conn: entitled_lists.put_all(conn, *scope, before))
    await database.write(lambda conn: entitled_lists.put_some(conn, *scope, now, looked_at))
    assert await saved(database, contoso) == (EntitledTotals(len(after), sum(after.values())), after)


async def test_a_list_that_grew_or_shrank_by_much_is_divided_anew(
    database: Database, contoso: Connection
) -> None:
    """The parts stay of a size that an increment can read for each of its users."""
    scope = contoso.tenant_id, contoso.id
    for number in (3, len(PEOPLE), USERS_PER_PART + 1, 0):
        listed = dict.fromkeys(PEOPLE[:number], 2)
        await database.write(lambda conn, listed=listed: entitled_lists.put_all(conn, *scope, listed))  # type: ignore[misc]
        assert await saved(database, contoso) == (EntitledTotals(number, 2 * number), listed)
