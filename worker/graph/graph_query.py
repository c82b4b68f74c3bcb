"""One read of Graph as a value: its URL, its price, the permission that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote

PAGE_SIZE = 999
ANY_OBJECT = "00000000-0000-0000-0000-000000000000"
"""Stands for an object in a query that will be asked about many: see `Query.about`."""

_PLAIN = re.compile(r"[0-9A-Za-z.-]*", re.ASCII)
BETWEEN = quote("','", safe="")
"""What separates the texts of a list in the URL of a filter."""


@dataclass(frozen=True, slots=True)
class GraphQuery:
    """One read: URL, name for messages, and least permission for it."""

    url: str
    name: str
    permission: str
    is_eventual: bool = False
    """True if the read takes `ConsistencyLevel: eventual`, on every page of it."""
    body: bytes | None = None
    """What is posted: a `$batch`, or what the provisioning service is asked."""
    units: int = 1
    """Cost in resource units (Graph, "Throttling limits"), for each page again."""

    @property
    def headers(self) -> dict[str, str]:
        return {"ConsistencyLevel": "eventual"} if self.is_eventual else {}

    def at(self, link: str) -> GraphQuery:
        """Return the same read at a next link."""
        return replace(self, url=link)

    @property
    def of_one_row(self) -> GraphQuery:
        """Return the same read with the smallest page, to see whether it is allowed."""
        return replace(self, url=self.url.replace(f"$top={PAGE_SIZE}", "$top=1"))

    def about_all(self, object_ids: Iterable[str]) -> GraphQuery:
        """Return the same read of a list of objects in a filter, instead of
        `ANY_OBJECT` alone.
        """
        ids = list(object_ids)
        if not _PLAIN.fullmatch("".join(ids)):  # object ids are GUIDs: there is nothing to quote
            ids = [quote(object_id.replace("'", "''"), safe="") for object_id in ids]
        listed = BETWEEN.join(ids)
        return replace(self, url=self.url.replace(ANY_OBJECT, listed))

    def about(self, object_id: str) -> GraphQuery:
        """Return the same read of another object than `ANY_OBJECT`.

        Building 2,000 URLs anew would cost a second.
        """
        url = self.url.replace(ANY_OBJECT, quote(object_id, safe=""))
        return replace(self, url=url, name=self.name.replace(ANY_OBJECT, object_id))
