"""Find updates that would replace the same attribute of most people at once.

A wrong expression, a mistaken import in Entra or an attribute that another system
fills looks like that. No mass update without a person's word, as no mass removal: the
updates wait, additions and removals go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from store.records import Action, SubjectType
from worker.reconcile.plan import Change

FLOOR = 5
"""So many people may get another value in any case: a team of five is no mass."""


@dataclass(frozen=True, slots=True)
class MassUpdates:
    """Attributes that would change for most people, with a sentence for each."""

    sentences: tuple[str, ...] = ()
    paths: frozenset[str] = frozenset()


def find_mass_updates(changes: Sequence[Change], people: int, decided: Collection[str]) -> MassUpdates:
    """Return the attributes of which more than half of the people would lose their
    value.

    `people` are those with access; `decided` has the keys of updates that a person was
    asked about: they count, but alone they give no reason to ask again.
    """
    counted: Counter[str] = Counter()
    undecided: set[str] = set()
    for change in changes:
        if not is_update_of_person(change):
            continue
        paths = [path for path, value in change.before.items() if value not in (None, "")]
        counted.update(paths)
        if change.removal_key not in decided:
            undecided.update(paths)
    mass = {
        path: number
        for path, number in counted.items()
        if number > FLOOR and number * 2 > people and path in undecided
    }
    return MassUpdates(tuple(_sentences(mass, people)), frozenset(mass))


def is_update_of_person(change: Change) -> bool:
    """Return whether a change gives a person's account other values."""
    return change.action is Action.UPDATE and change.subject.type is SubjectType.USER


def _sentences(mass: Mapping[str, int], people: int) -> Iterator[str]:
    for path, number in sorted(mass.items()):
        yield (
            f"{number} of {people} people would get another {path}: more than half at once, "
            "so these updates wait."
        )
