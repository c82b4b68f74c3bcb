"""Set-up pages without script: who sees which button, what is shown once, and what a frame may show."""

from __future__ import annotations

import importlib
import inspect
import re

from console.admin.actor import Actor, ActorKind
from console.admin.connections import settings, states
from console.admin.connections.policy import PolicyChanges
from console.admin.connections.settings import ConnectionChanges
from console.admin.events import webhooks
from console.admin.events.notifications import FOR_PEOPLE
from console.admin.operators import people
from console.admin.setup import links
from console.browser import SESSION_COOKIE
from console.web.app import ROUTES
from store import lifecycle
from store.access.records import Role
from store.records import Cause, CreateUser, Mode, Origin
from tests.builders.console_scene import fill
from tests.builders.console_visitor import ConsoleVisitor
from tests.builders.store_rows import person

ADA = Actor(ActorKind.CLI, "ada")


def fields_of(page: str, action: str) -> dict[str, str]:
    """What a browser would send of the form with this action: its inputs as they are filled."""
    [form] = re.findall(rf'<form[^>]*action="[^"]*{action}">(.*?)</form>', page, re.DOTALL)
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        given = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        name = re.search(r'name="([^"]*)"', tag)
        if name is not None and (given.get("type") != "checkbox" or " checked" in tag):
            found[name[1]] = given["value"]
    return found


async def enter(visitor: ConsoleVisitor, role: Role, tenant: str | None = None) -> None:
    """Sign in by an invitation: a page first, the deed by its form."""
    made = await people.invite(visitor.scene.services, ADA, f"a {role}", role, tenant)
    visitor.forget()
    asked = await visitor.get(f"/sign-in/{made.secret}")
    assert (asked.status, "Set-Cookie" in asked.headers) == (200, False)
    entered = await visitor.post(f"/sign-in/{made.secret}")
    assert entered.status == 303, entered.text


async def test_a_mail_scanner_that_follows_the_link_uses_nothing_up(visitor: ConsoleVisitor) -> None:
    """console.md §3: "POST to redeem (mail scanners follow GETs)"; another site cannot post it."""
    made = await people.invite(visitor.scene.services, ADA, "olga")
    visitor.forget()
    for _ in range(3):
        assert (await visitor.get(f"/sign-in/{made.secret}")).status == 200
    foreign = await visitor.post(f"/sign-in/{made.secret}", {"Sec-Fetch-Site": "cross-site"})
    assert foreign.status == 403
    assert (await visitor.post(f"/sign-in/{made.secret}")).status == 303
    again = await visitor.get(f"/sign-in/{made.secret}")
    assert (again.status, "opened before" in again.text) == (410, True)
    assert (await visitor.get("/sign-in/garbled")).status == 404


async def test_signing_in_gives_the_browser_a_new_session_and_signing_out_ends_it(
    visitor: ConsoleVisitor,
) -> None:
    """No session fixation: what the browser had before is ended."""
    scene = visitor.scene
    made = await people.invite(scene.services, ADA, "olga")
    earlier = visitor.browser.cookie(scene.url, SESSION_COOKIE)
    await visitor.post(f"/sign-in/{made.secret}")
    cookie = visitor.browser.cookie(scene.url, SESSION_COOKIE)
    assert cookie not in (None, earlier)
    await visitor.post("/sign-out")
    for old in (earlier, cookie):
        visitor.browser.cookies[scene.url.removeprefix("http://")] = {SESSION_COOKIE: old or ""}
        assert (await visitor.get("/me")).status == 401


async def test_a_viewer_sees_no_button_and_is_refused_anyway(visitor: ConsoleVisitor) -> None:
    """issue 12: "who is not allowed does not see the button, and the use case refuses anyway"."""
    await enter(visitor, Role.VIEWER)
    base = f"/connections/{visitor.scene.many.id}"
    for page in ("setup", "tokens", "mapping", "settings", "webhooks", "audit"):
        shown = await visitor.get(f"{base}/{page}")
        assert shown.status == 200, page
        unsafe = re.findall(r'<form[^>]*method="post"[^>]*>', shown.text)
        allowed = {"settings/scope", "settings/policy", "mapping/check", 'mapping"'}
        assert [each for each in unsafe if not any(part in each for part in allowed)] == [], page
        assert '<a class="button primary"' not in shown.text, page
    for path in ("tokens", "settings/mode", "settings/pause", "setup/links", "mapping/import", "webhooks"):
        assert (await visitor.post(f"{base}/{path}", None, name="x")).status in (400, 403), path
    assert (await visitor.get("/operators")).status == 403


