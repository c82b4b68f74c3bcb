"""A hundred changes in a simulated company: titles, disabled people, and new ones in assigned groups."""

from __future__ import annotations

import itertools
import json
import sqlite3
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from store.database import is_sqlite, libpq_url, sqlite_path

MOVERS, LEAVERS, JOINERS = 80, 10, 10
PEOPLE = 2 * (MOVERS + LEAVERS + JOINERS)
_PEOPLE_OF = f"""
    SELECT person.entra_object_id, max(groups.entra_object_id)
    FROM (SELECT id, entra_object_id FROM users
          WHERE active AND deleted_at IS NULL AND entra_object_id IS NOT NULL LIMIT {PEOPLE}) AS person
    JOIN memberships ON memberships.member_id = person.id JOIN groups ON groups.id = memberships.group_id
    WHERE groups.entra_object_id IS NOT NULL GROUP BY person.entra_object_id
"""

_numbers = itertools.count()


def change_some(admin_url: str, people: Iterator[Mapping[str, Any]]) -> None:
    for _ in range(MOVERS):
        _send("PATCH", f"{admin_url}/users/{next(people)['id']}", {"jobTitle": f"Title {next(_numbers)}"})
    for _ in range(LEAVERS):
        _send("PATCH", f"{admin_url}/users/{next(people)['id']}", {"accountEnabled": False})
    for _ in range(JOINERS):
        name = f"new{next(_numbers)}"
        body = {"displayName": name, "userPrincipalName": f"{name}@fabrikam-demo.example"}
        new = _send("POST", f"{admin_url}/users", body)
        group = next(people)["via"][-1]
        _send("PUT", f"{admin_url}/groups/{group}/members/{new['id']}")


def entitled_people(admin_url: str) -> Iterator[Mapping[str, Any]]:
    entitled = [
        user
        for user in _send("GET", f"{admin_url}/state")["users"]
        if user["entitled"] and user["via"][-1] != "direct"
    ]
    return iter(entitled)


def _send(method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        text = response.read()
    return json.loads(text) if text else None


def people_of(url: str) -> Iterator[Mapping[str, Any]]:
    """Gives some of the people in a database, each with a group: the simulator would list a whole company."""
    if is_sqlite(url):
        with sqlite3.connect(sqlite_path(url)) as database:
            rows = database.execute(_PEOPLE_OF).fetchall()
    else:
        with psycopg.connect(libpq_url(url)) as server:
            rows = server.execute(_PEOPLE_OF.encode()).fetchall()
    return iter([{"id": person, "via": [group]} for person, group in rows])
