"""`leaver token`: the secrets that Entra and scripts send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import FLAG, AsJson, ConnectionReference
from console.cli.output import View, show
from console.errors import WrongUse

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True,
    help="API tokens: the Secret Token an admin pastes into Entra. Shown once, stored as a hash.",
)

operator = typer.Typer(no_args_is_help=True, help="Tokens of operators: the admin API over all tenants.")
app.add_typer(operator, name="operator")

TokenReference = Annotated[
    str, typer.Argument(metavar="TOKEN", help="Id of the token, or its name where unique.")
]
TokenWords = Annotated[
    list[str],
    typer.Argument(
        metavar="[CONNECTION] TOKEN",
        help="Name of the token, after its connection where several have one of this name; or its id, "
        "8 characters of it, or the beginning of the secret that `token list` shows.",
    ),
]
ExpiresDays = Annotated[
    int | None,
    typer.Option(
        min=1, max=3650, help="Days until it stops working; default: never. Entra does not renew it."
    ),
]


FEDERATION = "Workload identity federation"
AllowAddress = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS|NETWORK", help="Only from here. May be given several times."),
]


@app.command("create")
def create(
    connection: ConnectionReference,
    name: Annotated[str, typer.Option(help="Where it is used, for example 'entra'.")],
    permission: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECTION:ACTION",
            help="May be given several times. Default: admin:user:* and admin:group:*, what Entra needs.",
        ),
    ] = None,
    expires_days: ExpiresDays = None,
    allow_address: AllowAddress = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="USERNAME|ID",
            help="It stands for this user: it reaches /Me and nobody else. Default permission: admin:user:read.",
        ),
    ] = None,
    federation_subject: Annotated[
        str | None,
        typer.Option(
            metavar="OBJECT_ID",
            help="No secret: Entra shows an assertion of this subject (`sub`).",
            rich_help_panel=FEDERATION,
        ),
    ] = None,
    federation_audience: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AUD",
            help="An audience (`aud`) of these assertions. May be given several times: any of them will do.",
            rich_help_panel=FEDERATION,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Generate a token. It is printed once: copy it before you close the window.

    Sections: admin:user, admin:group (create read update delete), admin:sync (read run
    approve), admin:report (read), admin:token. A section alone, or a star, means all
    its actions.
    """
    from console.admin import api_tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    wanted = api_tokens.NewToken(
        name=name,
        permissions=permission,
        expires_days=expires_days,
        allowed_addresses=allow_address or (),
        user=user,
        federation_subject=federation_subject,
        federation_audiences=federation_audience or (),
    )

    async def work(services: Services, actor: Actor) -> View:
        return views.created(await api_tokens.create(services, actor, connection, wanted), services.settings)

    show(run(work), as_json=as_json)


