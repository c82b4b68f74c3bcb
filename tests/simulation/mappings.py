"""How Entra's admin mapped the attributes, and whether Leaver was told."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from simulator.provisioning.mapping import DEFAULT_USER_MAPPING, AttributeMappings, edit
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING

FOREIGN: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "mail and staff number": {"userName": "mail", "externalId": "employeeId"},
        "object ids": {"externalId": "objectId"},
        "upper case": {"userName": "ToUpper([userPrincipalName])"},
        "joined": {"externalId": 'Join("-", [mailNickname], [employeeId])'},
        "a constant ending": {"userName": 'Append([userPrincipalName], ".vendor.example")'},
        "staff number and object ids": {"userName": "employeeId", "externalId": "objectId"},
    }
)


@dataclass(slots=True)
class EntraMapping:
    """What Entra's job maps."""

    name: str = "default"
    is_told: bool = True
    """Leaver reads by the same mapping; else by the default one, and has to notice."""
    shares_anchors: bool = False
    """Entra anchors somebody new to the account of somebody who is gone."""

    @property
    def changes(self) -> dict[str, str]:
        return dict(FOREIGN.get(self.name, {}))

    @property
    def of_push(self) -> AttributeMappings:
        return edit(DEFAULT_USER_MAPPING, dict(self.changes))

    @property
    def of_pull(self) -> dict[str, str] | None:
        """What a connection is set to that knows of it."""
        return {**DEFAULT_MAPPING, **self.changes} if self.changes else None


def draw(seed: int) -> EntraMapping:
    """Draws the mapping of a company: every second one has another than Entra's default."""
    dice = random.Random(f"mapping {seed}")
    shares = dice.random() < 0.3
    if dice.random() < 0.5:
        return EntraMapping(shares_anchors=shares)
    return EntraMapping(dice.choice(sorted(FOREIGN)), dice.random() < 0.6, shares)