async def test_a_token_is_shown_once_and_no_cache_keeps_it(visitor: ConsoleVisitor) -> None:
    """Seed 004: "the dialog box only displays the token when you create it"."""
    base = f"/connections/{visitor.scene.one.id}"
    form = {"name": "entra", "permission": "admin:user:read"}
    made = await visitor.post(f"{base}/tokens", None, **form)
    secret = re.search(r'id="token" readonly value="([^"]+)"', made.text)
    assert secret is not None
    assert made.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in made.headers
    listed = await visitor.get(f"{base}/tokens")
    assert secret[1] not in listed.text
    assert "Admin:user (read)" in listed.text


async def test_the_end_of_a_connection_shows_numbers_and_asks_for_the_name(visitor: ConsoleVisitor) -> None:
    """issue 12: "destructive pages show the numbers, then the names, then ask"."""
    base = f"/connections/{visitor.scene.one.id}/settings/end"
    asked = await visitor.get(base)
    assert "concerns 1 person with access" in asked.text
    wrong = await visitor.post(base, None, people="keep", name="Two")
    assert (wrong.status, "Nothing was changed" in wrong.text) == (400, True)
    assert (await visitor.post(base, None, people="keep", name="One")).status == 303
    assert (await visitor.get(base)).status == 404


async def test_a_scope_is_changed_after_its_numbers_were_read(visitor: ConsoleVisitor) -> None:
    """issue 12: scope and filters with "who would be in" in numbers."""
    base = f"/connections/{visitor.scene.many.id}/settings"
    form = {"scope": "all", "membership": "direct", "filters": ""}
    asked = await visitor.post(f"{base}/scope", None, **form)
    assert re.search(r"<h1>\d+ people would be in</h1>", asked.text)
    assert 'value="all" selected' not in (await visitor.get(base)).text
    await visitor.post(f"{base}/scope", None, **form, confirmed="yes")
    assert 'value="all" selected' in (await visitor.get(base)).text


async def test_a_stale_form_of_settings_shows_what_changed_and_keeps_what_was_typed(
    visitor: ConsoleVisitor,
) -> None:
    """issue 12: "stale forms show the difference"; sent again, it replaces what stands there now."""
    scene = visitor.scene
    base = f"/connections/{scene.one.id}/settings"
    opened = fields_of((await visitor.get(base)).text, "/settings/policy")
    other = ConnectionChanges(interval_minutes=30, policy=PolicyChanges(brake_push=True))
    await settings.change(scene.services, ADA, scene.one.id, other)

    stale = await visitor.post(
        f"{base}/policy", None, **{**opened, "interval_minutes": "15", "ceiling_count": "70"}
    )

    assert (stale.status, "Nothing was saved" in stale.text) == (409, True)
    told = re.findall(
        r"<td>([^<]+)</td><td[^>]*><bdi>([^<]*)</bdi></td><td[^>]*><b><bdi>([^<]*)<", stale.text
    )
    assert told == [("Minutes between cycles", "5", "30"), ("Brake on the push", "none", "yes")]
    again = fields_of(stale.text, "/settings/policy")
    assert (again["interval_minutes"], again["ceiling_count"]) == ("15", "70")
    assert (await visitor.post(f"{base}/policy", None, **again)).status == 303
    kept = fields_of((await visitor.get(base)).text, "/settings/policy")
    assert (kept["interval_minutes"], kept["ceiling_count"], "brake_push" in kept) == ("15", "70", False)


async def test_settings_say_what_is_told_and_to_which_webhook(visitor: ConsoleVisitor) -> None:
    """issue 12, Settings: "notifications"; where there is none, that is said."""
    scene = visitor.scene
    base = f"/connections/{scene.one.id}/settings"
    assert (await visitor.get(base)).text.count("no one</span>") == len(FOR_PEOPLE)
    for types in (["plan"], ["user"]):
        await webhooks.create(
            scene.services, ADA, f"https://{types[0]}.example.com/hook", types, scene.one.tenant_id
        )
    shown = (await visitor.get(base)).text
    assert shown.count("plan.example.com") == 2
    assert "user.example.com" not in shown


