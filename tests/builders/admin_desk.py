"""What a use case is called with, and the directory behind it."""

from __future__ import annotations

from dataclasses import dataclass

from console.admin.actor import Actor
from console.admin.services import Services
from simulator.server import Simulator
from store.records import Connection


@dataclass(frozen=True)
class AdminDesk:
    """The services of use cases, an operator, and a connection to the simulator."""

    services: Services
    operator: Actor
    connection: Connection
    simulator: Simulator
