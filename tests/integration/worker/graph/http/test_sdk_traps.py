"""What msgraph-sdk and kiota do wrong by themselves, and what Leaver does in their place.

More of them are where they belong: empty pages, fractional `Retry-After`, foreign next links and redirects in
`test_graph_faults`, per-item 429 in a `$batch` there as well. That the SDK cannot send anything by itself is
tested in `test_graph_whole_bodies`.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.builders.graph_reading import HURRIED, Reading, reading
from worker.graph import queries
from worker.graph.errors import ForeignLink, GraphTryAgain
from worker.graph.read.delta import read_users_delta, users_link

ONCE = replace(HURRIED, attempts=1)


@pytest.fixture
async def stranger() -> AsyncIterator[tuple[str, list[str]]]:
    """A host that is not Graph, and the tokens it was shown."""
    heard: list[str] = []

    async def listen(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Authorization", "no token"))
        return web.json_response({"value": [], "@odata.deltaLink": "x"})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", listen)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), heard


@pytest.mark.parametrize("status", [429, 503, 504])
@pytest.mark.parametrize("retry_after", ["0", "0.01", ""])
async def test_nobody_but_leaver_tries_again(status: int, retry_after: str) -> None:
    """SDK trap: kiota retries 429, 503 and 504 by itself, three times each of ours; its adapter is not used."""
    async with reading(retry=ONCE) as run:
        headers = {"Retry-After": retry_after} if retry_after else {}
        run.break_down(match=r"GET /v1.0/users\?", status=status, headers=headers)
        with pytest.raises(GraphTryAgain):
            await run.graph.get(queries.users(run.graph.sdk, queries.STATE_ONLY))
        assert len(run.requests("/v1.0/users?")) == 1


async def test_the_delta_link_of_the_last_page_is_kept() -> None:
    """SDK trap: PageIterator's `delta_link` is always empty, so every cycle would begin anew."""
    async with reading(users=450) as run:
        delta = await read_users_delta(run.graph, run.connection.policy, await all_users_link(run))
        assert delta.proof.finished
        assert delta.proof.pages > 1
        assert "deltatoken" in (delta.link or "")


async def test_a_foreign_delta_link_gets_no_token(stranger: tuple[str, list[str]]) -> None:
    """SDK trap: `with_url` hands the token to any host; a stored link is no more trusted than a new one."""
    url, heard = stranger
    async with reading() as run:
        with pytest.raises(ForeignLink):
            await read_users_delta(run.graph, run.connection.policy, f"{url}/v1.0/users/delta?$deltatoken=x")
    assert heard == []


async def test_a_foreign_next_link_in_a_delta_gets_no_token(stranger: tuple[str, list[str]]) -> None:
    url, heard = stranger
    async with reading() as run:
        link = await users_link(run.graph, run.connection.policy)
        body = {"value": [], "@odata.nextLink": f"{url}/v1.0/users/delta?$skiptoken=x"}
        run.break_down(match=r"users/delta", body=body)
        delta = await read_users_delta(run.graph, run.connection.policy, link)
        assert not delta.proof.finished
        assert delta.link is None
    assert heard == []


async def all_users_link(run: Reading) -> str:
    """Where a delta begins that tells of everybody."""
    from worker.graph.read.users import user_shape

    return queries.users_delta(run.graph.sdk, user_shape(run.connection.policy)).url
