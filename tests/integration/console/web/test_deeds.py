"""What forms of the console do: once, on what was looked at, from our own pages only; without any script."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest

import console.admin
from console.web.app import ROUTES
from simulator.faults import Fault
from store.directory import sessions
from store.keys import utc_now
from store.records import (
    ChangeHolder,
    ChangeUser,
    CreateUser,
    CycleId,
    GraphId,
    JsonValue,
    Origin,
    PlanStatus,
    User,
)
from store.sync import held_plans
from tests.builders.console_scene import session_of
from tests.builders.console_visitor import ConsoleVisitor
from tests.builders.store_rows import create_user, perform, person, read_user, setting

FORMS = [route for route in ROUTES if route.is_form]


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found.group(1)


@pytest.mark.parametrize("route", FORMS, ids=lambda route: route.name)
def test_every_form_names_the_use_case_that_it_calls(route: object) -> None:
    """Nothing that a page can do is missing from the other faces."""
    calls = getattr(route, "calls", None)
    assert isinstance(calls, str)
    module, _, name = calls.rpartition(".")
    loaded = __import__(f"{console.admin.__name__}.{module}", fromlist=[name])
    assert callable(getattr(loaded, name))


@pytest.mark.parametrize("route", FORMS, ids=lambda route: route.name)
async def test_a_form_of_another_site_is_refused(visitor: ConsoleVisitor, route: object) -> None:
    path = str(getattr(route, "path", "")).replace("{connection}", visitor.scene.one.id)
    path = re.sub(r"{\w+}", "x", path)
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {},
    ):
        page = await visitor.post(path, headers=headers)
        assert (page.status, "came from another site" in page.text) == (403, True)


async def test_a_person_is_protected_on_the_account_that_was_seen(visitor: ConsoleVisitor) -> None:
    """A form on an older state says what happened meanwhile, and does nothing."""
    scene = visitor.scene
    ann = await create_user(scene.database, scene.one, "ann")
    path = f"/connections/{scene.one.id}/users/{ann.id}"
    form: dict[str, str] = {"version": hidden((await visitor.get(path)).text, "version"), "protect": "yes"}
    await perform(scene.database, scene.one, ChangeUser(ann.id, setting(title="Lead")))
    stale = await visitor.post(f"{path}/protect", None, **form)
    assert stale.status == 409
    assert "This changed since you opened it" in stale.text
    assert not (await read_user(scene.database, scene.one, ann.id)).is_protected
    done = await visitor.post(
        f"{path}/protect", version=hidden((await visitor.get(path)).text, "version"), protect="yes"
    )
    assert (done.status, "notice=protected" in done.location) == (303, True)
    assert (await read_user(scene.database, scene.one, ann.id)).is_protected
    assert "The account is protected" in (await visitor.browser.get(done.location)).text


async def test_sessions_are_ended_once_however_often_the_form_is_sent(visitor: ConsoleVisitor) -> None:
    scene = visitor.scene
    ann = await create_user(scene.database, scene.one, "ann")
    first = await session_of(scene.database, ann)
    path = f"/connections/{scene.one.id}/users/{ann.id}"
    once = hidden((await visitor.get(path)).text, "once")
    done = await visitor.post(f"{path}/end-sessions", once=once)
    later = await session_of(scene.database, ann)
    again = await visitor.post(f"{path}/end-sessions", once=once)
    assert (again.status, again.location) == (done.status, done.location)
    async with scene.database.reading() as conn:
        assert await sessions.find_live(conn, first) is None
        assert await sessions.find_live(conn, later) is not None


async def test_a_held_plan_is_decided_row_by_row_by_its_checksum(visitor: ConsoleVisitor) -> None:
    """Who is selected leaves; who is not goes on waiting; a plan that moved decides nothing."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    for who in sorted(pull.directory.entitled())[:7]:
        pull.lose(who, "disabled")
    await pull.cycle()
    async with scene.database.reading() as conn:
        [plan] = await held_plans.list_for(conn, scene.many.tenant_id, scene.many.id, status=PlanStatus.HELD)
    path = f"/connections/{scene.many.id}/plans/{plan.id}"
    shown = (await visitor.get(path)).text
    assert "7 people would lose access" in shown
    wrong = await visitor.post(f"{path}/ask", checksum="0" * 64, row="0")
    assert wrong.status == 409
    nothing = await visitor.post(f"{path}/ask", checksum=plan.checksum)
    assert "No row was selected" in nothing.text
    asked = await visitor.post(f"{path}/ask", checksum=hidden(shown, "checksum"), row="0")
    assert "1 person would lose access" in asked.text
    assert "6 other rows go on waiting" in asked.text
    assert 'name="typed"' not in asked.text
    before = await pull.active()
    form = {name: hidden(asked.text, name) for name in ("checksum", "row", "once")}
    done = await visitor.post(f"{path}/approve", None, **form)
    assert done.status == 303, done.text
    assert len(before) - len(await pull.active()) == 1
    assert "plan-approved" in done.location
    async with scene.database.reading() as conn:
        [rest] = await held_plans.list_for(conn, scene.many.tenant_id, scene.many.id, status=PlanStatus.HELD)
    assert len(rest.body["changes"]) == 6  # type: ignore[arg-type]


