"""The Graph credential as it is typed: values that are sealed, or paths that are read at each use."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from console.cli import inputs
from console.errors import WrongUse
from worker.graph.auth.credentials import Credential

_ONE_OF = (
    *("client_secret", "client_secret_file", "certificate", "certificate_file"),
    *("federated_token_file", "managed_identity"),
)


@dataclass(frozen=True, slots=True)
class TypedCredential:
    """The credential options of `leaver connection create` and `set`; None where not given."""

    client_secret: str | None = None
    client_secret_file: Path | None = None
    client_secret_expires: datetime | None = None
    certificate: str | None = None
    certificate_file: Path | None = None
    certificate_password: str | None = None
    federated_token_file: Path | None = None
    managed_identity: str | None = None

    def read(self) -> Credential | None:
        """Gives the credential; None where none was typed. Raises `WrongUse`, `GraphNeedsHuman`."""
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
        expires = self.client_secret_expires
        expires = expires.replace(tzinfo=UTC) if expires else None
        if self.client_secret_file:
            return Credential(secret_file=str(self.client_secret_file), secret_expires=expires)
        if not self.client_secret:
            return None
        secret = inputs.secret(self.client_secret, "--client-secret")
        return Credential(secret=secret, secret_expires=expires)

    def _certificate(self) -> Credential | None:
        typed = self.certificate_password
        password = inputs.secret(typed, "--certificate-password") if typed else None
        if self.certificate_file:
            return Credential(certificate_file=str(self.certificate_file), certificate_password=password)
        if not self.certificate:
            return None
        return Credential.from_certificate(inputs.content(self.certificate, "--certificate"), password)

    def _federated(self) -> Credential:
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


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
