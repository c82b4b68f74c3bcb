"""A person at a shell: types commands against a real database and reads what they print."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from console.main import main
from store.database import open_database

T = TypeVar("T")


_OF_ANOTHER_TEST = '{"event": "Future exception was never retrieved'
"""What asyncio logs when the future of a connection that an earlier test cut is collected: at any time, to the
log of whichever command runs then."""


class Shell:
    """Types commands and reads what they print."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys

    def run(self, *words: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        status = main(words)
        printed = self._capsys.readouterr()
        lines = printed.err.splitlines(keepends=True)
        return status, printed.out, "".join(line for line in lines if not line.startswith(_OF_ANOTHER_TEST))

    def json(self, *words: str, status: int = 0) -> Any:
        code, out, err = self.run(*words, "--json")
        assert code == status, err
        return json.loads(out)

    def refused(self, *words: str, status: int) -> str:
        """Gives the one line a refused command leaves behind."""
        code, out, err = self.run(*words)
        assert (code, out) == (status, "")
        assert err.count("\n") == 1
        return err

    def store(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async def opened() -> T:
            db = await open_database(self.url)
            try:
                return await db.write(work)
            finally:
                await db.close()

        return asyncio.run(opened())