async def test_provision_on_demand_begins_with_a_dry_run(visitor: ConsoleVisitor) -> None:
    """The five steps come first, and the button says what it would do."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    leaver = sorted(pull.directory.entitled())[0]
    pull.lose(leaver, "disabled")
    path = f"/connections/{scene.many.id}/provision"
    dry = await visitor.post(path, subjects=leaver, deed="dry-run")
    assert "Dry run: the account would be disabled" in dry.text
    name = pull.directory.users[leaver].user_principal_name
    assert f"Do it: disable {name}" in dry.text, "a person, not an id"
    for step in ("1. Find in Entra", "2. Is in scope", "3. Match here", "4. Evaluate", "5. Perform"):
        assert step in dry.text
    assert leaver in await pull.active()
    done = await visitor.post(path, subjects=leaver, deed="do")
    assert "It was disabled; every session ended, history stays." in done.text
    assert leaver not in await pull.active()


async def test_without_a_worker_sync_now_says_so(visitor: ConsoleVisitor) -> None:
    page = await visitor.post(f"/connections/{visitor.scene.many.id}/sync")
    assert (page.status, "No worker runs" in page.text) == (503, True)


async def test_the_search_goes_to_the_person(visitor: ConsoleVisitor) -> None:
    scene = visitor.scene
    ann = await create_user(scene.database, scene.one, "ann")
    base = f"/connections/{scene.one.id}"
    found = await visitor.get(f"{base}/search?q=ANN@contoso.example")
    assert found.location.endswith(f"{base}/users/{ann.id}")
    assert (await visitor.get(f"{base}/search?q=request-1")).location.endswith(
        "/logs?correlation=request-1&days=all"
    )


async def test_no_row_is_selected_of_which_entra_proves_nothing(visitor: ConsoleVisitor) -> None:
    """W9: nobody answers to an account that the push made; that "proves nothing about the person"."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    for who in sorted(pull.directory.entitled())[:7]:
        pull.lose(who, "disabled")
    await create_user(scene.database, pull.connection, "stranger@contoso.example")
    await pull.cycle()
    async with scene.database.reading() as conn:
        plans = await held_plans.list_for(conn, scene.many.tenant_id, scene.many.id, status=PlanStatus.HELD)
    pages = [(await visitor.get(f"/connections/{scene.many.id}/plans/{plan.id}")).text for plan in plans]
    assert sorted((page.count('name="row"'), page.count(" checked ")) for page in pages) == [(1, 0), (7, 7)]


