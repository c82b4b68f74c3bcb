"""Names that must be unique here (userName, a group's displayName), before the store has to refuse them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from store.records import GraphId


def refused_names(
    wanted: Mapping[GraphId, str], current: Mapping[GraphId, str], others: Iterable[str]
) -> frozenset[GraphId]:
    """Gives who cannot have the name that is wanted for it, letter case aside.

    `current` is the name of those who have a row, `others` are the names of all rows that keep theirs.
    Whoever is refused keeps the old name, which may in turn be what somebody else wants: hence the rounds.
    """
    kept = Counter(name.lower() for name in others)
    refused: frozenset[GraphId] = frozenset()
    while True:
        given = {g: current.get(g) if g in refused else name for g, name in wanted.items()}
        after = kept + Counter(name.lower() for name in given.values() if name is not None)
        more = frozenset(
            g
            for g, name in wanted.items()
            if g not in refused and after[name.lower()] > 1 and current.get(g, "").lower() != name.lower()
        )
        if not more:
            return refused
        refused |= more
