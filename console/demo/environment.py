"""The demo's installation: simulator and server as real processes in one folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.keys import new_key
from console.demo.entra_admin import GROUPS, PEOPLE, SEED, Entra
from console.demo.processes import Json, ProcessGroup, process_group
from console.demo.vendor_app import VendorApp
from console.demo.webhook_receiver import WebhookReceiver, receiving
from store.records import ConnectionId, TenantId


@dataclass(frozen=True, slots=True)
class Environment:
    """A running installation with one connection to a simulated Entra tenant."""

    processes: ProcessGroup
    entra: Entra
    app: VendorApp
    connection: Json
    """The document of `leaver connection create --json`."""
    token: str
    receiver: WebhookReceiver

    @property
    def scim_url(self) -> str:
        """Return the SCIM base URL of the server."""
        url: str = self.connection["scim_url"]
        return url

    @property
    def addresses(self) -> Json:
        """Return where everything is, for a person who goes on by hand."""
        return {
            "scim_url": self.scim_url,
            "token": self.token,
            "admin_url": self.entra.ready["admin_url"],
            "folder": str(self.processes.folder),
        }

    def sign_in_link(self) -> str:
        """Return a link that signs the reader in as an operator, once within 15 min."""
        url: str = self.leaver("operator", "invite", "you")["url"]
        return url

    def leaver(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> Json:
        """Run one command on this installation, and return its JSON document."""
        document: Json = self.processes.leaver(*arguments, accept=accept)
        return document


@contextmanager
def set_up(folder: Path) -> Iterator[Environment]:
    """Start simulator and server, and create one tenant with its connection.

    Everything that was started ends with the context.
    """
    database_url = f"sqlite+aiosqlite:///{folder}/leaver.db"
    environment = {
        "LEAVER_DATABASE_URL": database_url,
        "LEAVER_SECRET_KEY": new_key(),
        "LEAVER_ALLOW_SIMULATOR": "1",
    }
    size = ("--users", str(PEOPLE), "--groups", str(GROUPS), "--seed", str(SEED))
    with receiving() as receiver, process_group(folder, environment) as processes:
        simulator = processes.start("simulator", "--port", "0", *size)
        processes.leaver("db", "upgrade")
        server = processes.start("serve", "--port", "0", "--json")
        tenant = processes.leaver("tenant", "create", "Fabrikam")
        processes.environment["LEAVER_PUBLIC_URL"] = server()["url"]
        entra = Entra(simulator())
        connection = processes.leaver(
            *("connection", "create", tenant["slug"], "--name", "entra", "--mode", "enforce"),
            *_graph_options(entra.ready),
        )
        token = processes.leaver("token", "create", "entra", "--name", "entra")["token"]
        webhook = processes.leaver(
            "webhook", "create", receiver.url, "--type", "session.revoked", "--acknowledges"
        )
        receiver.secret = webhook["secret"]
        app = VendorApp(database_url, TenantId(tenant["id"]), ConnectionId(connection["id"]))
        yield Environment(processes, entra, app, connection, token, receiver)


def _graph_options(ready: Json) -> list[str]:
    """Return the simulator's own values as options of `leaver connection create`."""
    names = ("entra_tenant_id", "client_id", "client_secret", "app_id", "login_url", "graph_url")
    return [word for name in names for word in (f"--{name.replace('_', '-')}", ready[name])]
