"""A tenant and its connection to a simulated directory, as an admin would have set it up."""

from __future__ import annotations

from config.keys import Sealer
from simulator.server import Simulator
from store.database import Database
from store.records import Connection, Mode, Policy
from store.tenancy import connections, tenants
from tests.builders.secret_keys import secret_key
from worker.graph.auth.credentials import Credential

SECRET_KEY = secret_key("an installation")


async def connect(
    database: Database, simulator: Simulator, tenant_name: str, policy: Policy | None = None
) -> Connection:
    """Makes a tenant and a connection to the simulator's directory; in mode `enforce` where no policy is given."""
    told = simulator.ready()
    sealed = Sealer([SECRET_KEY]).seal(Credential(secret=told["client_secret"]).to_text())
    tenant = await database.write(lambda conn: tenants.create(conn, tenant_name))
    return await database.write(
        lambda conn: connections.create(
            conn,
            tenant.id,
            "Entra",
            connections.ConnectionSettings(
                entra_tenant_id=told["entra_tenant_id"],
                client_id=told["client_id"],
                app_id=told["app_id"],
                login_url=told["login_url"],
                graph_url=told["graph_url"],
                policy=policy or Policy(mode=Mode.ENFORCE),
                sealed_credential=sealed,
            ),
        )
    )
