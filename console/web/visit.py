"""One request to the console: the person, the query with its cursor, the form, and
where it is.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web

from console.admin.actor import Actor, ActorKind
from console.admin.connections import overview
from console.admin.connections.overview import ConnectionPlace
from console.admin.errors import Noun, UnknownReference
from console.admin.services import Services
from console.admin.sessions.console_access import ConsolePerson
from store.records.names import is_storable

Word = TypeVar("Word", bound=StrEnum)

LONGEST_VALUE = 1_000
PAGE = 50
MOST_EXPORTED = 10_000
LONGEST_NUMBER = 18
"""Digits of a place in a list: a larger number fits no column."""


@dataclass(slots=True)
class Visit:
    """A request with all that a handler needs; nothing of another tenant is in it."""

    request: web.Request
    services: Services
    public_url: str
    person: ConsolePerson | None
    zone: ZoneInfo
    correlation_id: str
    stopping: asyncio.Event
    """Set when the server stops: streams end then."""
    form: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _place: ConnectionPlace | None = None

    @property
    def actor(self) -> Actor:
        """Return the actor of the use cases; without a session one that sees nothing
        by itself.
        """
        return self.person.actor if self.person is not None else Actor(ActorKind.WEB, "visitor")

    def may(self, permission: str | None) -> bool:
        """Return whether the person has a permission: a button of another is not shown.

        The use case refuses it anyway.
        """
        return permission is None or (self.person is not None and self.person.may(permission))

    @property
    def connection_id(self) -> str:
        """Return the id of the connection in the path."""
        return self.request.match_info["connection"]

    @property
    def base(self) -> str:
        """Return the path of the connection's pages."""
        return f"/connections/{self.connection_id}"

    async def place(self) -> ConnectionPlace:
        """Return the connection in the path. Raises `UnknownReference`."""
        if self.person is None:
            raise UnknownReference(Noun.CONNECTION, self.connection_id)
        if self._place is None:
            self._place = await overview.find(self.services, self.actor, self.connection_id)
        return self._place

    @property
    def known_place(self) -> ConnectionPlace | None:
        """Return the place if a handler or the dispatcher has read it."""
        return self._place

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return self.request.match_info[name]

    def query(self, name: str) -> str | None:
        """Return a value of the query; None where it is missing or empty."""
        value = self.request.query.get(name, "").strip()[:LONGEST_VALUE]
        return value or None

    def choice(self, name: str, words: type[Word]) -> Word | None:
        """Return a word of the query; None for one that is not in the list."""
        value = self.query(name)
        return words(value) if value in set(words) else None

    def sent(self, name: str) -> str:
        """Return a field of the form; empty where it is missing."""
        values = self.form.get(name, ())
        return values[0] if values else ""

    def all_sent(self, name: str) -> Sequence[str]:
        """Return every value of a field of the form."""
        return self.form.get(name, ())

    def address(self, **changes: str | int | None) -> str:
        """Return the address of this page with another query; None drops a name."""
        query = {name: value for name, value in self.request.query.items() if value and name != "notice"}
        for name, value in changes.items():
            query.pop(name, None)
            if value is not None:
                query[name] = str(value)
        return self.request.path + (f"?{urlencode(query)}" if query else "")


def write_cursor(place: str | int | None) -> str | None:
    """Return a place in a list as the value of `after`; None stays None."""
    if place is None:
        return None
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def read_cursor(value: str | None) -> str | None:
    """Return the place; None for what is no cursor: the list begins anew."""
    if value is None:
        return None
    try:
        text = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    number = text.rpartition(" ")[2]
    if not is_storable(text) or (number.isdecimal() and len(number) > LONGEST_NUMBER):
        return None
    return text
