"""Values a person gives: secrets by `@FILE` or standard input, URLs that may carry a token."""

from __future__ import annotations

import getpass
import sys
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from console.errors import WrongUse
from worker.graph.auth import clouds


def secret(value: str, option: str) -> str:
    """Gives the secret meant by `value`: itself, the text of a file (`@FILE`), or standard input (`-`).

    A file or standard input keeps it out of the shell's history and the process list. Raises `WrongUse`.
    """
    try:
        text = content(value, option).decode().strip()
    except UnicodeDecodeError:
        raise WrongUse(f"{option} {value}", "this is not text", "Check which file was given") from None
    if not text:
        raise WrongUse(
            f"{option} is empty", "there is nothing to store", "Give a value, @FILE, or - for standard input"
        )
    return text


def service_url(value: str, option: str) -> str:
    """Gives the URL without a trailing slash; raises `WrongUse` unless https, or http to this machine."""
    try:
        parts = urlsplit(value)
    except ValueError:  # half a bracket of an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongUse(
            f"{option} {value!r}", "this is not a URL", "Give one such as https://graph.microsoft.com"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise WrongUse(
            f"{option} {value!r}",
            "plain http would send the credential in clear to another machine",
            "Use https; http is only for a simulator on this machine (127.0.0.1)",
        )
    return value.rstrip("/")


def cloud(login_url: str, graph_url: str) -> tuple[str, str]:
    """Gives both URLs; raises `WrongUse` unless they belong to one of Microsoft's clouds, or to a simulator here."""
    login, graph = service_url(login_url, "--login-url"), service_url(graph_url, "--graph-url")
    if wrong := clouds.misfit(login, graph):
        raise WrongUse(f"--login-url {login} with --graph-url {graph}", wrong.why, wrong.remedy)
    return login, graph


def is_loopback(host: str) -> bool:
    """Says whether a host name means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def content(value: str, option: str) -> bytes:
    """Gives the bytes meant by `value`: its own, those of a file (`@FILE`), or standard input (`-`).

    At a terminal `-` asks for one line and does not show what is typed.
    """
    if value == "-" and sys.stdin.isatty():
        return getpass.getpass(f"{option.removeprefix('--')}: ").encode()
    if value == "-":
        return sys.stdin.buffer.read()
    if not value.startswith("@"):
        return value.encode()
    try:
        return Path(value[1:]).read_bytes()
    except OSError as error:
        why = f"the file cannot be read ({error.strerror})"
        raise WrongUse(f"{option} {value}", why, "Check path and permissions") from None
