"""The Graph credential as options: sealed values, or paths read at each use."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import inputs
from console.cli.options import takes_options
from console.errors import WrongUse

if TYPE_CHECKING:
    from worker.graph.auth.credentials import Credential

ENTRA = "Microsoft Entra"

_ONE_OF = (
    *("client_secret", "client_secret_file", "certificate", "certificate_file"),
    *("federated_token_file", "managed_identity"),
)


AppId = Annotated[
    str | None,
    typer.Option(
        help="Application ID whose assignments count; default: the client's own.",
        rich_help_panel=ENTRA,
    ),
]


@dataclass(frozen=True, slots=True)
class CredentialOptions:
    """The options by which a connection is given its Graph credential.

    None if not given.

    Each field is one option; its name, type and help are those of the field.
    """

    entra_tenant_id: Annotated[
        str | None,
        typer.Option(help="Directory (tenant) ID: Entra admin center > Overview.", rich_help_panel=ENTRA),
    ] = None
    client_id: Annotated[
        str | None,
        typer.Option(help="Application (client) ID: App registrations > your app.", rich_help_panel=ENTRA),
    ] = None
    client_secret: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE|@FILE|-",
            help="The secret's value (not its ID). @FILE or - (standard input) keep it out of the history.",
            rich_help_panel=ENTRA,
        ),
    ] = None
    client_secret_file: Annotated[
        Path | None,
        typer.Option(
            help="Instead: a mounted file with the secret's value; only its path is stored, it is read at each use.",
            rich_help_panel=ENTRA,
        ),
    ] = None
    client_secret_expires: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="When the secret ends (Certificates & secrets shows it): Leaver warns ahead.",
            rich_help_panel=ENTRA,
        ),
    ] = None
    certificate: Annotated[
        str | None,
        typer.Option(
            metavar="PEM|@FILE|-",
            help="Instead of a secret: certificate and private key in one PEM text, or a PFX file.",
            rich_help_panel=ENTRA,
        ),
    ] = None
    certificate_file: Annotated[
        Path | None,
        typer.Option(
            help="Instead: a mounted PEM or PFX file; only its path is stored, it is read at each use.",
            rich_help_panel=ENTRA,
        ),
    ] = None
    certificate_password: Annotated[
        str | None,
        typer.Option(
            metavar="VALUE|@FILE|-", help="Password of the key or the PFX file.", rich_help_panel=ENTRA
        ),
    ] = None
    federated_token_file: Annotated[
        Path | None,
        typer.Option(
            help="Instead: the token that workload identity projects (AZURE_FEDERATED_TOKEN_FILE).",
            rich_help_panel=ENTRA,
        ),
    ] = None
    managed_identity: Annotated[
        str | None,
        typer.Option(
            metavar="system|CLIENT_ID",
            help="Instead: the machine's managed identity, trusted by the app as a federated credential.",
            rich_help_panel=ENTRA,
        ),
    ] = None

    def credential(self) -> Credential | None:
        """Return the given credential, or None.

        Raises `WrongUse`, `GraphNeedsHuman`.
        """
        given = [name for name in _ONE_OF if getattr(self, name)]
        if len(given) > 1:
            both = " and ".join(map(_option, given))
            raise WrongUse(f"{both} together", "an app shows one credential", "Give one of them")
        self._check_companions()
        if not given:
            return None
        self._check_paths()
        return self._secret() or self._certificate() or self._federated()

    def _secret(self) -> Credential | None:
        from worker.graph.auth.credentials import Credential

        expires = self.client_secret_expires
        expires = expires.replace(tzinfo=UTC) if expires else None
        if expires is not None and expires <= datetime.now(UTC):
            raise WrongUse(
                f"--client-secret-expires {expires:%Y-%m-%d}",
                "this day has passed, so the secret is none",
                "Make a new secret in Entra: Certificates & secrets",
            )
        if self.client_secret_file:
            return Credential(secret_file=str(self.client_secret_file), secret_expires=expires)
        if not self.client_secret:
            return None
        secret = inputs.secret(self.client_secret, "--client-secret")
        return Credential(secret=secret, secret_expires=expires)

    def _certificate(self) -> Credential | None:
        from worker.graph.auth.credentials import Credential

        given = self.certificate_password
        password = inputs.secret(given, "--certificate-password") if given else None
        if self.certificate_file:
            return Credential(certificate_file=str(self.certificate_file), certificate_password=password)
        if not self.certificate:
            return None
        return Credential.from_certificate(inputs.content(self.certificate, "--certificate"), password)

    def _federated(self) -> Credential:
        from worker.graph.auth.credentials import Credential

        if self.federated_token_file:
            return Credential(federated_token_file=str(self.federated_token_file))
        return Credential(managed_identity=self.managed_identity)

    def _check_companions(self) -> None:
        if self.client_secret_expires and not (self.client_secret or self.client_secret_file):
            raise WrongUse(
                "--client-secret-expires alone", "it goes with a secret", "Give the secret as well"
            )
        if self.certificate_password and not (self.certificate or self.certificate_file):
            raise WrongUse(
                "--certificate-password alone", "it goes with a certificate", "Give the certificate as well"
            )

    def _check_paths(self) -> None:
        for each in fields(self):
            path = getattr(self, each.name)
            if isinstance(path, Path) and not path.is_absolute():
                raise WrongUse(
                    f"{_option(each.name)} {path}",
                    "it is read later, by processes that run in other directories",
                    "Give the whole path, beginning with /",
                )


takes_credential = takes_options("entra", CredentialOptions)
"""Give a command the credential options in place of its parameter `entra`."""


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