async def test_a_mapping_is_previewed_on_a_real_person_before_it_is_saved(visitor: ConsoleVisitor) -> None:
    """issue 12: "editor with live preview on a real person"."""
    scene = visitor.scene
    await scene.pull.cycle()
    user = sorted(each.user_name for each in (await scene.pull.users()).values())[0]
    base = f"/connections/{scene.many.id}/mapping"
    lines = {"path": "userName", "source": "mail"}
    shown = await visitor.browser.post(f"{scene.url}{base}/preview", form={**lines, "person": user})
    assert shown.status == 200, shown.text
    assert "changes" in shown.text
    asked = await visitor.browser.post(f"{scene.url}{base}", form={**lines, "version": "1"})
    assert re.search(r"<h1>\d+ people would change</h1>", asked.text), asked.text
    stale = await visitor.browser.post(
        f"{scene.url}{base}", form={**lines, "version": "7", "confirmed": "yes"}
    )
    assert (stale.status, "Nothing was saved" in stale.text) == (409, True)
    wrong = {"path": "displayName", "source": "noSuchThing"}
    refused = await visitor.browser.post(scene.url + base, form=wrong)
    assert (refused.status, "Nothing was changed" in refused.text) == (409, True)


async def test_a_saved_mapping_says_that_plans_which_waited_are_ended(visitor: ConsoleVisitor) -> None:
    """docs/safety.md: "A change of the attribute mapping ends the plans that wait": the page says so as the command does."""
    scene = visitor.scene
    await fill(scene)
    base = f"/connections/{scene.many.id}/mapping"
    version = re.search(r'name="version" value="(\d+)"', (await visitor.get(base)).text)
    assert version is not None
    form = {"path": "userName", "source": "mail", "version": version[1], "confirmed": "yes"}
    saved = await visitor.browser.post(f"{scene.url}{base}", form=form)
    assert saved.status == 303, saved.text
    assert (
        "are ended: the next cycle holds what is still due"
        in (await visitor.browser.get(saved.location)).text
    )
    form = {**form, "source": "userPrincipalName", "version": str(int(version[1]) + 1)}
    again = await visitor.browser.post(f"{scene.url}{base}", form=form)
    assert "are ended" not in (await visitor.browser.get(again.location)).text, "there was none any more"


async def test_a_check_with_nothing_to_compare_says_so_and_what_to_do(visitor: ConsoleVisitor) -> None:
    """issue 12: an error says what to do next; there is no suggestion to write into a line."""
    await visitor.scene.pull.cycle()
    checked = await visitor.post(f"/connections/{visitor.scene.many.id}/mapping/check")
    assert checked.status == 200, checked.text
    assert "Entra has written no account yet, so there is nothing to compare with." in checked.text
    assert "in Entra, assign a few people and wait for a provisioning cycle" in checked.text
    for untrue in ("suggests", "0 accounts"):
        assert untrue not in checked.text


async def test_a_status_page_is_framed_by_its_origins_alone_and_syncs_where_allowed(
    visitor: ConsoleVisitor,
) -> None:
    """issue 12: "frame-ancestors `none` (the embeddable page by allow-list)"."""
    scene = visitor.scene
    visitor.forget()
    shown = await links.create_status_link(scene.services, ADA, scene.many.id, ["https://app.example"])
    page = await visitor.get(f"/status/{shown.secret}")
    assert "frame-ancestors https://app.example" in page.headers["Content-Security-Policy"]
    assert "Sync now" not in page.text
    assert (await visitor.post(f"/status/{shown.secret}/sync")).status == 403
    document = await visitor.get(f"/status/{shown.secret}/status.json")
    assert '"open_findings": 0' in document.text
    for origin, allowed in (("https://app.example", "https://app.example"), ("https://evil.example", None)):
        told = await visitor.get(f"/status/{shown.secret}/status.json", Origin=origin)
        assert told.headers.get("Access-Control-Allow-Origin") == allowed
    plain = await links.create_status_link(scene.services, ADA, scene.many.id)
    closed = await visitor.get(f"/status/{plain.secret}")
    assert "frame-ancestors 'none'" in closed.headers["Content-Security-Policy"]
    await links.revoke(scene.services, ADA, scene.many.id, plain.link.id)
    assert (await visitor.get(f"/status/{plain.secret}")).status == 404


