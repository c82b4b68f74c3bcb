"""Which stories there are: every order of some events, and random longer ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.stories.company import SETTINGS, USUAL, Setting
from tests.stories.play import Story

ABOUT_ONE = (
    "leave A",
    "unassign A",
    "delete A",
    "purge A",
    "rename A",
    "swap A and B",
    "name of A to B",
    "hire C as A",
    "restore A",
    "rejoin A",
    "restart",
    "push stands",
    "pull stands",
    "kill the worker",
    "on demand A",
    "protect A",
)
"""Every order of these is played: what happens to Ada, whose name Ben or Cleo may get."""

MOST_TELLING = (
    "delete A",
    "purge A",
    "swap A and B",
    "name of A to B",
    "hire C as A",
    "restart",
    "push stands",
)
"""So many that all orders of two fit into `make test`."""

FOR_RANDOM = (
    *ABOUT_ONE,
    "leave B",
    "purge B",
    "delete B",
    "unassign B",
    "restore B",
    "rejoin B",
    "rename B",
    "name of B to A",
    "name of A to B",
    "hire D as B",
    "hire D as A",
    "hire E as C",
    "leave C",
    "purge C",
    "delete C",
    "restore C",
    "rejoin C",
    "name of C to A",
    "swap A and C",
    "recase A",
    "recase B",
    "swap mails of A and B",
    "hire C as A in capitals",
    "on demand B",
    "on demand C",
    "make admin A",
    "make admin B",
    "protect B",
    "protect C",
    "push goes on",
    "pull goes on",
    "restart",
    "push stands",
    "pull stands",
)


def extensions(events: Sequence[str], most: int, alphabet: Sequence[str] = ABOUT_ONE) -> Iterator[str]:
    """The events that may follow; of two orders that come to the same only one."""
    last = events[-1] if events else None
    for event in alphabet:
        is_pointless = event == last or (event in PREPARING and len(events) + 1 == most)
        is_other_order = event in PREPARING and last in PREPARING and event < (last or "")
        if not is_pointless and not is_other_order:
            yield event


PREPARING = frozenset({"push stands", "pull stands", "kill the worker", "protect A"})
"""Nothing is read or pushed after these: two of them come to the same in either order, and none is worth being the last."""


def random_story(seed: int, longest: int) -> Story:
    """The same seed, the same story."""
    dice = random.Random(f"story {seed}")
    setting: Setting = SETTINGS[dice.choice(USUAL)]
    number = dice.randint(4, longest)
    return Story(setting, tuple(dice.choice(FOR_RANDOM) for _ in range(number)))
