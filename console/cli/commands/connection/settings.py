"""`leaver connection`: make a link to Entra, show it, and change what it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.credential_input import ENTRA, AppId, CredentialOptions, takes_credential
from console.cli.inputs import confirm
from console.cli.options import (
    FLAG,
    AsJson,
    ConnectionReference,
    OnlyStates,
    ReturnUrls,
    TenantReference,
    Yes,
)
from console.cli.output import View, show
from console.cli.policy_input import IntervalMinutes, PolicyOptions, takes_policy
from store.records import Connection, MembershipMode, Mode, Scope

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.connections.settings import ConnectionChanges
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True,
    help="A customer's links to Microsoft Entra: URLs to paste, Graph credentials, mode.",
)

CLOUD, POLICY = "Another cloud, or the simulator", "Policy"


def say_after(
    change: Callable[[Services, Actor], Awaitable[Connection]],
    what: Callable[[Connection], str],
    *,
    as_json: bool,
) -> None:
    """Change one thing of a connection, and say what is so now."""
    from console.cli.session import run
    from console.cli.views import connections as views

    async def work(services: Services, actor: Actor) -> View:
        changed = await change(services, actor)
        return views.changed(changed, services.settings, what(changed))

    show(run(work), as_json=as_json)


def _show_after(change: Callable[[Services, Actor], Awaitable[Connection]], *, as_json: bool) -> None:
    """Change a connection, and show it as it is then."""
    from console.admin.connections.overview import ConnectionDetails
    from console.cli.session import run
    from console.cli.views import connections as views

    async def work(services: Services, actor: Actor) -> View:
        return views.shown(ConnectionDetails(await change(services, actor)), services.settings)

    show(run(work), as_json=as_json)


@app.command("create")
@takes_credential
def create(
    tenant: TenantReference,
    name: Annotated[str, typer.Option(help="What you call it; unique within the tenant.")],
    entra: CredentialOptions,
    app_id: AppId = None,
    login_url: Annotated[
        str, typer.Option(help="https, or http on this machine only.", rich_help_panel=CLOUD)
    ] = "https://login.microsoftonline.com",
    graph_url: Annotated[
        str, typer.Option(help="https, or http on this machine only.", rich_help_panel=CLOUD)
    ] = "https://graph.microsoft.com",
    scope: Annotated[
        Scope,
        typer.Option(
            help="Who counts: people assigned to the application, or everybody.", rich_help_panel=POLICY
        ),
    ] = Scope.ASSIGNED,
    membership: Annotated[
        MembershipMode,
        typer.Option(
            help="Direct members of assigned groups, as Entra provisions; or nested ones too.",
            rich_help_panel=POLICY,
        ),
    ] = MembershipMode.DIRECT,
    interval_minutes: IntervalMinutes = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="report finds drift and changes nothing; enforce repairs it.", rich_help_panel=POLICY
        ),
    ] = Mode.REPORT,
    as_json: AsJson = False,
) -> None:
    """Connect a tenant to one Entra directory and one enterprise application.

    Push alone (SCIM) needs only a name. The pull needs tenant ID, client ID and one
    credential; they can follow with `leaver connection set`. Mode report is the way to
    start.
    """
    from console.admin.connections import settings
    from console.cli.session import run
    from console.cli.views import connections as views

    wanted = settings.NewConnection(
        name=name,
        entra_tenant_id=entra.entra_tenant_id,
        client_id=entra.client_id,
        credential=entra.credential(),
        app_id=app_id,
        login_url=login_url,
        graph_url=graph_url,
        scope=scope,
        membership=membership,
        interval_minutes=interval_minutes,
        mode=mode,
    )

    async def work(services: Services, actor: Actor) -> View:
        return views.created(await settings.create(services, actor, tenant, wanted), services.settings)

    show(run(work), as_json=as_json)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="Only this tenant's.")] = None,
    state: OnlyStates = None,
    as_json: AsJson = False,
) -> None:
    """List connections with their state, mode and last cycle."""
    from console.admin.connections import overview
    from console.cli.session import run
    from console.cli.views import connections as views

    async def work(services: Services, actor: Actor) -> View:
        found = await overview.list_all(services, actor, tenant, state or ())
        return views.listed(found, services.settings, is_filtered=bool(tenant or state))

    show(run(work), as_json=as_json)


@app.command("show")
def show_(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """Show one connection: the values to paste into Entra, its state, its policy.

    Never a secret.
    """
    from console.admin.connections import overview
    from console.cli.session import run
    from console.cli.views import connections as views

    async def work(services: Services, actor: Actor) -> View:
        return views.shown(await overview.show(services, actor, connection), services.settings)

    show(run(work), as_json=as_json)


@app.command("set")
@takes_credential
@takes_policy
def set_(
    connection: ConnectionReference,
    entra: CredentialOptions,
    policy: PolicyOptions,
    app_id: AppId = None,
    login_url: Annotated[
        str | None, typer.Option(help="Another cloud's; together with its credential.", rich_help_panel=CLOUD)
    ] = None,
    graph_url: Annotated[
        str | None, typer.Option(help="Another cloud's; together with its credential.", rich_help_panel=CLOUD)
    ] = None,
    interval_minutes: IntervalMinutes = None,
    return_url: ReturnUrls = None,
    no_test: Annotated[
        bool,
        typer.Option(
            "--no-test",
            metavar=FLAG,
            help="Store a new credential without asking Entra for a token first.",
            rich_help_panel=ENTRA,
        ),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give a connection a new Graph credential, or change its policy.

    A change of who counts (scope, membership, filters, application) shows its effect in
    numbers first, and asks; --yes does not. A new credential is tested before the
    stored one goes. After both, the next cycle holds all removals.
    """
    from console.admin.connections import settings

    changes = settings.ConnectionChanges(
        entra_tenant_id=entra.entra_tenant_id,
        client_id=entra.client_id,
        credential=entra.credential(),
        interval_minutes=interval_minutes,
        login_url=login_url,
        graph_url=graph_url,
        app_id=app_id,
        return_urls=return_url,
        policy=policy.changes(),
        tests_credential=not no_test,
    )
    if not yes:
        _confirm_scope(connection, changes)
    _show_after(
        lambda services, actor: settings.change(services, actor, connection, changes), as_json=as_json
    )


