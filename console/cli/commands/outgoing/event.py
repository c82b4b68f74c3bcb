"""`leaver event`: what happened, as the vendor's app hears it; `leaver signing-key`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from config.visible_text import visible
from console.cli.options import AsJson
from console.cli.output import View, show

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services
    from store.records import Event

app = typer.Typer(no_args_is_help=True, help="Events: what happened, as the vendor's app hears it.")
signing_keys = typer.Typer(no_args_is_help=True, help="Keys that sign security event tokens (SSF).")

Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Only these: `user.deprovisioned`, or a family: `user`."),
]
OfTenant = Annotated[
    str | None, typer.Option("--tenant", metavar="TENANT", help="Only of this tenant; default: of all.")
]
Start = Annotated[
    str | None, typer.Option("--after", metavar="CURSOR", help="Cursor of the feed, the `next` of a page.")
]


@app.command("tail")
def tail(types: Types = None, tenant: OfTenant = None, after: Start = None) -> None:
    """Print events as they come, one JSON document a line, until Ctrl-C.

    Without --after it begins with the next event.
    """
    from console.admin.events import feed
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> None:
        reader = await _restricted(services, actor, tenant)
        place = after or await feed.latest(services, reader)
        while True:
            request = feed.FeedRequest(place, types or (), limit=100, wait_s=30)
            page = await feed.read(services, reader, request)
            place = page.next
            _write_lines(page.events)

    run(work)


@app.command("replay")
def replay(
    types: Types = None,
    tenant: OfTenant = None,
    after: Start = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the events that are kept, the oldest first, and the cursor to go on from.

    To send them to a webhook once more: leaver webhook replay.
    """
    from console.admin.events import feed
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        reader = await _restricted(services, actor, tenant)
        request = feed.FeedRequest(after, types or (), limit=limit)
        return views.listed(await feed.read(services, reader, request))

    show(run(work), as_json=as_json)


@signing_keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys that receivers verify with, the newest first."""
    from console.admin.events import signing_keys as use_cases
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        return views.signing_keys(await use_cases.list_all(services, actor))

    show(run(work), as_json=as_json)


@signing_keys.command("rotate")
def rotate_key(
    now: Annotated[
        bool,
        typer.Option("--now", help="The old key is known to others: drop it, and sign with the new one."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new key: it is published at once, and signs in ten minutes."""
    from console.admin.events import signing_keys as use_cases
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        return views.signing_keys(await use_cases.rotate(services, actor, at_once=now))

    show(run(work), as_json=as_json)


async def _restricted(services: Services, actor: Actor, tenant: str | None) -> Actor:
    """Return the actor as one of this tenant, so that it reads that tenant's feed."""
    from console.admin import tenants

    if tenant is None:
        return actor
    return replace(actor, tenant=(await tenants.show(services, actor, tenant)).id)


def _write_lines(events: Sequence[Event]) -> None:
    from console.documents.events import event

    for each in events:
        sys.stdout.write(visible(json.dumps(event(each), ensure_ascii=False)) + "\n")
    sys.stdout.flush()