async def test_a_large_plan_lists_some_rows_finds_the_others_and_means_them_all(
    visitor: ConsoleVisitor,
) -> None:
    """A page stays small; who is not listed is meant by a tick of its own, and the number is typed."""
    scene = visitor.scene
    subject = {"type": "user", "graph_id": None, "local_id": "u"}
    rows = [
        {
            "action": "disable",
            "kind": "unmatched_account" if number == 7 else "missed_deprovision",
            "reason": "unassigned",
            "member": None,
            "subject": {**subject, "label": f"person {number}"},
        }
        for number in range(300)
    ]
    body: dict[str, JsonValue] = {"changes": rows, "keys": [f"key {number}" for number in range(300)]}
    of = scene.many.tenant_id, scene.many.id
    plan = await scene.database.write(
        lambda conn: held_plans.hold(
            *(conn, *of, CycleId("c"), "ab" * 32, "too many", body), expires_at=utc_now() + timedelta(days=1)
        )
    )
    path = f"/connections/{scene.many.id}/plans/{plan.id}"
    shown = (await visitor.get(path)).text
    assert "300 people would lose access" in shown
    assert ("200 of 300 rows are listed" in shown, "Select the 100 rows too" in shown) == (True, True)
    assert (await visitor.get(f"{path}?q=PERSON 299")).text.count('name="row"') == 1
    exported = (await visitor.get(f"{path}/rows.csv")).text.splitlines()
    assert (len(exported), exported[-1]) == (
        301,
        "299,waits,,disable,missed_deprovision,unassigned,person 299,,u",
    )
    form = [
        ("checksum", plan.checksum),
        ("rest", "yes"),
        ("row", "3"),
        *(("listed", str(n)) for n in range(200)),
    ]
    asked = await visitor.browser.post(scene.url + f"{path}/ask", form=form)
    assert "101 people would lose access" in asked.text
    assert "Type 101, the number of rows" in asked.text
    wrong = await visitor.browser.post(scene.url + f"{path}/approve", form=[*form, ("typed", "300")])
    assert (wrong.status, "Type 101 to approve" in wrong.text) == (400, True)


async def test_people_are_found_in_entra_and_here_before_anything_is_done(visitor: ConsoleVisitor) -> None:
    """issue 12: "pick people (search in Entra and here), a group, or paste a list"."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    who = sorted(pull.directory.entitled())[0]
    name = pull.directory.users[who].user_principal_name
    outside = pull.directory.create_user(
        {"userPrincipalName": "Zoe.Outside@contoso.example", "displayName": "Zoe O'Hara"}
    )
    await create_user(scene.database, scene.many, "zoe.local@contoso.example", displayName="Zoe Here")
    path = f"/connections/{scene.many.id}/provision"

    both = (await visitor.get(f"{path}?q={name[:6]}")).text
    assert f'value="{who}"' in both
    assert "here and in Entra · Entra: enabled" in both
    pull.directory.create_group({"displayName": "Zoe's team"})
    found = (await visitor.get(f"{path}?q=zoe")).text
    assert re.search(
        r"Zoe&#39;s team</bdi></b> <span class=\"badge\">group</span><span class=\"under\">only in Entra",
        found,
    )
    [(group, here), *_] = sorted((await pull.groups()).items())
    of_group = (await visitor.get(f"{path}?q={here.display_name}")).text
    assert re.search(rf'value="{group}".*?group</span><span class="under">here and in Entra', of_group)
    assert (f'value="{outside.id}"' in found, "only in Entra" in found, "only here" in found) == (
        True,
        True,
        True,
    )
    assert "Zoe O&#39;Hara" in (await visitor.get(f"{path}?q=Zoe%20O'H")).text
    assert "No one in Entra or here" in (await visitor.get(f"{path}?q=nobody-at-all")).text

    pull.simulator.simulation.faults.arm(Fault(re.compile("GET .*/users"), status=403, body={"error": {}}))
    refused = (await visitor.get(f"{path}?q=zoe")).text
    assert ("Entra could not be asked" in refused, "only here" in refused) == (True, True)


async def test_entras_values_of_now_stand_beside_those_of_the_account(visitor: ConsoleVisitor) -> None:
    """issue 12, A person: "attributes with origin and Entra's value beside ours"."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    who = sorted(pull.directory.entitled())[0]
    account = (await pull.users())[who]
    pull.directory.change_user(who, {"jobTitle": "Admiral"})
    path = f"/connections/{scene.many.id}/users/{account.id}"
    before = (await visitor.get(path)).text
    assert ("Admiral" in before, "Entra now</th>" in before) == (False, False)
    assert re.search(r'data-label="Said by">Pull, ', before)

    compared = (await visitor.post(f"{path}/entra")).text

    first = compared[compared.index("Entra now</th>") :]
    assert re.search(r"<tr class=\"chosen\"><td title=\"title\">.*?Admiral", first, re.DOTALL)
    assert first.count("differs") == 1
    assert "the account there is enabled" in compared
    pull.lose(who, "purged")
    gone = (await visitor.post(f"{path}/entra")).text
    assert "Entra could not be asked about this person" in gone