@app.command("list")
def list_(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """List a connection's tokens: state, expiry, last use.

    Secrets are not kept, so none is shown.
    """
    from datetime import UTC, datetime

    from console.admin import api_tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    async def work(services: Services, actor: Actor) -> View:
        return views.listed(await api_tokens.list_for(services, actor, connection), datetime.now(UTC))

    show(run(work), as_json=as_json)


def _connection_and_name(words: list[str]) -> tuple[str | None, str]:
    if len(words) > 2:
        raise WrongUse(
            " ".join(words), "this is more than a connection and a token", "Quote a name with spaces"
        )
    return (words[0], words[1]) if len(words) == 2 else (None, words[0])


@app.command("revoke")
def revoke(
    token: TokenWords,
    replaced: Annotated[
        bool,
        typer.Option(
            "--replaced",
            metavar=FLAG,
            help="The tokens of CONNECTION whose successor is in use, after a rotation.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Revoke a token at once and for good.

    A client that still sends it gets 403 with the reason. After a rotation: `leaver
    token revoke CONNECTION --replaced`.
    """
    from console.admin import api_tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    connection, name = _connection_and_name(token)

    async def end_replaced(services: Services, actor: Actor) -> View:
        return views.replaced_revoked(await api_tokens.revoke_replaced(services, actor, name))

    async def work(services: Services, actor: Actor) -> View:
        return views.revoked(await api_tokens.revoke(services, actor, name, connection=connection))

    show(run(end_replaced if replaced else work), as_json=as_json)


@app.command("suspend")
def suspend(token: TokenWords, as_json: AsJson = False) -> None:
    """Refuse a token until it is resumed. A client gets 403 with the reason."""
    from console.admin import api_tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    connection, name = _connection_and_name(token)

    async def work(services: Services, actor: Actor) -> View:
        return views.changed(
            await api_tokens.suspend(services, actor, name, connection=connection),
            "is suspended: it gets 403 until resumed",
        )

    show(run(work), as_json=as_json)


@app.command("resume")
def resume(token: TokenWords, as_json: AsJson = False) -> None:
    """Let a suspended token in again."""
    from console.admin import api_tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    connection, name = _connection_and_name(token)

    async def work(services: Services, actor: Actor) -> View:
        return views.changed(
            await api_tokens.resume(services, actor, name, connection=connection), "works again"
        )

    show(run(work), as_json=as_json)


@app.command("allow")
def allow(
    token: TokenReference,
    address: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS|NETWORK]...", help="None: from anywhere.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set from which addresses a token may be used; without any, from everywhere.

    Entra's provisioning service calls from the addresses of the service tag
    AzureActiveDirectory.
    """
    from console.admin import api_tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    async def work(services: Services, actor: Actor) -> View:
        changed = await api_tokens.allow_addresses(services, actor, token, address or ())
        where = ", ".join(changed.allowed_addresses) or "anywhere"
        return views.changed(changed, f"may be used from {where}")

    show(run(work), as_json=as_json)


@app.command("rotate")
def rotate(
    token: TokenWords,
    overlap_days: Annotated[
        int, typer.Option(min=0, max=365, help="Days the old token still works; 0 revokes it at once.")
    ] = 7,
    expires_days: ExpiresDays = None,
    as_json: AsJson = False,
) -> None:
    """Generate a successor of the same name and permissions; the old one works on.

    Paste the new one into Entra, press Test Connection, save.
    """
    from console.admin import api_tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    connection, name = _connection_and_name(token)

    async def work(services: Services, actor: Actor) -> View:
        made = await api_tokens.rotate(
            services, actor, name, overlap_days, expires_days, connection=connection
        )
        return views.created(made, services.settings)

    show(run(work), as_json=as_json)


@operator.command("create")
def create_for_operator(
    name: Annotated[str, typer.Argument(help="Where it is used, for example 'vendor-app'.")],
    permission: Annotated[
        list[str] | None,
        typer.Option(metavar="SECTION:ACTION", help="May be given several times. Default: everything."),
    ] = None,
    expires_days: ExpiresDays = None,
    as_json: AsJson = False,
) -> None:
    """Generate a token that acts over all tenants. It is printed once."""
    from console.admin.operators import tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    async def work(services: Services, actor: Actor) -> View:
        made, secret = await tokens.create(services, actor, name, permission or (), expires_days)
        return views.created_for_operator(made, secret)

    show(run(work), as_json=as_json)


@operator.command("list")
def list_of_operators(as_json: AsJson = False) -> None:
    """List the tokens of operators; secrets are not kept."""
    from console.admin.operators import tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    async def work(services: Services, actor: Actor) -> View:
        return views.listed_of_operators(await tokens.list_all(services, actor))

    show(run(work), as_json=as_json)


@operator.command("revoke")
def revoke_of_operator(token: TokenReference, as_json: AsJson = False) -> None:
    """End an operator's token at once and for good."""
    from console.admin.operators import tokens
    from console.cli.session import run
    from console.cli.views import tokens as views

    async def work(services: Services, actor: Actor) -> View:
        return views.listed_of_operators([await tokens.revoke(services, actor, token)])

    show(run(work), as_json=as_json)
