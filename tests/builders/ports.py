"""Ports for real processes that are told their port before they start."""

from __future__ import annotations

import os
import socket
from itertools import chain

# Linux takes the port of an outgoing connection from 32768 upwards (ip_local_port_range of tcp(7)). A port of
# there that is free now may be the near end of a neighbour's connection when the process binds it, seconds later.
LOWEST, ABOVE = 12_000, 32_768
# Test processes get process ids in sequence; each begins a stretch of its own.
STRETCH = 128

_first = LOWEST + os.getpid() * STRETCH % (ABOVE - LOWEST)
_next = chain(range(_first, ABOVE), range(LOWEST, _first))


def free_port() -> int:
    """Gives a port of 127.0.0.1 that nothing listens on; never the same one twice in a process."""
    return next(port for port in _next if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