async def test_a_person_whose_removal_waits_is_not_called_entitled(visitor: ConsoleVisitor) -> None:
    """What the last reading found speaks first: there is access, and Entra does not give it any more."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    leavers = sorted(pull.directory.entitled())[:7]
    for who in leavers:
        pull.lose(who, "disabled")
    await pull.cycle()
    account = (await pull.users())[leavers[0]]
    page = (await visitor.get(f"/connections/{scene.many.id}/users/{account.id}")).text
    assert "Entra does not entitle this person any more." in page
    assert "a held plan waits for a decision" in page
    assert "Entitled in Entra" not in page


async def test_a_decision_that_makes_no_sense_is_refused_and_decides_nothing(
    visitor: ConsoleVisitor,
) -> None:
    """Numbers and dates that no form of ours sends are a refusal with a remedy, no failure of Leaver."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    for who in sorted(pull.directory.entitled())[:7]:
        pull.lose(who, "disabled")
    await pull.cycle()
    async with scene.database.reading() as conn:
        [plan] = await held_plans.list_for(conn, scene.many.tenant_id, scene.many.id, status=PlanStatus.HELD)
    path = f"/connections/{scene.many.id}/plans/{plan.id}"
    for decision, form in (
        ("ask", {"row": "9" * 5_000}),
        ("approve", {"row": "9" * 5_000}),
        ("approve", {"row": "-1"}),
        ("approve", {"rest": "yes", "listed": "9" * 5_000, "row": "99"}),
        ("reject", {"row": "0", "until": "9999-12-31"}),
        ("reject", {"row": "0", "until": "0001-01-01"}),
        ("reject", {"row": "0", "until": "tomorrow"}),
    ):
        refused = await visitor.post(f"{path}/{decision}", None, checksum=plan.checksum, **form)
        assert refused.status in (400, 409), form
        assert "Something went wrong" not in refused.text, form
    async with scene.database.reading() as conn:
        [still] = await held_plans.list_for(conn, scene.many.tenant_id, scene.many.id, status=PlanStatus.HELD)
    assert still.checksum == plan.checksum


async def test_a_person_is_entitled_by_the_assignment_that_the_page_names(visitor: ConsoleVisitor) -> None:
    """Issue 12, A person: "groups and by which assignment they are entitled"."""
    scene, pull = visitor.scene, visitor.scene.pull
    await pull.cycle()
    directory, accounts = pull.directory, await pull.users()
    [through, *_] = [
        each
        for each in directory.groups
        if each in directory.assignments and directory.groups[each].member_ids
    ]
    member = next(each for each in sorted(directory.groups[through].member_ids) if each in accounts)
    alone = directory.create_user({"userPrincipalName": "alone@contoso.example", "displayName": "Alone"})
    directory.assign(alone.id)
    await pull.cycle()
    base = f"/connections/{scene.many.id}/users"
    name = directory.groups[through].text("displayName")
    listed = (await visitor.get(f"/connections/{scene.many.id}/groups?q={name}")).text
    assert 'data-label="In Entra">assigned<' in listed
    shown = (await visitor.get(f"{base}/{accounts[member].id}")).text
    assert re.search(rf"Assigned through <a [^>]*><bdi>{re.escape(name or '')}", shown)
    shown = (await visitor.get(f"{base}/{(await pull.users())[alone.id].id}")).text
    assert ("Assigned directly" in shown, "Assigned through" in shown) == (True, False)
    by_hand = await create_user(scene.database, scene.one, "by-hand")
    shown = (await visitor.get(f"/connections/{scene.one.id}/users/{by_hand.id}")).text
    assert "not linked to a person in Entra" in shown


