"""Compute mappings on demand: those of a whole directory would take gigabytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from store.records import JsonValue

CACHE_SIZE = 8192
"""How many results are cached, some 2 kB each.

That of a new row is read when the row is written, and again for the report."""


class LazyMapping(Mapping[str, JsonValue]):
    """The result of `work(*arguments)`, computed on access.

    It is always the same, so it may be forgotten and computed again.
    """

    __slots__ = ("_arguments", "_work")

    def __init__(self, work: Callable[..., dict[str, JsonValue]], *arguments: Any) -> None:
        self._work = work
        self._arguments = arguments

    @lru_cache(maxsize=CACHE_SIZE)  # noqa: B019 - of the thousands that come, a few are kept a little longer
    def whole(self) -> dict[str, JsonValue]:
        return self._work(*self._arguments)

    __hash__ = object.__hash__

    def __getitem__(self, name: str) -> JsonValue:
        return self.whole()[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.whole().get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def __len__(self) -> int:
        return len(self.whole())

    def __repr__(self) -> str:
        return repr(self.whole())


def materialize(mapping: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return the mapping as a dictionary: a lazy one is computed once for many
    accesses.
    """
    return mapping.whole() if isinstance(mapping, LazyMapping) else mapping
