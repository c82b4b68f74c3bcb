"""The stage: simulator and server as real processes in a temporary folder, with one customer connected."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from console.demo import company
from console.demo.app import App
from console.demo.entra import Entra
from console.demo.processes import Json, Troupe, troupe
from store.records import ConnectionId, TenantId


@dataclass(frozen=True, slots=True)
class Stage:
    """A running installation with one tenant and one connection to a simulated Entra tenant."""

    troupe: Troupe
    entra: Entra
    app: App
    connection: Json
    """As `leaver connection create --json` gave it."""
    token: str

    @property
    def scim_url(self) -> str:
        url: str = self.connection["scim_url"]
        return url

    def leaver(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> Json:
        """Runs one command on this installation and gives its JSON document."""
        document: Json = self.troupe.leaver(*arguments, accept=accept)
        return document


@contextmanager
def set_up(folder: Path) -> Iterator[Stage]:
    """Starts simulator and server, makes the customer and its connection; at the end ends what it started.

    The connection has no Graph credential yet: push comes first, as in the setup guides.
    """
    database_url = f"sqlite+aiosqlite:///{folder}/leaver.db"
    environment = {"LEAVER_DATABASE_URL": database_url, "LEAVER_SECRET_KEY": secrets.token_urlsafe(32)}
    with troupe(folder, environment) as processes:
        size = ("--users", str(company.PEOPLE), "--groups", str(company.GROUPS), "--seed", str(company.SEED))
        entra = Entra(processes.start("simulator", "--port", "0", *size))
        processes.leaver("db", "upgrade")
        server = processes.start("serve", "--port", "0", "--json")
        processes.environment["LEAVER_PUBLIC_URL"] = server["url"]
        tenant = processes.leaver("tenant", "create", "Fabrikam")
        urls = ("--login-url", entra.ready["login_url"], "--graph-url", entra.ready["graph_url"])
        app_id = ("--app-id", entra.ready["app_id"])
        connection = processes.leaver(
            "connection", "create", tenant["slug"], "--name", "entra", *urls, *app_id
        )
        token = processes.leaver("token", "create", "entra", "--name", "entra")["token"]
        app = App(database_url, TenantId(tenant["id"]), ConnectionId(connection["id"]))
        yield Stage(processes, entra, app, connection, token)
