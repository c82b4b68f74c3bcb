"""`leaver connection`: a tenant's links to Entra."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.commands.credential_options import (
    ENTRA,
    Certificate,
    CertificateFile,
    CertificatePassword,
    ClientId,
    ClientSecret,
    ClientSecretExpires,
    ClientSecretFile,
    EntraTenantId,
    FederatedTokenFile,
    ManagedIdentity,
)
from console.cli.options import FLAG, AsJson, ConnectionReference, TenantReference
from console.cli.output import View, show
from store.records import Connection, MembershipMode, Mode, Scope

if TYPE_CHECKING:
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True,
    help="A customer's links to Microsoft Entra: URLs to paste, Graph credentials, mode.",
)

CLOUD, POLICY = "Another cloud, or the simulator", "Policy"

IntervalMinutes = Annotated[
    int | None,
    typer.Option(
        min=1, max=10_080, help="Minutes between two cycles. Entra's own is 40.", rich_help_panel=POLICY
    ),
]


def _show_after(change: Callable[[Services], Awaitable[Connection]], *, as_json: bool) -> None:
    """Changes a connection and shows it as it is then."""
    from console.admin.services import run
    from console.cli.views import connections as views

    async def work(services: Services) -> View:
        return views.shown(await change(services), services.settings)

    show(run(work), as_json=as_json)


@app.command("create")
def create(
    tenant: TenantReference,
    name: Annotated[str, typer.Option(help="What you call it; unique within the tenant.")],
    entra_tenant_id: EntraTenantId = None,
    client_id: ClientId = None,
    client_secret: ClientSecret = None,
    client_secret_file: ClientSecretFile = None,
    client_secret_expires: ClientSecretExpires = None,
    certificate: Certificate = None,
    certificate_file: CertificateFile = None,
    certificate_password: CertificatePassword = None,
    federated_token_file: FederatedTokenFile = None,
    managed_identity: ManagedIdentity = None,
    app_id: Annotated[
        str | None,
        typer.Option(
            help="Application ID whose assignments count; default: the client's own.",
            rich_help_panel=ENTRA,
        ),
    ] = None,
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

    Push alone (SCIM) needs only a name. The pull needs tenant ID, client ID and one credential;
    they can follow with `leaver connection set`. Mode report is the way to start.
    """
    from console.admin import connections
    from console.admin.services import run
    from console.cli.credential_input import TypedCredential
    from console.cli.views import connections as views

    typed = TypedCredential(
        client_secret=client_secret,
        client_secret_file=client_secret_file,
        client_secret_expires=client_secret_expires,
        certificate=certificate,
        certificate_file=certificate_file,
        certificate_password=certificate_password,
        federated_token_file=federated_token_file,
        managed_identity=managed_identity,
    )
    wanted = connections.NewConnection(
        name=name,
        entra_tenant_id=entra_tenant_id,
        client_id=client_id,
        credential=typed.read(),
        app_id=app_id,
        login_url=login_url,
        graph_url=graph_url,
        scope=scope,
        membership=membership,
        interval_minutes=interval_minutes,
        mode=mode,
    )

    async def work(services: connections.Services) -> View:
        return views.created(await connections.create(services, tenant, wanted), services.settings)

    show(run(work), as_json=as_json)


@app.command("list")
def list_(
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="Only this tenant's.")] = None,
    as_json: AsJson = False,
) -> None:
    """List connections with their state, mode and last cycle."""
    from console.admin import references
    from console.admin.services import run
    from console.cli.views import connections as views
    from store.tenancy import connections, tenants

    async def work(services: Services) -> View:
        async with services.db.reading() as conn:
            slugs = {known.id: known.slug for known in await tenants.list_all(conn)}
            if tenant is None:
                found = await connections.list_all(conn)
            else:
                found = await connections.list_for(conn, (await references.tenant(conn, tenant)).id)
        return views.listed(found, slugs, services.settings)

    show(run(work), as_json=as_json)


