"""Tokens, links and operators of a company whose console is looked at."""

from __future__ import annotations

from console.admin import api_tokens
from console.admin.actor import Actor, ActorKind
from console.admin.api_tokens import NewToken
from console.admin.events import webhooks
from console.admin.operators import people
from console.admin.services import Services
from console.admin.setup import links
from store.records import Connection
from store.tenancy import api_tokens as stored_tokens

ADA = Actor(ActorKind.CLI, "ada")
HARMFUL = "<b>entra</b> \u202egnp"


async def fill_setup(services: Services, connection: Connection) -> dict[str, str]:
    """Make tokens of every state, links and an operator; return their ids and secrets."""
    made = await api_tokens.create(services, ADA, connection.id, NewToken(HARMFUL))
    await services.db.write(
        lambda conn: stored_tokens.touch(conn, connection.tenant_id, made.token.id, "20.190.1.2")
    )
    await api_tokens.rotate(services, ADA, made.token.id, 7)
    for number, change in enumerate((api_tokens.revoke, api_tokens.suspend)):
        token = await api_tokens.create(
            services, ADA, connection.id, NewToken(f"old {number}", expires_days=9)
        )
        await change(services, ADA, token.token.id)
    invitation = await people.invite(services, ADA, "op of everything")
    setup = await links.create_setup_link(services, ADA, connection.id)
    status = await links.create_status_link(services, ADA, connection.id, may_sync=True)
    for place in ("tickets.example.com/leaver", "chat.example.com/leaver", "app.example.com/hooks/leaver"):
        hook, _ = await webhooks.create(services, ADA, f"https://{place}", tenant=connection.tenant_id)
    return {
        "webhook": hook.id,
        "token": made.token.id,
        "sign_in": invitation.secret,
        "setup": setup.secret,
        "status": status.secret,
    }
