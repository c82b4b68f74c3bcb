"""A promise that was not kept."""

from __future__ import annotations


class Broken(AssertionError):
    """A promise that was not kept."""


def keep(condition: object, promise: str, otherwise: str) -> None:
    if not condition:
        raise Broken(f"{promise}: {otherwise}")
