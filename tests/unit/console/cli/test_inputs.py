"""Secrets and URLs as a person types them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from console.admin.connections.errors import InvalidServiceUrl, UrlRole
from console.admin.connections.service_urls import check_service_url
from console.cli import inputs
from console.cli.error_messages import worded
from console.errors import WrongUse


def test_a_secret_is_taken_as_typed() -> None:
    """design.md §6: "a value, @FILE, or `-` for standard input"."""
    assert inputs.secret("s3cret", "--client-secret") == "s3cret"


def test_a_secret_is_read_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    """Editors end files with a newline; Entra's secrets have none."""
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert inputs.secret(f"@{file}", "--client-secret") == "s3cret"


def test_a_secret_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """design.md §6: "`-` for standard input"."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"s3cret\r\n")))
    assert inputs.secret("-", "--client-secret") == "s3cret"


@pytest.mark.parametrize("value", ["@/no/such/file", "", "  "])
def test_an_absent_secret_is_wrong_use_that_names_the_option(value: str) -> None:
    """A stored empty secret would only fail at the next cycle, far from its cause."""
    with pytest.raises(WrongUse, match="--client-secret"):
        inputs.secret(value, "--client-secret")


def test_a_file_that_is_no_text_is_refused_without_a_decoding_error(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongUse, match="not text"):
        inputs.secret(f"@{file}", "--client-secret")


@pytest.mark.parametrize(
    "url",
    ["https://graph.microsoft.us", "http://127.0.0.1:9000", "http://localhost:9000/", "http://[::1]:9000"],
)
def test_https_and_loopback_urls_are_accepted_without_their_trailing_slash(url: str) -> None:
    """design.md §6: "plain http is refused except for loopback"."""
    assert check_service_url(url, UrlRole.GRAPH) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://graph.microsoft.com",
        "http://10.0.0.5:9000",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "graph.microsoft.com",
        "ftp://graph.microsoft.com",
        "https://",
        "http://[",
    ],
)
def test_plain_http_to_another_machine_and_what_is_no_url_are_refused(url: str) -> None:
    """design.md §6: "plain http is refused except for loopback", and only for loopback."""
    with pytest.raises(InvalidServiceUrl) as refused:
        check_service_url(url, UrlRole.GRAPH)
    assert "--graph-url" in str(worded(refused.value))
