"""Requests that schemathesis makes up from the OpenAPI document, as operator, tenant's admin and viewer.

No answer is a 500, every status and body is one that the document declares, a viewer changes nothing, and neither
tenant's token brings anything of the other's. LEAVER_TEST_REQUESTS says how many; 1,500 by themselves.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from typing import Any

import requests
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import SecretStr
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.settings import Settings
from console.admin.actor import Actor, ActorKind
from console.admin.events import streams, webhooks
from console.admin.events.streams import StreamRequest
from console.admin.services import Services
from console.admin.sessions import app_keys
from console.admin.setup import links
from console.api.app import add_routes
from console.api.contract import ApiOperation
from console.api.openapi import describe
from console.api.routes import OPERATIONS
from console.server.app import scim_services
from scim import app as scim_app
from scim.http.connections import HANDLER_ARGS
from store.database import open_database
from store.directory import receipts, sessions
from store.integration import operator_tokens
from store.integration.app_keys import NewAppKey
from store.migrations import upgrade
from store.records import (
    AppKeyKind,
    Command,
    ConnectionId,
    CreateGroup,
    CreateUser,
    DisableUser,
    TenantId,
    User,
)
from store.tenancy import api_tokens, connections, tenants
from tests.builders.secret_keys import secret_key
from tests.builders.store_rows import perform
from tests.conformance.result import Result, Tally

MARK = "zz-of-fabrikam"
"""Stands in every name of the other tenant: no answer to Contoso's tokens holds it."""
NAME = "admin API as three roles"
REQUESTS = int(os.environ.get("LEAVER_TEST_REQUESTS", "1500"))
VIEWER = "viewer"
CHECKS = [
    *(status_code_conformance, content_type_conformance),
    *(response_schema_conformance, response_headers_conformance),
]
NOT_ON_OWN = {("DELETE", "/connections/{connection}"), ("DELETE", "/tenants/{tenant}")}
"""These would end what all the others are about: they get made-up names only."""
REQUEST_S = 30


def run(database_url: str, requests_in_all: int) -> Result:
    """Ask a server of its own, which has an empty database."""
    tally = Tally(f"{NAME}, {requests_in_all:,} requests")
    document = describe(OPERATIONS)
    schema = schemathesis.openapi.from_dict(document)
    known = {(each.method, each.path): each for each in OPERATIONS}
    with _serving(database_url) as ready, requests.Session() as http:
        each_gets = max(1, requests_in_all // (len(known) * len(ready["tokens"])))
        for found in schema.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]
            ours = known[operation.method.upper(), operation.path.removeprefix("/api/admin/v1")]
            for role, token in ready["tokens"].items():
                for failure in _ask(operation, ours, role, token, ready, http, each_gets):
                    tally.check(False, f"{role}: {ours.method} {ours.path}: {failure}")
                tally.passed += each_gets
    return tally.result()


def _ask(
    operation: Any,
    ours: ApiOperation,
    role: str,
    token: str,
    ready: Mapping[str, Any],
    http: requests.Session,
    number: int,
) -> list[str]:
    failures: Counter[str] = Counter()
    dice = random.Random(f"{ours.id} {role}")
    headers = {"Authorization": f"Bearer {token}"}

    @given(case=operation.as_strategy())
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        _put_known_ids(case, ours, ready, dice)
        if "wait" in (case.query or {}):
            case.query["wait"] = "0"
        answer = case.call(base_url=ready["url"], headers=headers, session=http, timeout=REQUEST_S)
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as wrong:
            failures[_shortened(wrong)] += 1
        if answer.status_code == 500:
            failures[f"500: {case.as_curl_command()[-600:]}"] += 1
        if role != "operator" and MARK in answer.text:
            failures["it holds what is another tenant's"] += 1
        if role == VIEWER and answer.status_code < 300 and not str(ours.permission).endswith(":read"):
            failures["a viewer may not do this"] += 1

    ask()
    return list(failures)


