"""The options by which a connection is given its Graph credential; `console.cli.credential_input` reads them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

ENTRA = "Microsoft Entra"

EntraTenantId = Annotated[
    str | None,
    typer.Option(help="Directory (tenant) ID: Entra admin center > Overview.", rich_help_panel=ENTRA),
]
ClientId = Annotated[
    str | None,
    typer.Option(help="Application (client) ID: App registrations > your app.", rich_help_panel=ENTRA),
]
ClientSecret = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE|@FILE|-",
        help="The secret's value (not its ID). @FILE or - (standard input) keep it out of the history.",
        rich_help_panel=ENTRA,
    ),
]
Certificate = Annotated[
    str | None,
    typer.Option(
        metavar="PEM|@FILE|-",
        help="Instead of a secret: certificate and private key in one PEM text, or a PFX file.",
        rich_help_panel=ENTRA,
    ),
]
CertificatePassword = Annotated[
    str | None,
    typer.Option(metavar="VALUE|@FILE|-", help="Password of the key or the PFX file.", rich_help_panel=ENTRA),
]
ClientSecretFile = Annotated[
    Path | None,
    typer.Option(
        help="Instead: a mounted file with the secret's value; only its path is stored, it is read at each use.",
        rich_help_panel=ENTRA,
    ),
]
ClientSecretExpires = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        metavar="YYYY-MM-DD",
        help="When the secret ends (Certificates & secrets shows it): Leaver warns ahead.",
        rich_help_panel=ENTRA,
    ),
]
CertificateFile = Annotated[
    Path | None,
    typer.Option(
        help="Instead: a mounted PEM or PFX file; only its path is stored, it is read at each use.",
        rich_help_panel=ENTRA,
    ),
]
FederatedTokenFile = Annotated[
    Path | None,
    typer.Option(
        help="Instead: the token that workload identity projects (AZURE_FEDERATED_TOKEN_FILE).",
        rich_help_panel=ENTRA,
    ),
]
ManagedIdentity = Annotated[
    str | None,
    typer.Option(
        metavar="system|CLIENT_ID",
        help="Instead: the machine's managed identity, trusted by the app as a federated credential.",
        rich_help_panel=ENTRA,
    ),
]
