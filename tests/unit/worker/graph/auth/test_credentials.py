"""Credentials are complete, keep to themselves, and say when they end."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.builders.certificates import CERTIFICATE, ENDS, KEY, make_key, pem_of
from worker.graph.auth.credentials import Credential
from worker.graph.auth.tokens import roles_of
from worker.graph.errors import ConnectionUnusable, MalformedAnswer


@pytest.mark.parametrize(
    "credential",
    [
        Credential(secret="hush"),
        Credential(certificate_pem=pem_of(KEY, CERTIFICATE)),
        Credential(certificate_pem=pem_of(KEY, CERTIFICATE, b"hush"), certificate_password="hush"),
        Credential(federated_token_file="/var/run/secrets/azure/tokens/azure-identity-token"),
        Credential(secret="hush", secret_expires=ENDS),
        Credential(secret_file="/run/secrets/graph"),
        Credential(certificate_file="/run/secrets/graph.pfx", certificate_password="hush"),
        Credential(managed_identity="system"),
    ],
    ids=[
        *("secret", "certificate", "locked certificate", "federated", "secret that ends"),
        *("secret in a file", "certificate in a file", "managed identity"),
    ],
)
def test_a_credential_survives_being_stored(credential: Credential) -> None:
    assert Credential.from_text(credential.to_text()) == credential


def test_a_credential_does_not_show_itself() -> None:
    """Invariant I9: no secret in logs or errors."""
    shown = repr(Credential(secret="hush")) + repr(Credential(certificate_pem=pem_of(KEY, CERTIFICATE)))
    assert "hush" not in shown
    assert "BEGIN" not in shown


def test_exactly_one_kind_is_given() -> None:
    with pytest.raises(ConnectionUnusable, match="none or several"):
        Credential()
    with pytest.raises(ConnectionUnusable, match="none or several"):
        Credential(secret="hush", federated_token_file="/token")


def test_a_certificate_knows_its_end_and_a_secret_what_it_was_told() -> None:
    """Issue 3: "Expiry known, warned of 30, 7 and 1 days ahead"."""
    assert Credential(secret="hush", secret_expires=ENDS).expires_at == ENDS
    assert Credential(certificate_pem=pem_of(KEY, CERTIFICATE)).expires_at == ENDS
    assert Credential(secret="hush").expires_at is None


def test_a_pfx_file_becomes_certificate_and_key() -> None:
    pfx = pkcs12.serialize_key_and_certificates(
        b"leaver", KEY, CERTIFICATE, None, serialization.BestAvailableEncryption(b"hush")
    )
    credential = Credential.from_certificate(pfx, "hush")
    assert credential.expires_at == ENDS
    assert "BEGIN PRIVATE KEY" in credential.for_msal("")["private_key"]
    with pytest.raises(ConnectionUnusable, match="cannot be opened"):
        Credential.from_certificate(pfx, "wrong")


@pytest.mark.parametrize(
    ("pem", "password", "why"),
    [
        ("no pem at all", None, "lacks the certificate"),
        (CERTIFICATE.public_bytes(serialization.Encoding.PEM).decode(), None, "lacks the certificate"),
        (pem_of(KEY, CERTIFICATE, b"hush"), None, "cannot be read"),
        (pem_of(KEY, CERTIFICATE, b"hush"), "wrong", "cannot be read"),
        (pem_of(make_key(), CERTIFICATE), None, "do not belong together"),
    ],
    ids=["text", "no key", "no password", "wrong password", "another key"],
)
def test_an_unusable_certificate_says_why(pem: str, password: str | None, why: str) -> None:
    with pytest.raises(ConnectionUnusable, match=why):
        Credential(certificate_pem=pem, certificate_password=password)


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.W10.c"])
def test_permissions_of_an_unreadable_token_are_not_taken_for_none(token: str) -> None:
    with pytest.raises(MalformedAnswer):
        roles_of(token)


def test_a_secret_in_a_file_is_read_at_each_use(tmp_path: Path) -> None:
    """Issue 3: a credential "sealed in the store or from a file": who rotates the file need not tell Leaver."""
    file = tmp_path / "secret"
    file.write_text("old\n")
    credential = Credential(secret_file=str(file))
    assert credential.in_hand().secret == "old"
    file.write_text("new\n")
    assert credential.in_hand().secret == "new"
    assert "new" not in credential.to_text()


@pytest.mark.parametrize("form", ["pem", "pfx"])
def test_a_certificate_in_a_file_is_read_at_each_use(tmp_path: Path, form: str) -> None:
    pfx = pkcs12.serialize_key_and_certificates(
        b"leaver", KEY, CERTIFICATE, None, serialization.BestAvailableEncryption(b"hush")
    )
    file = tmp_path / "certificate"
    file.write_bytes(pfx if form == "pfx" else pem_of(KEY, CERTIFICATE, b"hush").encode())
    credential = Credential(certificate_file=str(file), certificate_password="hush")
    assert credential.expires_at == ENDS
    assert credential.in_hand().for_msal("")["private_key"]
    file.write_text("no certificate")
    with pytest.raises(ConnectionUnusable):
        _ = credential.expires_at


@pytest.mark.parametrize(
    "credential",
    [Credential(secret_file="/nowhere/secret"), Credential(certificate_file="/nowhere/certificate")],
    ids=["secret", "certificate"],
)
def test_a_file_that_is_not_there_is_named(credential: Credential) -> None:
    with pytest.raises(ConnectionUnusable, match="file cannot be read") as raised:
        credential.in_hand()
    assert "/nowhere/" in raised.value.remedy


def test_a_secret_file_with_nothing_in_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConnectionUnusable, match="empty"):
        Credential(secret_file=str(tmp_path / "empty")).in_hand()
