"""The links on the left of every page of a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from console.web.routes import CONNECTION, WebRoute
from console.web.visit import Visit


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A link: the route it leads to, and its words."""

    route: str
    label: str
    group: str


PEOPLE, SETUP = "People and sync", "Set up"

ENTRIES = (
    NavigationEntry("overview", "Overview", PEOPLE),
    NavigationEntry("users", "Users", PEOPLE),
    NavigationEntry("groups", "Groups", PEOPLE),
    NavigationEntry("provision", "Provision on demand", PEOPLE),
    NavigationEntry("logs", "Provisioning logs", PEOPLE),
    NavigationEntry("drift", "Drift", PEOPLE),
    NavigationEntry("plans", "Held plans", PEOPLE),
    NavigationEntry("setup", "Setup", SETUP),
    NavigationEntry("tokens", "API tokens", SETUP),
    NavigationEntry("mapping", "Mapping", SETUP),
    NavigationEntry("settings", "Settings", SETUP),
    NavigationEntry("webhooks", "Webhooks", SETUP),
    NavigationEntry("audit", "Audit", SETUP),
)
"""An entry whose route is not in the table yet is not shown."""


@dataclass(frozen=True, slots=True)
class NavigationLink:
    """An entry for one connection and one person."""

    label: str
    path: str
    is_current: bool
    count: int = 0
    """Shown beside the label where it is not 0."""


def links(
    visit: Visit, route: WebRoute | None, known: Mapping[str, WebRoute]
) -> dict[str, list[NavigationLink]]:
    """Return the links by group; none outside a connection."""
    place = visit.known_place
    if place is None:
        return {}
    groups: dict[str, list[NavigationLink]] = {}
    for entry in _visible(visit, known):
        path = known[entry.route].path.replace(CONNECTION, visit.base)
        is_current = route is not None and route.name.split(".")[0] == entry.route
        count = place.waiting_plans if entry.route == "plans" else 0
        groups.setdefault(entry.group, []).append(NavigationLink(entry.label, path, is_current, count))
    return groups


def _visible(visit: Visit, known: Mapping[str, WebRoute]) -> Iterator[NavigationEntry]:
    return (each for each in ENTRIES if each.route in known and visit.may(known[each.route].permission))