def _put_known_ids(case: Any, ours: ApiOperation, ready: Mapping[str, Any], dice: random.Random) -> None:
    """Half of the requests name what there is: two thirds of these the own, the others another tenant's."""
    if dice.random() < 0.5 or (ours.method, ours.path) in NOT_ON_OWN:
        return
    ids = ready["own"] if dice.random() < 0.66 else ready["foreign"]
    for name in case.path_parameters or {}:
        if name in ids:
            case.path_parameters[name] = ids[name]


def _shortened(wrong: BaseException) -> str:
    told = wrong.exceptions if isinstance(wrong, FailureGroup) else [wrong]
    return " | ".join(re.sub(r"\s+", " ", f"{type(each).__name__} {each}")[:300] for each in told)


# --- the server ---


@contextmanager
def _serving(database_url: str) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.conformance.api_roles", database_url]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(20)


async def _serve(database_url: str) -> None:
    await upgrade.upgrade(database_url)
    db = await open_database(database_url)
    configured = Settings(
        database_url=database_url,
        secret_key=(SecretStr(secret_key("roles")),),
        scim_requests_per_s=10_000,
        scim_burst=100_000,
    )
    services = Services(configured, db)
    own, foreign = await _tenant(services, "Contoso", ""), await _tenant(services, "Fabrikam", MARK)
    viewing = sorted({str(each.permission) for each in OPERATIONS if str(each.permission).endswith(":read")})
    _, operator = await db.write(lambda conn: operator_tokens.create(conn, "vendor", ["*"]))
    place = TenantId(own["tenant"]), ConnectionId(own["connection"])
    _, admin = await db.write(lambda conn: api_tokens.create(conn, *place, "admin", ["*"]))
    _, viewer = await db.write(lambda conn: api_tokens.create(conn, *place, VIEWER, viewing))
    with create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = web.Application(handler_args=HANDLER_ARGS)
        scim_app.add_routes(app, scim_services(services, url))
        add_routes(app, services, validates_answers=True)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        tokens = {"operator": operator, "admin": admin, VIEWER: viewer}
        ready = {"url": url, "tokens": tokens, "own": own, "foreign": foreign}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def _tenant(services: Services, name: str, mark: str) -> dict[str, str]:
    """Make a tenant with one of most things; gives their ids by the names that paths have for them."""
    db = services.db
    tenant = await db.write(lambda conn: tenants.create(conn, f"{name}{mark}"))
    connection = await db.write(lambda conn: connections.create(conn, tenant.id, f"Entra{mark}"))
    commands: list[Command] = [
        *(CreateUser({"userName": f"{who}@{name.lower()}{mark}", "active": True}) for who in ("ann", "ben")),
        CreateGroup({"displayName": f"Readers{mark}"}),
    ]
    ann, ben, readers = [each.record for each in await perform(db, connection, *commands)]
    assert isinstance(ann, User)
    assert isinstance(ben, User)
    assert readers is not None
    session, _ = await db.write(lambda conn: sessions.start(conn, tenant.id, ann.id))
    await db.write(lambda conn: sessions.start(conn, tenant.id, ben.id))
    await perform(db, connection, DisableUser(ben.id))
    async with db.reading() as conn:
        [receipt] = await receipts.list_for_user(conn, tenant.id, ben.id)
    spare, _ = await db.write(
        lambda conn: api_tokens.create(conn, tenant.id, connection.id, f"spare{mark}", [])
    )
    actor = Actor(ActorKind.API, f"app{mark}", tenant.id)
    stream = await streams.create(services, actor, StreamRequest(), "https://leaver.example")
    hook, _ = await webhooks.create(services, actor, f"https://app{mark}.invalid/hook")
    wanted = NewAppKey(AppKeyKind.API_KEY, f"key{mark}")
    key = await app_keys.register(services, actor, connection.id, ann.id, wanted)
    link = await links.create_setup_link(services, actor, connection.id)
    return {
        "tenant": tenant.id,
        "connection": connection.id,
        "user": ann.id,
        "group": readers.id,
        "session": session.id,
        "receipt": receipt.id,
        "token": spare.id,
        "stream": stream.terms.id,
        "webhook": hook.id,
        "key": key.id,
        "link": link.link.id,
    }


if __name__ == "__main__":
    os.environ.setdefault("LEAVER_LOG_LEVEL", "error")
    asyncio.run(_serve(sys.argv[1]))
