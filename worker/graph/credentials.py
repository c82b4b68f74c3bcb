"""The app's own credential towards Entra: client secret, certificate with its key, or federated token."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from worker.graph.errors import ConnectionUnusable

_PEM_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_PEM_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Credential:
    """Exactly one of: a client secret, a certificate with its key, a file with a federated token.

    The file is what workload identity projects into a pod (`AZURE_FEDERATED_TOKEN_FILE`); it is read for each
    token.
    """

    secret: str | None = field(default=None, repr=False)
    certificate_pem: str | None = field(default=None, repr=False)
    """Certificate (leaf first) and private key, one after the other in one PEM text."""
    certificate_password: str | None = field(default=None, repr=False)
    federated_token_file: str | None = None

    def __post_init__(self) -> None:
        given = [self.secret, self.certificate_pem, self.federated_token_file]
        if sum(1 for value in given if value) != 1:
            raise unusable(
                "none or several of client secret, certificate and federated token are set",
                "Set exactly one.",
            )
        if self.certificate_pem:
            _check_pem(self.certificate_pem, self.certificate_password)

    @classmethod
    def from_pfx(cls, pfx: bytes, password: str | None = None) -> Self:
        """Takes certificate and key out of a PFX (PKCS #12) file."""
        try:
            bundle = pkcs12.load_pkcs12(pfx, password.encode() if password else None)
        except ValueError as error:
            raise unusable("the PFX file cannot be opened", "Check file and password.") from error
        if bundle.key is None or bundle.cert is None:
            raise unusable(
                "the PFX file lacks the certificate or its private key", "Export it with its private key."
            )
        key = bundle.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificates = [entry.certificate for entry in (bundle.cert, *bundle.additional_certs)]
        texts = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates]
        return cls(certificate_pem=b"".join([*texts, key]).decode())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads what `to_text` wrote."""
        return cls(**msgspec.json.decode(text.encode(), type=dict[str, str]))

    def to_text(self) -> str:
        """One line of JSON, to be sealed and stored."""
        names = ("secret", "certificate_pem", "certificate_password", "federated_token_file")
        return msgspec.json.encode(
            {name: getattr(self, name) for name in names if getattr(self, name)}
        ).decode()

    @property
    def expires_at(self) -> datetime | None:
        """When the certificate ends; None for a secret, whose end only Entra knows."""
        if self.certificate_pem is None:
            return None
        return x509.load_pem_x509_certificate(self.certificate_pem.encode()).not_valid_after_utc

    def for_msal(self) -> Any:
        """`client_credential` as `msal.ConfidentialClientApplication` documents it."""
        if self.secret:
            return self.secret
        if self.federated_token_file:
            path = Path(self.federated_token_file)
            return {"client_assertion": lambda: path.read_text().strip()}
        pem = self.certificate_pem or ""
        key = _PEM_KEY.search(pem)
        return {
            "private_key": key.group() if key else "",
            "public_certificate": "\n".join(_PEM_CERTIFICATE.findall(pem)),
            "passphrase": self.certificate_password,
        }


def _check_pem(pem: str, password: str | None) -> None:
    key = _PEM_KEY.search(pem)
    if key is None or not _PEM_CERTIFICATE.search(pem):
        raise unusable(
            "the certificate text lacks the certificate or its private key",
            "Give both in one PEM text: -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----.",
        )
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        private = serialization.load_pem_private_key(
            key.group().encode(), password.encode() if password else None
        )
    except (ValueError, TypeError) as error:
        raise unusable(
            "the certificate or its key cannot be read", "Check the PEM text and the key's password."
        ) from error
    if certificate.public_key() != private.public_key():
        raise unusable(
            "certificate and private key do not belong together",
            "Give the key the certificate was made with.",
        )


def unusable(why: str, remedy: str) -> ConnectionUnusable:
    """Says why the credential (or where it is to be shown) cannot be used, and what to do."""
    return ConnectionUnusable(f"The Graph credential cannot be used: {why}.", remedy)
