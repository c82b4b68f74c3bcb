"""Hold the app's credential for Entra: secret, certificate or federated assertion.

A credential in a file (a mounted secret, a projected token) is kept as its path and
read at each use, so that a rotated file needs no change in Leaver.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from worker.graph.auth import certificates
from worker.graph.auth.assertions import assertion_from_file, assertion_from_managed_identity
from worker.graph.errors import credential_unusable

SYSTEM_ASSIGNED = "system"
"""Value of `managed_identity` for the machine's own identity.

Any other value is the client id of a user-assigned identity.
"""


@dataclass(frozen=True, slots=True)
class Credential:
    """One of secret, certificate, federated token file and managed identity.

    Secret and certificate may be files.
    """

    secret: str | None = field(default=None, repr=False)
    secret_file: str | None = None
    secret_expires: datetime | None = None
    """End of the client secret as an admin typed it: Entra does not tell it to the app.
    """
    certificate_pem: str | None = field(default=None, repr=False)
    """Certificate (leaf first) and private key, one after the other in one PEM text."""
    certificate_file: str | None = None
    """PEM or PFX."""
    certificate_password: str | None = field(default=None, repr=False)
    federated_token_file: str | None = None
    """What workload identity projects into a pod (`AZURE_FEDERATED_TOKEN_FILE`)."""
    managed_identity: str | None = None
    """`system`, or the client id of a user-assigned one: its token is the assertion."""

    @property
    def is_of_this_machine(self) -> bool:
        """Return whether it is a file or the identity of the machine of Leaver."""
        files = self.secret_file, self.certificate_file, self.federated_token_file
        return any((*files, self.managed_identity))

    def __post_init__(self) -> None:
        kinds = (
            *(self.secret, self.secret_file, self.certificate_pem, self.certificate_file),
            *(self.federated_token_file, self.managed_identity),
        )
        if sum(1 for value in kinds if value) != 1:
            raise credential_unusable(
                "none or several of client secret, certificate, federated token and managed identity are set",
                "Set exactly one.",
            )
        if self.certificate_pem:
            certificates.check_pem(self.certificate_pem, self.certificate_password)

    @classmethod
    def from_certificate(cls, content: bytes, password: str | None = None) -> Self:
        """Return a certificate with its key, from PEM or PFX (PKCS #12).

        Raises `ConnectionUnusable`.
        """
        if content.lstrip().startswith(b"-----BEGIN"):
            return cls(certificate_pem=content.decode("ascii", "replace"), certificate_password=password)
        return cls(certificate_pem=certificates.pem_of_pfx(content, password))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parse the text that `to_text` wrote."""
        stored = msgspec.json.decode(text.encode(), type=dict[str, str])
        expires = stored.pop("secret_expires", None)
        return cls(**stored, secret_expires=datetime.fromisoformat(expires) if expires else None)

    def to_text(self) -> str:
        """Return one line of JSON, to be sealed and stored."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name)}
        return msgspec.json.encode(given).decode()

    @property
    def expires_at(self) -> datetime | None:
        """Return when the credential ends, or None if that is not known.

        Reads the certificate's file. Raises `ConnectionUnusable`.
        """
        if self.certificate_file:
            return self.in_hand().expires_at
        return certificates.end_of(self.certificate_pem) if self.certificate_pem else self.secret_expires

    def in_hand(self) -> Credential:
        """Return the credential with the present content of its file.

        Raises `ConnectionUnusable`.
        """
        if self.secret_file:
            secret = _content(self.secret_file, "client secret").decode("utf-8", "replace").strip()
            if not secret:
                raise credential_unusable("the client secret file is empty", "Write the secret into it.")
            return Credential(secret=secret, secret_expires=self.secret_expires)
        if self.certificate_file:
            content = _content(self.certificate_file, "certificate")
            return Credential.from_certificate(content, self.certificate_password)
        return self

    def for_msal(self, audience: str) -> Any:
        """Return `client_credential`, as msal documents it.

        Call it on the result of `in_hand`. `audience` is for a managed identity's
        token. Source: `msal.ConfidentialClientApplication`.
        """
        if self.secret:
            return self.secret
        if self.certificate_pem:
            return certificates.for_msal(self.certificate_pem, self.certificate_password)
        if path := self.federated_token_file:
            return {"client_assertion": lambda: assertion_from_file(Path(path))}
        client_id = None if self.managed_identity == SYSTEM_ASSIGNED else self.managed_identity
        return {"client_assertion": lambda: assertion_from_managed_identity(client_id, audience)}


def _content(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise credential_unusable(
            f"the {what} file cannot be read ({error.strerror})", f"Check path and mode of {path}."
        ) from error
