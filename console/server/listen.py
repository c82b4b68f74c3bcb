"""Listen on a port, or say why that is not possible."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from console.errors import CommandError

BACKLOG = 512

_REASONS = {
    errno.EADDRINUSE: ("the port is in use", "Stop the other program, or choose another port with {port}"),
    errno.EACCES: ("permission denied", "Ports below 1024 are for root; choose another with {port}"),
    errno.EADDRNOTAVAIL: ("this machine has no such address", "Choose one of its own with {host}"),
}


@dataclass(frozen=True, slots=True)
class AddressOptions:
    """What a person types to listen elsewhere."""

    host: str = "--host"
    port: str = "--port"


OPTIONS = AddressOptions()


def listen(host: str, port: int, options: AddressOptions = OPTIONS) -> socket.socket:
    """Return a listening socket. Raises `CommandError` that says why not."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise refusal(host, port, error, options) from error


def refusal(host: str, port: int, error: OSError, options: AddressOptions = OPTIONS) -> CommandError:
    """Return the error that says why a port cannot be listened on."""
    known = _REASONS.get(error.errno or 0)
    why, remedy = known or (error.strerror or str(error), "Check {host} and {port}")
    remedy = remedy.format(host=options.host, port=options.port)
    return CommandError(f"cannot listen on {host}:{port}", why, remedy)


def url_of(sock: socket.socket) -> str:
    """Return the URL by which this machine reaches the socket."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