async def test_earlier_holders_of_an_account_are_told(visitor: ConsoleVisitor) -> None:
    """Issue 12, A person: "holder and earlier holders"."""
    scene = visitor.scene
    first, second = (GraphId(f"{number}" * 8 + "-0000-4000-8000-000000000000") for number in (1, 2))
    command = CreateUser(person("ann"), entra_object_id=first)
    [made] = await perform(scene.database, scene.one, command)
    assert isinstance(made.record, User)
    path = f"/connections/{scene.one.id}/users/{made.record.id}"
    assert "Earlier holders" not in (await visitor.get(path)).text
    await perform(scene.database, scene.one, ChangeHolder(made.record.id, second), origin=Origin.GRAPH)
    shown = (await visitor.get(path)).text
    assert re.search(
        rf"Earlier holders</dt>.*?<li value=\"1\">.*?ann@contoso.example.*?{first}", shown, re.DOTALL
    )


async def test_of_two_forms_filled_in_at_once_one_is_saved_and_the_other_told(
    visitor: ConsoleVisitor,
) -> None:
    """The comparison is part of the transaction that writes: neither overwrites the other unseen."""
    scene = visitor.scene
    base = f"/connections/{scene.one.id}"
    opened = (await visitor.get(f"{base}/settings")).text
    shown = dict(re.findall(r'name="was\.(\w+)" value="([^"]*)"', opened.partition("/settings/policy")[2]))
    form = {f"was.{name}": value for name, value in shown.items()} | shown
    sent = [{**form, "interval_minutes": minutes} for minutes in ("7", "9")]
    answers = await asyncio.gather(*(visitor.post(f"{base}/settings/policy", None, **each) for each in sent))
    assert sorted(answer.status for answer in answers) == [303, 409]
    marks = [{"version": hidden((await visitor.get(f"{base}/users/{scene.admin.id}")).text, "version")}] * 2
    path = f"{base}/users/{scene.admin.id}/protect"
    answers = await asyncio.gather(*(visitor.post(path, None, **each, protect="yes") for each in marks))
    assert sorted(answer.status for answer in answers) == [303, 409]
    lines = {"path": "userName", "source": "mail", "version": "0", "confirmed": "yes"}
    answers = await asyncio.gather(
        *(visitor.browser.post(f"{scene.url}{base}/mapping", form=lines) for _ in range(2))
    )
    assert sorted(answer.status for answer in answers) == [303, 409]


async def test_a_name_is_found_by_its_beginning_and_the_page_says_so(visitor: ConsoleVisitor) -> None:
    """A page of 100,000 accounts looks at beginnings first, and offers the rest."""
    scene = visitor.scene
    for name in ("ann", "joann"):
        await create_user(scene.database, scene.one, name)
    path = f"/connections/{scene.one.id}/users"
    begins = (await visitor.get(f"{path}?q=Ann")).text
    assert ("Names that begin so" in begins, "joann@" in begins) == (True, False)
    within = (await visitor.get(f"{path}?q=Ann&anywhere=yes")).text
    assert ("Names that have it anywhere" in within, "joann@" in within) == (True, True)
    assert "joann@" in (await visitor.get(f"{path}?q=oann")).text
    assert "joann@" in (await visitor.get(f"{path}.csv?q=Ann")).text
