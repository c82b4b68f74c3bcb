"""Read lists page by page, with proof of how they ended.

A list ends at the first page without a next link: an empty page with one is followed.
No list is cut short, but one that never ends is given up. Any fault on the way
(retries used up, a malformed page, a link that leads away or in circles) ends the list
*unfinished*, never as if there were no more items.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from worker.graph.errors import (
    ConsentMissing,
    EndlessList,
    GraphError,
    GraphNeedsHuman,
    GraphTryAgain,
    MalformedAnswer,
)
from worker.graph.graph_query import GraphQuery
from worker.graph.http.client import Decode, GraphClient, decoded
from worker.graph.models import GraphPage
from worker.graph.network import NetworkMisconfigured
from worker.reconcile.snapshot import ListRead

T = TypeVar("T")

MAX_EMPTY_PAGES = 250
"""Empty pages in a row, each with a next link; sixty have been seen in one delta."""
MAX_PAGES = 50_000
"""Pages of one list: fifty million users."""


class Pages(Generic[T]):
    """Yield page after page; then `proof` says whether that was all."""

    def __init__(
        self,
        graph: GraphClient,
        query: GraphQuery,
        decode: Decode[GraphPage[T]],
        first: bytes | GraphError | None = None,
    ) -> None:
        """Prepare a list.

        `first` is the first page if a batch has already brought it, or the error it
        brought.
        """
        self._graph = graph
        self._query = query
        self._decode = decode
        self._first = first
        self._pages = 0
        self._items = 0
        self._unidentified = 0
        self._expected: int | None = None
        self._is_finished = False
        self.error: GraphError | None = None
        """Why the list ended unfinished."""
        self.delta_link: str | None = None
        """Where a delta goes on next time; on its last page only."""

    @property
    def proof(self) -> ListRead:
        return ListRead(
            self._query.name,
            self._pages,
            self._items,
            self._is_finished,
            self._expected,
            _reason(self.error),
            self._unidentified,
            cause_of(self.error),
        )

    async def __aiter__(self) -> AsyncIterator[list[T]]:
        try:
            async for page in self._walk():
                yield page.value
        except GraphError as error:
            self.error = error
        else:
            self._is_finished = True

    async def _walk(self) -> AsyncIterator[GraphPage[T]]:
        query = self._query
        body = await self._first_body()
        followed: set[str] = set()
        empty = 0
        while True:
            page = decoded(self._decode, body, query.name)
            self._note(page)
            yield page
            link = page.next_link
            if not link:
                return
            if link in followed:
                raise MalformedAnswer(f"The next links of {query.name} lead in a circle.")
            followed.add(link)
            empty = 0 if page.value else empty + 1
            if empty >= MAX_EMPTY_PAGES or self._pages >= MAX_PAGES:
                raise EndlessList(
                    f"{query.name} does not end: {self._pages} pages, the last {empty} of them without "
                    "anything, and still a next link. Leaver stops reading it here."
                )
            query = self._graph.follow(query, link)
            body = await self._graph.get(query)

    async def _first_body(self) -> bytes:
        if isinstance(self._first, GraphError):
            raise self._first
        if self._first is not None:
            body, self._first = self._first, None
            return body
        return await self._graph.get(self._query)

    def _note(self, page: GraphPage[T]) -> None:
        self._pages += 1
        self._items += len(page.value)
        self._unidentified += page.unidentified
        self._expected = page.count if self._expected is None else self._expected
        self.delta_link = page.delta_link


def _reason(error: GraphError | None) -> str:
    """Return why the list did not end, and what an admin can do about it."""
    return (
        f"{error} {error.remedy}"
        if isinstance(error, GraphNeedsHuman | NetworkMisconfigured)
        else str(error or "")
    )


def cause_of(error: GraphError | None) -> str:
    """Return what ended a list, without the list's own name and request id.

    Errors that say too little to be compared have no cause in common.
    """
    if isinstance(error, ConsentMissing):
        return f"{error.said} {error.permission}"
    if isinstance(error, GraphTryAgain):
        return f"{type(error).__name__} {error.said}"
    if isinstance(error, NetworkMisconfigured):
        return str(error)
    return error.said if error else ""


# Many objects, a few at a time: chunks that fit a `$batch`, several under way at once.

_AT_ONCE = 8
"""Round trips overlap; the throttle of the Entra tenant decides how many really do."""


async def for_each_chunk(
    items: Sequence[T], size: int, work: Callable[[Sequence[T]], Awaitable[None]]
) -> None:
    """Run `work` on every chunk of at most `size` items.

    The first error ends the others and is raised.
    """
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(chunk: Sequence[T]) -> None:
        async with slots:
            await work(chunk)

    async with asyncio.TaskGroup() as tasks:
        for start in range(0, len(items), size):
            tasks.create_task(one(items[start : start + size]))
