"""Join accounts that the push wrote to people of the directory, by any identifier.

The mapping is not trusted here: the pairs serve to check it (identity.md, "The mapping
is a fact of the connection"). An identifier counts where exactly one person has it. An
account is joined where all its identifiers that count name the same person.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from store.records import JsonValue, User, name_key
from worker.reconcile.mapping.attribute_paths import ENTERPRISE, read_path
from worker.reconcile.mapping.source_attributes import Source, attribute
from worker.reconcile.snapshot import GraphUser

IDENTIFIERS = (
    "userPrincipalName",
    "mail",
    "employeeId",
    "mailNickname",
    "onPremisesImmutableId",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesUserPrincipalName",
    "proxyAddresses",
    "otherMails",
)
"""Graph properties that may identify a person, beside the object id."""

MAX_IDENTIFIER = 256
"""Characters; of longer values a digest is compared."""
_DIGEST = " sha-256:"
"""Begins the key of a longer value; no name does, for keys are stripped."""

LEAST_WITH_AFFIX = 3
"""Accounts that have to share a constant ending before it is taken off to join them."""

SAMPLE = 1000
"""Accounts in which a constant ending is looked for."""

_USER_PRINCIPAL_NAME = attribute("userPrincipalName")
_EMPLOYEE_NUMBER = f"{ENTERPRISE}:employeeNumber"
_UNKNOWN = -1
_SEVERAL = -2


@dataclass(frozen=True, slots=True)
class JoinedAccounts:
    """Which account belongs to which person, and how many could not be joined."""

    pairs: tuple[tuple[User, GraphUser], ...]
    unmatched: int
    """Accounts of which no identifier is that of exactly one person."""
    contradictory: int
    """Accounts that name several people, or the same person as another account."""

    @property
    def accounts(self) -> int:
        """How many accounts there were."""
        return len(self.pairs) + self.unmatched + self.contradictory


def join_accounts(
    accounts: Iterable[User], people: Iterable[GraphUser], sources: Sequence[Source] = ()
) -> JoinedAccounts:
    """Return the pairs of accounts and people; time is linear in the identifiers.

    `sources` are those of userName and externalId: what the mapping gives identifies a
    person as well. Where most of the accounts left over have a constant behind an
    identifier (`ana@corp.example.test`), they are joined without it.
    """
    persons = list(people)
    index = _index(persons, sources)
    rows = list(accounts)
    found = [_person_of(account, index) for account in rows]
    if ending := _shared_ending([row for row, at in zip(rows, found, strict=True) if at == _UNKNOWN], index):
        found = [
            _person_of(row, index, ending) if at == _UNKNOWN else at
            for row, at in zip(rows, found, strict=True)
        ]
    claims = Counter(at for at in found if at >= 0)
    pairs = [(row, persons[at]) for row, at in zip(rows, found, strict=True) if at >= 0 and claims[at] == 1]
    unmatched = found.count(_UNKNOWN)
    return JoinedAccounts(tuple(pairs), unmatched, len(rows) - unmatched - len(pairs))


def identifiers_of(user: GraphUser) -> Iterator[str]:
    """Yield everything that identifies a person, as keys of names."""
    yield name_key(user.id)
    for name in IDENTIFIERS:
        yield from _texts(user.properties.get(name))
    yield from _texts(_USER_PRINCIPAL_NAME.read(user))  # a guest's name as Entra sends it


def texts_of(user: GraphUser) -> Iterator[str]:
    """Yield the identifiers of a person that are one text, as they are written."""
    for name in IDENTIFIERS:
        if isinstance(value := user.properties.get(name), str) and value:
            yield value


def _texts(value: JsonValue) -> Sequence[str]:
    if value is None:
        return ()
    if isinstance(value, str):  # nearly all are: this runs for every property of everyone
        key = value.lower().strip() if value.isascii() else name_key(value)
        if len(key) <= MAX_IDENTIFIER:
            return _without_kind(key) if key else ()
        return list(map(bounded_key, _without_kind(key)))
    if isinstance(value, list | tuple):
        return [text for item in value if isinstance(item, str) for text in _texts(item)]
    return ()


def bounded_key(key: str) -> str:
    """Return the key of a name, or its digest where that is shorter."""
    if len(key) <= MAX_IDENTIFIER:
        return key
    return _DIGEST + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def is_digest(key: str) -> bool:
    """Return whether a key can be compared with others, and looked for nowhere."""
    return key.startswith(_DIGEST)


def _without_kind(text: str) -> Sequence[str]:
    """Return a proxy address with and without its `smtp:`."""
    address = text.removeprefix("smtp:")
    return (text,) if address == text or not address else (text, address)


def _index(people: Sequence[GraphUser], sources: Sequence[Source]) -> Mapping[str, int]:
    index: dict[str, int] = {}
    for at, user in enumerate(people):
        names = set(identifiers_of(user))
        for source in sources:
            names.update(_texts(source.read(user)))
        for name in names:
            index[name] = at if name not in index else _SEVERAL
    return index


def identifiers_of_account(account: User) -> Iterator[str]:
    """Yield everything by which an account names a person, as keys of names."""
    yield from _texts(account.user_name)
    yield from _texts(account.external_id)
    yield from _texts(read_path(account.document, _EMPLOYEE_NUMBER))
    emails = account.document.get("emails")
    for email in emails if isinstance(emails, list | tuple) else ():
        if isinstance(email, Mapping):
            yield from _texts(email.get("value"))


def _person_of(account: User, index: Mapping[str, int], ending: str = "") -> int:
    names = (name.removesuffix(ending) for name in identifiers_of_account(account) if name.endswith(ending))
    found = {at for name in names if (at := index.get(name, _UNKNOWN)) >= 0}
    if len(found) == 1:
        return found.pop()
    return _SEVERAL if found else _UNKNOWN


def _shared_ending(rows: Sequence[User], index: Mapping[str, int]) -> str:
    endings: Counter[str] = Counter()
    sample = rows[:SAMPLE]
    for row in sample:
        # One account votes once for an ending, however many of its names have it.
        votes = {
            name[cut:]
            for name in identifiers_of_account(row)
            for cut in range(1, len(name))
            if index.get(name[:cut], -1) >= 0
        }
        endings.update(votes)
    if not endings:
        return ""
    ending, count = endings.most_common(1)[0]
    return ending if count >= LEAST_WITH_AFFIX and 10 * count >= 9 * len(sample) else ""
