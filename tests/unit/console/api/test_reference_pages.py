"""The pages that people read of the API: whole, without script, and one for each problem."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from console.api.openapi import describe
from console.api.problems import TYPES
from console.api.reference_pages import add_pages
from console.api.routes import OPERATIONS


async def test_every_operation_and_every_problem_has_its_place_on_a_page() -> None:
    """Issue 11: "served with a readable page of our own"; console.md: `type` "is also a page of docs"."""
    app = web.Application()
    add_pages(app, describe(OPERATIONS))
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/api/admin/v1/docs")
        text = await answer.text()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "<script" not in text
        assert "style" not in text
        for operation in OPERATIONS:
            assert f'<article id="{operation.id}">' in text
        for name, row in TYPES.items():
            page = await client.get(f"/problems/{name}")
            assert page.status == 200
            assert f"status {row.status}" in await page.text()
        assert (await client.get("/problems")).status == 200
        assert (await client.get("/problems/of-none")).status == 404
