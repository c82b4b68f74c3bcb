"""Self-signed certificates and their keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

ENDS = datetime(2031, 5, 11, tzinfo=UTC)


def make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make_certificate(key: rsa.RSAPrivateKey, ends: datetime = ENDS) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaver")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(ends - timedelta(days=365)).not_valid_after(ends)
    return builder.sign(key, hashes.SHA256())


def pem_of(key: rsa.RSAPrivateKey, certificate: x509.Certificate, password: bytes | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()


KEY = make_key()
CERTIFICATE = make_certificate(KEY)