def _confirm_scope(connection: str, changes: ConnectionChanges) -> None:
    """Show what the change does to who counts, and ask."""
    from console.admin.connections import scope_effect as use_cases
    from console.cli.session import run
    from console.cli.views import policy as views

    effect = run(lambda services, actor: use_cases.scope_effect(services, actor, connection, changes))
    if effect is not None:
        confirm(views.scope_effect(effect))


@app.command("rename")
def rename(
    connection: ConnectionReference,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Unique within the tenant.")],
    as_json: AsJson = False,
) -> None:
    """Give a connection another name. Its id, URLs and tokens stay."""
    from console.admin.connections import settings

    say_after(
        lambda services, actor: settings.rename(services, actor, connection, name),
        lambda changed: f"has this name now; its id is {changed.id}, as before",
        as_json=as_json,
    )


@app.command("declare")
def declare(
    connection: ConnectionReference,
    attribute: Annotated[
        list[str], typer.Argument(metavar="URN:ATTRIBUTE...", help="As it stands in Entra's mapping.")
    ],
    withdraw: Annotated[
        bool, typer.Option("--withdraw", metavar=FLAG, help="No longer declare them; their values stay.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Declare custom attributes of Entra's mapping, so that /Schemas lists them.

    Entra calls `urn:ietf:params:scim:schemas:extension:{Name}:2.0:User:{attribute}` a
    custom extension.
    """
    from console.admin.connections import settings

    say_after(
        lambda services, actor: settings.declare(services, actor, connection, attribute, withdraw=withdraw),
        lambda changed: f"declares {', '.join(changed.policy.extensions) or 'no custom attribute'}",
        as_json=as_json,
    )
