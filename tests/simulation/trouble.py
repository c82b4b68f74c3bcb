"""What may go wrong around one cycle: faults of Graph, and other things that happen while it runs."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.faults import Fault
from simulator.registration import DEFAULT_CONSENT
from tests.simulation.world import World

LISTS = {
    "users": r"GET /v1\.0/users\?",
    "members": r"/groups/[^/]+/members",
    "appRoleAssignedTo": r"/appRoleAssignedTo",
    "deletedItems": r"/directory/deletedItems/microsoft\.graph\.user",
}
EVERYWHERE = LISTS | {
    "users/$count": r"/users/\$count",
    "$batch": r"POST /v1\.0/\$batch",
    "token": r"/oauth2/v2\.0/token",
    "servicePrincipals": r"/servicePrincipals",
    "one user": r"GET /v1\.0/users/[^/?$]+\?",
    "a user's roles": r"/users/[^/]+/appRoleAssignments",
    "a user's groups": r"/users/[^/]+/(transitiveM|m)emberOf",
    "anything": r".",
}
SHORTLY: Mapping[str, str] = {"Retry-After": "0.01"}
NONSENSE: Mapping[str, object] = {
    "an empty object": {},
    "null": "null",
    "an array": "[]",
    "half of JSON": '{"value": [{"id": "',
    "a proxy's page": "<html><body>Blocked</body></html>",
    "ids that are numbers": {"value": [{"id": 5, "accountEnabled": True, "principalId": 7}]},
    "entries without ids": {"value": [{}]},
    "nulls": {"value": [None]},
    "no list": {"value": None},
    "a foreign link": {"value": [], "@odata.nextLink": "https://graph.evil.example/v1.0/users"},
    "nothing at all": "",
}


@dataclass(slots=True)
class Trouble:
    """What goes wrong in one cycle."""

    told: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    moods: dict[str, object] = field(default_factory=dict)
    """Fields of the simulated Graph's behaviour."""
    roles: frozenset[str] | None = None
    """What is left of the consent."""
    drops_credentials: bool = False

    @property
    def leaves_out_members(self) -> bool:
        """Whether a list of members is short, and nothing about it says so."""
        return any(fault.drop_fraction and fault.match.pattern == LISTS["members"] for fault in self.faults)

    def add(self, what: str, at: str, **fault: Any) -> None:
        self.told.append(f"{what} at {at}")
        self.faults.append(Fault(re.compile(EVERYWHERE[at]), **fault))


def draw(dice: random.Random) -> Trouble:
    """Draws one to three things that go wrong."""
    trouble = Trouble()
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        dice.choice(_KINDS)(dice, trouble)
    _lie_once(trouble)
    return trouble


def _lie_once(trouble: Trouble) -> None:
    """Turns "no such user" into a fault where a list is silently short as well.

    A list without the person, and Graph's own word that there is no such person, are a lie told twice: that one is
    believed (docs/safety.md, "What Leaver cannot know"; found by seed 2029). A 404 for a whole `$batch` is no word
    about anybody (found by seed 40056).
    """
    if not any(fault.drop_fraction or fault.body == {"value": []} for fault in trouble.faults):
        return
    for fault in trouble.faults:
        if fault.status == 404 and fault.match.pattern != EVERYWHERE["$batch"]:
            fault.status = 503
    trouble.told = [
        f"503{told[3:]}" if told.startswith("404 ") and told != "404 at $batch" else told
        for told in trouble.told
    ]


def arm(world: World, trouble: Trouble) -> None:
    for fault in trouble.faults:
        world.simulation.faults.arm(fault)
    for name, value in trouble.moods.items():
        setattr(world.simulation.behaviour, name, value)
    if trouble.roles is not None:
        world.simulation.registration.roles = trouble.roles
    if trouble.drops_credentials:
        world.simulation.registration.secrets.clear()


def heal(world: World) -> None:
    """Ends every trouble."""
    simulation, directory = world.simulation, world.directory
    simulation.faults.clear()
    simulation.behaviour.empty_pages = ()
    simulation.behaviour.largest_page = 0
    simulation.behaviour.assignment_lag_s = simulation.behaviour.index_lag_s = 0.0
    simulation.registration.roles = DEFAULT_CONSENT
    simulation.registration.secrets[directory.client_secret] = None


def _where(dice: random.Random, places: Mapping[str, str] = EVERYWHERE) -> str:
    return dice.choice(sorted(places))


def _when(dice: random.Random) -> dict[str, Any]:
    """Every time, once, or at the nth request that fits."""
    kind = dice.randrange(3)
    if kind == 0:
        return {}
    if kind == 1:
        return {"times": dice.randint(1, 3)}
    return {"nth": frozenset(dice.sample(range(1, 12), dice.randint(1, 3)))}


def _status(dice: random.Random, trouble: Trouble) -> None:
    status = dice.choice([429, 429, 500, 502, 503, 503, 504, 401, 403, 404, 410, 400])
    headers = SHORTLY if status in (429, 503) and dice.random() < 0.8 else {}
    trouble.add(str(status), _where(dice), status=status, headers=headers, **_when(dice))


def _empty(dice: random.Random, trouble: Trouble) -> None:
    trouble.add("an empty 200", _where(dice, LISTS), status=200, body={"value": []}, **_when(dice))


def _nonsense(dice: random.Random, trouble: Trouble) -> None:
    what = _where(dice, dict.fromkeys(NONSENSE, ""))
    trouble.add(what, _where(dice), status=200, body=NONSENSE[what], **_when(dice))


def _thinned(dice: random.Random, trouble: Trouble) -> None:
    fraction = dice.choice([0.05, 0.2, 0.5, 0.9])
    trouble.add(f"{fraction:.0%} missing", _where(dice, LISTS), drop_fraction=fraction, **_when(dice))


def _broken(dice: random.Random, trouble: Trouble) -> None:
    if dice.random() < 0.5:
        trouble.add("a reset", _where(dice), reset=True, **_when(dice))
    else:
        trouble.add("half a body", _where(dice), truncate=dice.choice([0.1, 0.5]), **_when(dice))


def _pages(dice: random.Random, trouble: Trouble) -> None:
    trouble.moods |= {
        "largest_page": dice.choice([2, 5, 11]),
        "empty_pages": tuple(dice.sample(range(1, 6), dice.randrange(3))),
    }
    trouble.told.append(f"small pages {trouble.moods}")
    if dice.random() < 0.5:
        _status(dice, trouble)


def _lag(dice: random.Random, trouble: Trouble) -> None:
    trouble.moods |= {
        "assignment_lag_s": dice.choice([30.0, 600.0]),
        "index_lag_s": dice.choice([0.0, 600.0]),
    }
    trouble.told.append(f"lag {trouble.moods}")


def _consent(dice: random.Random, trouble: Trouble) -> None:
    kept = dice.sample(sorted(DEFAULT_CONSENT), dice.randrange(len(DEFAULT_CONSENT)))
    trouble.roles = frozenset(kept)
    trouble.told.append(f"consent left: {', '.join(sorted(kept)) or 'none'}")


def _credentials(_dice: random.Random, trouble: Trouble) -> None:
    trouble.drops_credentials = True
    trouble.told.append("the client secret is revoked")


_KINDS: Sequence[Callable[[random.Random, Trouble], None]] = (
    *[_status] * 5,
    *[_empty] * 3,
    *[_nonsense] * 3,
    *[_thinned] * 4,
    *[_broken] * 2,
    *[_pages] * 3,
    _lag,
    *[_consent] * 2,
    _credentials,
)
