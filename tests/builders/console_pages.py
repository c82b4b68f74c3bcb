"""An address for every page of the console: a route without one fails the suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from store.records import Connection
from tests.builders.console_scene import ConsoleScene
from tests.builders.setup_pages import SETUP_EXAMPLES

Example = Callable[[ConsoleScene], Sequence[str]]


def of_connections(rest: str) -> Example:
    """The page of the connection with many, one and no people."""
    return lambda scene: [f"{base(each)}{rest}" for each in (scene.many, scene.one, scene.empty)]


def base(connection: Connection) -> str:
    return f"/connections/{connection.id}"


EXAMPLES: Mapping[str, Example] = {
    "home": lambda _scene: ["/"],
    "users": of_connections("/users"),
    **SETUP_EXAMPLES,
}
"""By the name of the route; the first is looked at in every way, the others for complaints and by axe."""