async def test_what_no_cycle_repairs_is_not_promised_of_enforcing(visitor: ConsoleVisitor) -> None:
    """An account that Entra does not know stays under enforce too: the first sentence says so."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    await states.set_mode(scene.services, ADA, scene.many.id, Mode.REPORT)
    by_hand = [CreateUser(person("reviewer"))], Cause(Origin.CONSOLE, "test", "test")
    await lifecycle.perform(scene.database, scene.many.tenant_id, scene.many.id, *by_hand)
    await pull.cycle()
    shown = (await visitor.get(f"/connections/{scene.many.id}/settings/mode")).text
    assert "1 finding would stay as it is" in shown
    assert "reviewer@contoso.example" not in shown


async def test_a_second_setup_link_opens_its_own_connection_in_the_same_browser(
    visitor: ConsoleVisitor,
) -> None:
    """A customer's admin with two connections gets a link for each; neither leads to the other's set-up."""
    scene = visitor.scene
    visitor.forget()
    addresses = []
    for connection in (scene.many, scene.one):
        made = await links.create_setup_link(scene.services, ADA, connection.id)
        addresses.append(f"/setup/{made.secret}")
        assert (await visitor.get(addresses[-1])).status == 200
        opened = await visitor.post(addresses[-1])
        assert opened.location.endswith(f"/connections/{connection.id}/setup")
    assert (await visitor.get(addresses[-1])).location.endswith(f"/connections/{scene.one.id}/setup")
    assert (await visitor.get("/setup/garbled")).status == 404


def test_every_form_calls_a_use_case() -> None:
    """Nothing the console can do that no use case does."""
    for route in ROUTES:
        if route.is_form:
            module, _, function = (route.calls or "").rpartition(".")
            found = getattr(importlib.import_module(f"console.admin.{module}"), function)
            assert inspect.iscoroutinefunction(found), route.name


async def test_the_provider_of_sign_in_is_set_shown_and_removed_by_its_page(visitor: ConsoleVisitor) -> None:
    """Issue 11: "any standard OpenID provider per connection"; the secret is never shown, and no name links anyone."""
    page = f"/connections/{visitor.scene.one.id}/settings/sign-in"
    form = {"issuer": "https://id.example", "client_id": "leaver", "secret": "the-secret-value"}
    assert "People sign in by Entra" in (await visitor.get(page)).text
    refused = await visitor.post(page, None, **form, link_claim="email")
    assert (refused.status, "That is not possible" in refused.text) == (409, True)
    done = await visitor.post(page, None, **form, link_claim="employee_id")
    assert (done.status, "notice=provider-set" in done.location) == (303, True)
    shown = (await visitor.get(page)).text
    assert "https://id.example" in shown
    assert "the-secret-value" not in shown
    assert f"/v1/admin/openid/{visitor.scene.one.id}/logout/back" in shown
    unknown = await visitor.post(f"{page}/link", None, user="nobody-here", subject="sub")
    assert (unknown.status, "No account here" in unknown.text) == (400, True)
    assert (await visitor.post(f"{page}/remove", None)).status == 303
    assert "People sign in by Entra" in (await visitor.get(page)).text


async def test_the_identity_of_the_machine_is_for_operators_alone(visitor: ConsoleVisitor) -> None:
    """Issue 12, Settings: Graph credentials "secret, certificate, federated". With the machine's own identity a tenant's
    admin could read another tenant's directory.
    """
    scene = visitor.scene
    settings_page = f"/connections/{scene.one.id}/settings"
    form = {"client_id": "0" * 8 + "-0000-4000-8000-000000000000", "managed_identity": "system"}
    form["entra_tenant_id"] = form["client_id"]
    assert "managed identity" not in (await visitor.get(settings_page)).text
    refused = await visitor.post(f"{settings_page}/credential", None, **form)
    assert (refused.status, "Only an operator" in refused.text) == (409, True)
    await enter(visitor, Role.OPERATOR)
    assert "managed identity" in (await visitor.get(settings_page)).text
    done = await visitor.post(f"{settings_page}/credential", None, **form)
    assert (done.status, "notice=credential-saved" in done.location) == (303, True)
