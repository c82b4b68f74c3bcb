"""Every address of the console as each role: what is not allowed is not shown, and the use case refuses it anyway."""

from __future__ import annotations

import importlib
import re

import aiohttp
import pytest

import console.admin
from console.admin.actor import Actor, ActorKind
from console.admin.errors import PermissionMissing
from console.admin.operators import people
from console.admin.permissions import PERMISSIONS
from console.browser import SESSION_COOKIE
from console.web.app import ROUTES
from console.web.routes import WebRoute
from store.access.records import Role
from tests.builders.browser import Browser
from tests.builders.console_pages import EXAMPLES
from tests.builders.console_scene import ConsoleScene, fill
from tests.builders.console_visitor import ConsoleVisitor
from tests.builders.setup_scene import ADA

ROLES = (Role.OPERATOR, Role.ADMIN, Role.VIEWER)
FORMS = [route for route in ROUTES if route.is_form and route.permission is not None]


def actor_of(role: Role) -> Actor:
    return Actor(ActorKind.WEB, f"a {role}", permissions=PERMISSIONS[role])


@pytest.mark.parametrize("role", ROLES)
async def test_a_use_case_refuses_what_the_role_lacks_whatever_the_face_shows(role: Role) -> None:
    """issue 12: "who is not allowed does not see the button, and the use case refuses anyway"."""
    actor, tried = actor_of(role), 0
    for route in FORMS:
        if actor.may(route.permission or ""):
            continue
        module, _, name = (route.calls or "").rpartition(".")
        use_case = getattr(importlib.import_module(f"{console.admin.__name__}.{module}"), name)
        if route.name not in ASKS_FIRST:
            given = GIVEN.get(route.name, {})
            with pytest.raises(PermissionMissing):  # before it looks at any row
                await use_case(None, actor, **given)
        tried += 1
    assert bool(tried) == (role is not Role.OPERATOR)


GIVEN = {"mapping.confirm": {"connection": "entra", "accept": True}}
"""Arguments of a use case whose permission hangs on what is asked for."""
ASKS_FIRST = {"plans.ask"}
"""Shows what approving would do, and changes nothing: its use case is a reading."""


ASKED_FOR = {"tokens.ask": "admin:token:create"}
"""Of a page that asks before a deed: the permission of the deed in its example."""


async def _enter(scene: ConsoleScene, http: aiohttp.ClientSession, role: Role) -> ConsoleVisitor:
    tenant = None if role is Role.OPERATOR else scene.many.tenant_id
    made = await people.invite(scene.services, ADA, f"a {role}", role, tenant)
    visitor = ConsoleVisitor(scene, Browser(http))
    assert (await visitor.post(f"/sign-in/{made.secret}")).status == 303
    return visitor


async def test_every_address_answers_each_role_as_its_permission_says(scene: ConsoleScene) -> None:
    """A page of the own tenant is shown or refused with 403; its forms and links lead nowhere that is refused."""
    await fill(scene)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        for role in ROLES:
            visitor, actor = await _enter(scene, http, role), actor_of(role)
            for route in ROUTES:
                await _check(visitor, actor, route)
            assert SESSION_COOKIE in visitor.browser.cookies[scene.url.removeprefix("http://")]


async def _check(visitor: ConsoleVisitor, actor: Actor, route: WebRoute) -> None:
    if route.permission is None or route.name.endswith((".export", ".events")):
        return
    allowed = actor.may(ASKED_FOR.get(route.name, route.permission))
    if route.is_form:
        if not allowed:
            path = route.path.replace("{connection}", visitor.scene.many.id)
            answer = await visitor.post(re.sub(r"{\w+}", "x", path))
            assert answer.status == 403, (actor.name, route.name, answer.status)
        return
    for path in EXAMPLES[route.name](visitor.scene)[:1]:
        page = await visitor.get(path)
        assert page.status in ((200, 303) if allowed else (403,)), (actor.name, route.name, page.status)
        if allowed:
            _leads_nowhere_refused(page.text, actor, route.name)


def _leads_nowhere_refused(page: str, actor: Actor, name: str) -> None:
    for action in re.findall(r'<form[^>]*method="post"[^>]*action="([^"?#]+)', page):
        target = _route_of(action, "POST")
        permission = target.permission if target is not None else None
        # Fields are shown to be read where the button beside them is not.
        is_readable = f'action="{action}"' in page and not _has_button(page, action)
        assert permission is None or actor.may(permission) or is_readable, (actor.name, name, action)
    for link in re.findall(r'<a[^>]*href="(/[^"?#]*)', page):
        target = _route_of(link, "GET")
        permission = target.permission if target is not None else None
        assert permission is None or actor.may(permission), (actor.name, name, link)


def _has_button(page: str, action: str) -> bool:
    forms = re.findall(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    return any("<button" in re.sub(r"<button[^>]*(?:disabled|formaction)[^>]*>", "", each) for each in forms)


def _route_of(path: str, method: str) -> WebRoute | None:
    for route in ROUTES:
        pattern = re.sub(r"{(\w+):([^}]+)}", r"(?:\2)", route.path)
        pattern = re.sub(r"{\w+}", "[^/]+", pattern)
        if route.method == method and re.fullmatch(pattern, path):
            return route
    return None
