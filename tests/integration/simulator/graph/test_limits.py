"""Documented limits of Graph that no OpenAPI description shows."""

from collections.abc import AsyncIterator

import pytest

from tests.builders.simulator.client import INDEX, SimulatorClient, simulator_client


@pytest.fixture
async def scene() -> AsyncIterator[SimulatorClient]:
    async with simulator_client(users=250, groups=10) as scene:
        yield scene


async def test_a_page_with_expand_holds_at_most_100(scene: SimulatorClient) -> None:
    """Max page size with `$expand` is 100 (microsoft-graph-docs#21506, #21516)."""
    pages = await scene.pages("/users?$expand=manager($select=id)&$select=id&$top=999")
    assert [len(page.value) for page in pages] == [100, 100, 50]
    assert [user_id for page in pages for user_id in page.ids] == list(scene.simulator.directory.users)
    assert len((await scene.get("/users?$select=id&$top=999")).value) == 250


async def test_a_small_page_with_expand_stays_small(scene: SimulatorClient) -> None:
    """The cap is a cap, no page size of its own."""
    assert len((await scene.get("/users?$expand=manager&$top=7")).value) == 7
    refused = await scene.get("/users?$expand=manager&$top=1000")
    assert (refused.status, refused.error) == (400, "Request_BadRequest")


async def test_members_with_expand_hold_at_most_100(scene: SimulatorClient) -> None:
    """The cap holds for lists of members too."""
    directory = scene.simulator.directory
    group = directory.create_group({"displayName": "Everyone"}).id
    for user_id in directory.users:
        directory.add_member(group, user_id)
    url = f"/groups/{group}/members/microsoft.graph.user?$expand=manager&$top=999&$count=true"
    assert [len(page.value) for page in await scene.pages(url, INDEX)] == [100, 100, 50]


async def test_advanced_queries_refuse_expand_when_switched_on(scene: SimulatorClient) -> None:
    """Advanced query capabilities do not support `$expand` (aad-advanced-queries)."""
    url = "/users?$expand=manager&$count=true"
    assert (await scene.get(url, INDEX)).status == 200
    await scene.admin("PATCH", "/behaviour", {"refuse_advanced_expand": True})
    refused = await scene.get(url, INDEX)
    assert (refused.status, refused.error) == (400, "Request_UnsupportedQuery")
    assert (await scene.get("/users?$expand=manager")).status == 200


async def test_counts_that_never_agree_with_the_items(scene: SimulatorClient) -> None:
    """`@odata.count` is a figure of the index: it may be wrong at every reading."""
    await scene.admin("PATCH", "/behaviour", {"count_error": 3})
    for _ in range(2):
        pages = await scene.pages("/users?$count=true&$top=999", INDEX)
        assert (pages[0].body["@odata.count"], sum(len(page.value) for page in pages)) == (253, 250)
        assert (await scene.get("/users/$count", INDEX)).body == "253"


@pytest.mark.parametrize("url", ["/users?$top=999", "/users/delta?$select=id"])
async def test_next_links_that_never_end(scene: SimulatorClient, url: str) -> None:
    """Empty pages with a next link are allowed; here they never stop, and no link repeats."""
    await scene.admin("PATCH", "/behaviour", {"endless_pages": True})
    links, found = [], set()
    for _ in range(12):
        page = await scene.get(url)
        found.update(page.ids)
        url = page.body["@odata.nextLink"]
        links.append(url)
    assert len(set(links)) == 12
    assert found == set(scene.simulator.directory.users)
    assert page.value == []


async def test_a_plain_filter_takes_fifteen_values(scene: SimulatorClient) -> None:
    """Values after `in`, unless the query is advanced (microsoft-graph-docs#21098)."""
    ids = list(scene.simulator.directory.users)[:16]
    listed = ",".join(f"'{user_id}'" for user_id in ids[:15])
    found = await scene.get(f"/users?$filter=id in ({listed})&$expand=manager($select=id)")
    assert set(found.ids) == set(ids[:15])
    refused = await scene.get(f"/users?$filter=id in ({listed},'{ids[15]}')")
    assert (refused.status, refused.error) == (400, "Request_UnsupportedQuery")
