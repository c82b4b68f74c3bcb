"""The mapping check: does the push write what the mapping says?

Accounts that the push wrote are joined to people by any identifier. For each mapped
attribute is counted how many of them hold the value that the mapping gives
(identity.md, "The mapping is a fact of the connection"). Until `userName` and
`externalId` fit, nothing may be concluded from names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from store.records import GraphId, JsonValue, Policy, User, is_object_id, name_key
from worker.reconcile.mapping.attribute_mapping import CompiledMapping, compile_mapping, source_texts
from worker.reconcile.mapping.expressions import Source, compile_source
from worker.reconcile.mapping.joining import JoinedAccounts, join_accounts
from worker.reconcile.mapping.syntax import AttributeReference, Empty, FunctionCall, Text, print_expression
from worker.reconcile.snapshot import GraphUser

LEAST = 3
"""With fewer accounts compared nothing is known."""

ENOUGH = 10
"""From here on 9 of 10 are enough; below, all have to agree."""

NAMES = ("userName", "externalId")
"""The attributes by which accounts are matched to people."""

CANDIDATES = (
    "userPrincipalName",
    "mail",
    "employeeId",
    "objectId",
    "mailNickname",
    "originalUserPrincipalName",
)
"""Entra's attributes that are tried where a name does not fit, in this order."""

_MARK = "<value>"

Pair = tuple[JsonValue, GraphUser]
"""What an account holds, and the person it is joined to."""


class Fit(StrEnum):
    """What is known of one attribute of the mapping."""

    FITS = "fits"
    DOES_NOT_FIT = "does_not_fit"
    UNKNOWN = "unknown"
    """Fewer than `LEAST` could be compared: holds like `DOES_NOT_FIT`."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Another source for an attribute, with how many accounts agree with it."""

    source: str
    agreeing: int
    compared: int


@dataclass(frozen=True, slots=True)
class AttributeFit:
    """The verdict on one attribute, with its numbers."""

    path: str
    source: str
    compared: int
    agreeing: int
    suggestion: Suggestion | None = None

    @property
    def verdict(self) -> Fit:
        """Whether the accounts hold what the source gives."""
        return judge(self.agreeing, self.compared)

    @property
    def sentence(self) -> str:
        """The verdict in words, with the source that would fit."""
        count = f"{self.agreeing} of {self.compared} accounts hold what {self.source} gives"
        if self.verdict is Fit.FITS:
            return f"{self.path} fits: {count}."
        if self.verdict is Fit.UNKNOWN:
            return (
                f"{self.path} is unknown: only {self.compared} accounts could be compared with "
                f"{self.source}, and it takes {LEAST}."
            )
        if self.suggestion is None:
            return f"{self.path} does not fit: {count}; no other attribute was found that would."
        better = self.suggestion
        return (
            f"{self.path} does not fit: {count}; it equals {better.source} for "
            f"{better.agreeing} of {better.compared}."
        )


