"""Compiled statements that all databases of a test process share.

SQLAlchemy keeps them with the dialect of an engine. A process of the product has one engine; tests open thousands of
databases one after the other, and each would compile the same hundred statements anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from store.engine import postgresql, sqlite

Create = Callable[..., AsyncEngine]
NAME = "create_async_engine"


@contextmanager
def shared_statements() -> Iterator[None]:
    """While the body runs, engines of one driver and isolation level share one dialect."""
    modules = (sqlite, postgresql)
    usual: list[Create] = [getattr(module, NAME) for module in modules]
    first: dict[tuple[str, object], Engine] = {}
    for module, create in zip(modules, usual, strict=True):
        setattr(module, NAME, _sharing(create, first))
    try:
        yield
    finally:
        for module, create in zip(modules, usual, strict=True):
            setattr(module, NAME, create)


def _sharing(create: Create, first: dict[tuple[str, object], Engine]) -> Create:
    def create_sharing(url: URL, **options: Any) -> AsyncEngine:
        engine = create(url, **options)
        kept = first.setdefault((url.drivername, options.get("isolation_level")), engine.sync_engine)
        engine.sync_engine.dialect = kept.dialect
        engine.sync_engine._compiled_cache = kept._compiled_cache
        return engine

    return create_sharing
