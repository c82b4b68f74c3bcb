"""The app registration of the connected application: its credentials, and what an admin
consented to.
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DEFAULT_CONSENT = frozenset(
    {
        "Application.Read.All",
        "Directory.Read.All",
        "GroupMember.Read.All",
        "ProvisioningLog.Read.All",
        "Synchronization.ReadWrite.All",
        "User.Read.All",
    }
)
"""What a read-only reconciliation with provision on demand needs.

`Directory.Read.All` is for `/users/{id}/appRoleAssignments`
(user-list-approleassignments names nothing smaller)."""


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Whose assertions stand for the app's own credential: all three must match
    exactly.
    """

    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


@dataclass(slots=True)
class Registration:
    client_id: str
    secrets: dict[str, datetime | None]
    """Secret -> when it expires; None: never."""
    roles: frozenset[str] = DEFAULT_CONSENT
    certificates: dict[str, x509.Certificate] = field(default_factory=dict)
    """By thumbprint, SHA-256 (`x5t#S256`) and SHA-1 (`x5t`), base64url: both name the
    same certificate."""

    redirect_uris: set[str] = field(default_factory=set)
    """Where sign-in may send the browser back to, letter by letter (reply URLs)."""
    logout_url: str | None = None
    """Loaded in the browser of a person who signs out (front-channel logout)."""
    sign_in_consent: bool = True
    """Whether people may sign in without asking an admin first."""
    federated: list[FederatedCredential] = field(default_factory=list)
    managed_identities: dict[str, str] = field(
        default_factory=lambda: {
            "system": "5a1e0000-0000-4000-8000-000000000001",
            "0a5e51de-0000-4000-8000-000000000002": "5a1e0000-0000-4000-8000-000000000003",
        }
    )
    """What the machine beside the app may be: `system` or a client id -> object id of
    the identity."""
    identity_header: str = "identity-header-of-the-platform"
    """What App Service puts into `IDENTITY_HEADER`."""

    def add_certificate(self, pem: str) -> str:
        """Register a certificate for client assertions; give its SHA-256 thumbprint."""
        certificate = x509.load_pem_x509_certificate(pem.encode())
        der = certificate.public_bytes(Encoding.DER)
        thumbprint = _base64url(hashlib.sha256(der).digest())
        self.certificates[thumbprint] = certificate
        self.certificates[_base64url(hashlib.sha1(der).digest())] = certificate  # noqa: S324  # x5t is SHA-1
        return thumbprint

    def certificate(self, thumbprint: str) -> x509.Certificate | None:
        return self.certificates.get(thumbprint.rstrip("="))  # msal pads it

    def public_key(self, thumbprint: str) -> str | None:
        """Return the public key, as PEM, of the certificate with that thumbprint."""
        certificate = self.certificate(thumbprint)
        if certificate is None:
            return None
        key = certificate.public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
