"""When the client secret ends: the app registration tells, to whoever may read applications.

Graph never shows a secret, only its first three characters (`hint`) and its end (Graph, "passwordCredential").
An app that is registered in another directory is not found; then an admin's word is all there is.
"""

from __future__ import annotations

from datetime import datetime

from worker.graph import queries, wire
from worker.graph.client import GraphClient
from worker.graph.errors import GraphError

HINT_LENGTH = 3


async def read_end_of_secret(graph: GraphClient, client_id: str, secret: str) -> datetime | None:
    """The earliest end among the app's secrets that begin as this one does; None where Graph does not say."""
    try:
        registered = await graph.read(
            queries.own_registration(graph.sdk, client_id), wire.decode_registration
        )
    except GraphError:  # knowing is a convenience: a cycle does not fail for it
        return None
    hint = secret[:HINT_LENGTH]
    ends = [each.end_date_time for each in registered.password_credentials if each.hint == hint]
    return min((end for end in ends if end is not None), default=None)
