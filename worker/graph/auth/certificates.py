"""Read certificates with their keys from PEM or PFX, check them, pass them to msal."""

from __future__ import annotations

import re
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from worker.graph.errors import credential_unusable

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)


def pem_of_pfx(pfx: bytes, password: str | None = None) -> str:
    """Return certificates (leaf first) and key of a PFX (PKCS #12) file as PEM.

    Raises `ConnectionUnusable`.
    """
    try:
        bundle = pkcs12.load_pkcs12(pfx, password.encode() if password else None)
    except ValueError as error:
        raise credential_unusable("the PFX file cannot be opened", "Check file and password.") from error
    if bundle.key is None or bundle.cert is None:
        raise credential_unusable(
            "the PFX file lacks the certificate or its private key", "Export it with its private key."
        )
    key = bundle.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificates = [entry.certificate for entry in (bundle.cert, *bundle.additional_certs)]
    texts = [certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates]
    return b"".join([*texts, key]).decode()


def check_pem(pem: str, password: str | None) -> None:
    """Raise `ConnectionUnusable` unless `pem` holds a certificate and its own key."""
    key = _KEY.search(pem)
    if key is None or not _CERTIFICATE.search(pem):
        raise credential_unusable(
            "the certificate text lacks the certificate or its private key",
            "Give both in one PEM text: -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----.",
        )
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        private = serialization.load_pem_private_key(
            key.group().encode(), password.encode() if password else None
        )
    except (ValueError, TypeError) as error:
        raise credential_unusable(
            "the certificate or its key cannot be read", "Check the PEM text and the key's password."
        ) from error
    if certificate.public_key() != private.public_key():
        raise credential_unusable(
            "certificate and private key do not belong together",
            "Give the key the certificate was made with.",
        )


def end_of(pem: str) -> datetime:
    """Return when the (leaf) certificate ends."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def for_msal(pem: str, password: str | None) -> dict[str, str | None]:
    """Return the certificate as `client_credential`, as msal documents it.

    Source: `msal.ConfidentialClientApplication`.
    """
    key = _KEY.search(pem)
    return {
        "private_key": key.group() if key else "",
        "public_certificate": "\n".join(_CERTIFICATE.findall(pem)),
        "passphrase": password,
    }
