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


def of_many(rest: str) -> Example:
    """A page of the connection with many people; `{…}` names what the scene knows."""
    return lambda scene: [f"{base(scene.many)}{rest.format(**scene.known)}"]


EXAMPLES: Mapping[str, Example] = {
    "home": lambda _scene: ["/"],
    "overview": of_connections(""),
    "overview.run": lambda _scene: [],
    "search": of_many("/search?q=no-such-person"),
    "users": of_connections("/users"),
    "users.show": lambda scene: [
        f"{base(scene.many)}/users/{scene.known[which]}" for which in ("hostile", "user")
    ],
    "groups": of_connections("/groups"),
    "groups.show": of_many("/groups/{group}"),
    "logs": of_connections("/logs"),
    "logs.show": of_many("/logs/{entry}"),
    "drift": of_connections("/drift"),
    "drift.show": of_many("/drift/{cycle}"),
    "plans": of_connections("/plans"),
    "plans.show": of_many("/plans/{plan}"),
    "provision": of_many("/provision?subject={user}"),
    **SETUP_EXAMPLES,
}
"""By the name of the route; the first is looked at in every way, the others for complaints and by axe."""