@dataclass(frozen=True, slots=True)
class MappingFit:
    """The verdicts on all mapped attributes of a connection."""

    attributes: tuple[AttributeFit, ...]
    joined: int
    unmatched: int
    contradictory: int

    def of(self, path: str) -> AttributeFit | None:
        """Return the verdict on one attribute; None where it is not mapped."""
        return next((found for found in self.attributes if found.path == path), None)

    @property
    def names_fit(self) -> bool:
        """Whether accounts may be matched by names: userName and externalId fit."""
        return all(found.verdict is Fit.FITS for found in self.attributes if found.path in NAMES)

    @property
    def misfits(self) -> frozenset[str]:
        """The attributes that do not hold what the mapping gives; names that are
        unknown too.
        """
        return frozenset(
            found.path
            for found in self.attributes
            if found.verdict is Fit.DOES_NOT_FIT or (found.verdict is Fit.UNKNOWN and found.path in NAMES)
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """What does not fit, in words."""
        return tuple(found.sentence for found in self.attributes if found.path in self.misfits)

    @property
    def sentence(self) -> str:
        """What was compared, in words."""
        return (
            f"{self.joined} accounts were joined to one person each; {self.unmatched} have no "
            f"identifier of exactly one person, and {self.contradictory} name several."
        )


def judge(agreeing: int, compared: int) -> Fit:
    """Return the verdict on the numbers: 9 of 10 from 10 on, all of 3 to 9."""
    if compared < LEAST:
        return Fit.UNKNOWN
    needed = 9 * compared if compared >= ENOUGH else 10 * compared
    return Fit.FITS if 10 * agreeing >= needed else Fit.DOES_NOT_FIT


def check_mapping(
    accounts: Iterable[User],
    people: Mapping[GraphId, GraphUser],
    policy: Policy,
    *,
    settled: Collection[GraphId] = (),
    agreed: Container[str] = (),
) -> MappingFit:
    """Return how well the connection's mapping describes what the push wrote.

    `accounts` are those that the push wrote; an account with a holder is compared with
    that person, others are joined by any identifier. `people` are all users of the
    directory. `settled` are people whose accounts are known to hold what the mapping
    gives, `agreed` the accounts that have not been written since they did: that Entra
    has another value by now says nothing about the mapping. Time is linear in accounts
    and people.
    """
    mapping = compile_mapping(policy)
    names = [source for path, source in mapping.sources if path in NAMES]
    held: list[tuple[User, GraphUser]] = []
    free: list[User] = []
    for account in accounts:
        person = people.get(account.entra_object_id) if account.entra_object_id else None
        if person is None:
            free.append(account)
        else:
            held.append((account, person))
    joined = join_accounts(free, people.values(), names) if free else JoinedAccounts((), 0, 0)
    pairs = (*held, *joined.pairs)
    texts = source_texts(policy)
    tallies = _compare(mapping, pairs, agreed)
    for tally in tallies:
        _add_settled(tally, texts[tally.path], people, settled)
    found = (_verdict(tally, texts[tally.path], pairs) for tally in tallies)
    return MappingFit(tuple(found), len(pairs) + len(settled), joined.unmatched, joined.contradictory)


class _Tally:
    """The count of one attribute, while pairs are compared."""

    __slots__ = ("agreeing", "compared", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.compared = self.agreeing = 0

    def add(self, held: JsonValue, given: JsonValue) -> None:
        # Entra sends no nulls: an attribute that is empty there may hold its last value
        # here. A name without a source was written by another mapping.
        if given is None and (held in (None, "") or self.path not in NAMES):
            return
        self.compared += 1
        self.agreeing += given is not None and _is_same(self.path, held, given)


def _add_settled(
    tally: _Tally, text: str, people: Mapping[GraphId, GraphUser], settled: Collection[GraphId]
) -> None:
    """Count the settled accounts that have a value: the verdict must not depend on how
    many accounts were loaded.
    """
    if tally.path in NAMES or tally.compared == tally.agreeing:  # it fits, however many more agree
        number = len(settled)
    else:
        source = compile_source(text)
        given = (source.settle(source.read(people[person])) for person in settled if person in people)
        number = sum(1 for value in given if value is not None)
    tally.compared += number
    tally.agreeing += number


def _compare(
    mapping: CompiledMapping, pairs: Iterable[tuple[User, GraphUser]], agreed: Container[str]
) -> list[_Tally]:
    # By place, as in `CompiledMapping.differences`: this runs for every user in every
    # full cycle.
    places = [(place, [(_Tally(line.path), line) for line in lines]) for place, lines in mapping.places]
    for account, user in pairs:
        is_settled = account.id in agreed
        for place, lines in places:
            holder = place.find(account.document)
            for tally, line in lines:
                given = line.source.settle(line.source.read(user))
                if line.path not in NAMES:
                    tally.add(given if is_settled else holder.get(line.leaf), given)
                    continue
                held = _name_of(account, line.path)
                # A name on which both sides agreed once says that the mapping fits,
                # also where Entra has another by now: that is drift.
                is_agreed = held is not None and held == _agreed_name(account, line.path)
                tally.add(held, held if is_agreed and given is not None else given)
    return [tally for _, lines in places for tally, _ in lines]


def _name_of(account: User, path: str) -> str | None:
    return account.user_name if path == "userName" else account.external_id


def _agreed_name(account: User, path: str) -> str | None:
    return account.agreed_user_name if path == "userName" else account.agreed_external_id


def _verdict(tally: _Tally, text: str, joined: Sequence[tuple[User, GraphUser]]) -> AttributeFit:
    suggestion = None
    if tally.path in NAMES and judge(tally.agreeing, tally.compared) is Fit.DOES_NOT_FIT:
        suggestion = suggest(tally.path, [(_name_of(row, tally.path), user) for row, user in joined])
    return AttributeFit(tally.path, text, tally.compared, tally.agreeing, suggestion)


def _count(path: str, source: Source, pairs: Iterable[Pair]) -> tuple[int, int]:
    tally = _Tally(path)
    for held, user in pairs:
        tally.add(held, source.settle(source.read(user)))
    return tally.compared, tally.agreeing


def _is_same(path: str, held: JsonValue, given: JsonValue) -> bool:
    if held == given:
        return True
    if not isinstance(held, str) or not isinstance(given, str):
        return False
    # Names and addresses are the same in any case and Unicode form (RFC 7643
    # §4.1), and so are links made by them.
    is_name = path in NAMES or path.startswith("emails") or is_object_id(given)
    return is_name and name_key(held) == name_key(given)


def suggest(path: str, pairs: Sequence[Pair]) -> Suggestion | None:
    """Return the source that fits what accounts hold best; None where none fits.

    Tried are `CANDIDATES` as they are, then with a constant before or behind them or
    with a constant end taken off. A plainer source wins over one that agrees as often.
    """
    best: Suggestion | None = None
    for text in _candidates(pairs):
        compared, agreeing = _count(path, compile_source(text), pairs)
        found = Suggestion(text, agreeing, compared)
        if judge(agreeing, compared) is Fit.FITS and (best is None or _share(found) > _share(best)):
            best = found
    return best


def _share(suggestion: Suggestion) -> float:
    return suggestion.agreeing / suggestion.compared


def _candidates(pairs: Sequence[Pair]) -> Iterator[str]:
    yield from CANDIDATES
    for name in CANDIDATES:
        changes: Counter[tuple[Callable[[str, str], str], str]] = Counter()
        read = compile_source(name).read
        for held, user in pairs:
            given = read(user)
            if isinstance(held, str) and isinstance(given, str):
                changes.update(_changes(held, given))
        if changes:
            (write, constant), count = changes.most_common(1)[0]
            if count >= LEAST:
                yield write(name, constant)


def _changes(held: str, given: str) -> Iterator[tuple[Callable[[str, str], str], str]]:
    low_held, low_given = held.lower(), given.lower()
    # A few letters change their length in lower case, and a cut would miss its place.
    if low_held == low_given or not low_given or len(low_held + low_given) != len(held + given):
        return
    if low_held.startswith(low_given):
        yield _with_ending, held[len(given) :]
    if low_held.endswith(low_given):
        yield _with_beginning, held[: -len(given)]
    if low_held and low_given.startswith(low_held):
        yield _without_ending, given[len(held) :]


def _with_ending(name: str, ending: str) -> str:
    return print_expression(FunctionCall("Append", (AttributeReference(name), Text(ending))))


def _with_beginning(name: str, beginning: str) -> str:
    # A template, since Join would give the constant alone where the attribute is empty.
    template = (Text(_MARK), Empty(), Empty(), Empty(), Empty(), Text(beginning + _MARK))
    return print_expression(FunctionCall("Replace", (AttributeReference(name), *template)))


def _without_ending(name: str, ending: str) -> str:
    removed = (Text(ending), Empty(), Empty(), Text(""), Empty(), Empty())
    return print_expression(FunctionCall("Replace", (AttributeReference(name), *removed)))