@app.command("show")
def show_(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """Show one connection: the values to paste into Entra, its state, its policy. Never a secret."""
    from console.admin import references
    from console.admin.services import run
    from console.cli.views import connections as views
    from store.sync import cycles
    from store.tenancy import api_tokens

    async def work(services: Services) -> View:
        async with services.db.reading() as conn:
            found = await references.connection(conn, connection)
            known = await api_tokens.list_for(conn, found.tenant_id, found.id)
            running = await cycles.running(conn, found.tenant_id, found.id)
        return views.shown(found, services.settings, known, running)

    show(run(work), as_json=as_json)


@app.command("set")
def set_(
    connection: ConnectionReference,
    entra_tenant_id: EntraTenantId = None,
    client_id: ClientId = None,
    client_secret: ClientSecret = None,
    client_secret_file: ClientSecretFile = None,
    client_secret_expires: ClientSecretExpires = None,
    certificate: Certificate = None,
    certificate_file: CertificateFile = None,
    certificate_password: CertificatePassword = None,
    federated_token_file: FederatedTokenFile = None,
    managed_identity: ManagedIdentity = None,
    login_url: Annotated[
        str | None, typer.Option(help="Another cloud's; together with its credential.", rich_help_panel=CLOUD)
    ] = None,
    graph_url: Annotated[
        str | None, typer.Option(help="Another cloud's; together with its credential.", rich_help_panel=CLOUD)
    ] = None,
    interval_minutes: IntervalMinutes = None,
    as_json: AsJson = False,
) -> None:
    """Give a connection a new Graph credential, or another interval.

    After a new credential the next cycle holds all removals: it may see another directory.
    """
    from console.admin import connections
    from console.cli.credential_input import TypedCredential

    typed = TypedCredential(
        client_secret=client_secret,
        client_secret_file=client_secret_file,
        client_secret_expires=client_secret_expires,
        certificate=certificate,
        certificate_file=certificate_file,
        certificate_password=certificate_password,
        federated_token_file=federated_token_file,
        managed_identity=managed_identity,
    )
    changes = connections.Changes(
        entra_tenant_id, client_id, typed.read(), interval_minutes, login_url, graph_url
    )

    _show_after(lambda services: connections.change(services, connection, changes), as_json=as_json)


@app.command("mode")
def mode(
    connection: ConnectionReference,
    mode: Annotated[Mode, typer.Argument(help="report: find drift, change nothing. enforce: repair it.")],
    as_json: AsJson = False,
) -> None:
    """Switch between report (shadow) and enforce.

    Look at a few reports first: `leaver drift show` lists what enforce would have done.
    """
    from console.admin import connections

    _show_after(lambda services: connections.set_mode(services, connection, mode), as_json=as_json)


@app.command("test")
def probe(connection: ConnectionReference, as_json: AsJson = False) -> int:
    """Ask Entra for a token and read the application, its assignments and one user. Changes nothing."""
    from console.admin import doctor
    from console.admin.services import run
    from console.cli.views import checks as views

    checks = run(lambda services: doctor.test_connection(services, connection))
    show(views.shown(checks), as_json=as_json)
    return views.exit_code(checks)


@app.command("pause")
def pause(
    connection: ConnectionReference,
    reason: Annotated[str, typer.Option(help="Why; shown to whoever wonders.")] = "paused by an operator",
    as_json: AsJson = False,
) -> None:
    """Stop push and pull. Entra gets 503 with Retry-After and tries again later; nothing is lost."""
    from console.admin import connections

    _show_after(lambda services: connections.pause(services, connection, reason), as_json=as_json)


@app.command("resume")
def resume(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """End a pause or a quarantine; a cycle is due at once."""
    from console.admin import connections

    _show_after(lambda services: connections.resume(services, connection), as_json=as_json)


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
    """Declare custom attributes that Entra's mapping sends, so that /Schemas lists them.

    urn:ietf:params:scim:schemas:extension:{Name}:2.0:User:{attribute} is what Entra calls a custom extension.
    """
    from console.admin import connections

    _show_after(
        lambda services: connections.declare(services, connection, attribute, withdraw=withdraw),
        as_json=as_json,
    )
