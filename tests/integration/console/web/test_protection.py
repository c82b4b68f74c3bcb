"""What the console does before any page: headers, origin, session, permission, and what it tells a stranger."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from console.admin import api_tokens
from console.admin.api_tokens import NewToken
from console.browser import page_headers
from console.web.app import ROUTES
from console.web.visit import write_cursor
from store import lifecycle, tables
from store.directory import sessions
from store.keys import utc_now
from store.records import Cause, MarkUser, Origin
from tests.builders.console_visitor import ConsoleVisitor
from tests.builders.setup_scene import ADA
from tests.builders.store_rows import create_group, create_user


async def test_every_page_forbids_foreign_script_frames_and_caches(visitor: ConsoleVisitor) -> None:
    page = await visitor.get(f"/connections/{visitor.scene.one.id}/users")
    policy = page.headers["Content-Security-Policy"]
    assert page.status == 200
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'; trusted-types leaver" in policy
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"


def test_https_is_kept_behind_https_only() -> None:
    assert "Strict-Transport-Security" in page_headers("https://leaver.example.com")
    assert "Strict-Transport-Security" not in page_headers("http://127.0.0.1:8080")


async def test_without_a_session_every_page_leads_to_sign_in_and_back(visitor: ConsoleVisitor) -> None:
    visitor.forget()
    page = await visitor.get(f"/connections/{visitor.scene.one.id}/users?state=active")
    assert page.status == 401
    assert "Sign in to go on" in page.text
    assert f"/v1/admin/openid/{visitor.scene.one.id}/login?return_to=" in page.text
    assert "%3Fstate%3Dactive" in page.text


async def test_an_ended_session_is_called_so(visitor: ConsoleVisitor) -> None:
    scene = visitor.scene
    await scene.database.write(
        lambda conn: sessions.end_for_user(conn, scene.admin.tenant_id, scene.admin.id)
    )
    assert "Your session has ended" in (await visitor.get("/")).text


async def test_a_person_without_the_mark_admin_has_no_console(visitor: ConsoleVisitor) -> None:
    scene = visitor.scene
    await lifecycle.perform(
        scene.database,
        scene.admin.tenant_id,
        scene.admin.connection_id,
        [MarkUser(scene.admin.id, is_admin=False)],
        Cause(Origin.CONSOLE, "test", "test"),
    )
    page = await visitor.get(f"/connections/{scene.one.id}/users")
    assert page.status == 401
    assert "ada@" not in page.text


async def test_what_belongs_to_another_tenant_is_answered_like_what_does_not_exist(
    visitor: ConsoleVisitor,
) -> None:
    foreign = await visitor.get(f"/connections/{visitor.scene.foreign.id}/users")
    unknown = await visitor.get("/connections/01a2237d-6574-7eee-81c8-5596dae3a76a/users")
    nowhere = await visitor.get("/no/such/page")
    assert {foreign.status, unknown.status, nowhere.status} == {404}
    assert foreign.text == unknown.text == nowhere.text


async def test_a_zone_in_the_cookie_writes_the_times_of_the_viewer(visitor: ConsoleVisitor) -> None:
    host = visitor.browser.cookies[visitor.scene.url.removeprefix("http://")]
    for zone in ("Europe/Berlin", "../../etc/passwd", "No/Where"):
        host["leaver-zone"] = zone
        assert (await visitor.get(f"/connections/{visitor.scene.one.id}/users")).status == 200


@pytest.mark.parametrize("name", ["users", "groups", "members", "audit"])
async def test_an_export_runs_nothing_in_a_spreadsheet(visitor: ConsoleVisitor, name: str) -> None:
    scene = visitor.scene
    await create_user(scene.database, scene.one, "=cmd", displayName="=1+1")
    await api_tokens.create(scene.services, ADA, scene.one.id, NewToken("=1+1"))
    group = await create_group(scene.database, scene.one, "=1+1", scene.admin.id)
    base = f"/connections/{scene.one.id}"
    path = f"{base}/groups/{group.id}/{name}" if name == "members" else f"{base}/{name}"
    page = await visitor.get(f"{path}.csv")
    assert page.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    assert {"members": "ada@contoso.example,"}.get(
        name, ",'=1+1" if name != "groups" else "'=1+1"
    ) in page.text
    listed = json.loads((await visitor.get(f"{path}.json")).text)
    assert (listed["next"], bool(listed["items"])) == (None, True)


@pytest.mark.parametrize(
    "page", ["users?sort=newest", "users?sort=name", "groups", "logs?days=all", "drift", "audit"]
)
async def test_a_cursor_that_no_page_gave_out_begins_the_list_anew(
    visitor: ConsoleVisitor, page: str
) -> None:
    """No address makes a list fail: numbers beyond 64 bits, text where a number stands, nonsense."""
    joined = "&" if "?" in page else "?"
    for place in ("9" * 30, "ada " + "9" * 30, "-1", "x", "\u00b2"):
        for name in ("after", "before", "page"):
            address = f"/connections/{visitor.scene.one.id}/{page}{joined}{name}={write_cursor(place)}"
            assert (await visitor.get(address)).status == 200, address


RECENT = [
    route
    for route in ROUTES
    if route.needs_recent_sign_in and not (route.permission or "").startswith("admin:operator")
]


async def test_what_changes_who_has_access_needs_a_recent_sign_in(visitor: ConsoleVisitor) -> None:
    """Issue 12: "step-up (recent sign-in) for approve, credentials, tokens, enforce": asked before the use case is."""
    scene = visitor.scene
    names = {route.name for route in RECENT}
    assert {"plans.approve", "settings.credential", "tokens.create", "settings.set_mode"} <= names
    await scene.database.write(
        lambda conn: conn.execute(
            update(tables.sessions).values(created_at=utc_now() - timedelta(minutes=16))
        )
    )
    for route in RECENT:
        path = re.sub(r"{\w+}", "x", route.path.replace("{connection}", scene.one.id))
        page = await (visitor.post(path) if route.is_form else visitor.get(path))
        assert (page.status, "Sign in again for this" in page.text) == (403, True), route.name
