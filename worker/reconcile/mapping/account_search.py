"""By what an account is looked for among people before it is called unmatched
(identity.md, W9).

The list of all people holds what every cycle reads: of them the mapping's own values,
and some identifiers. The other identifiers are searched in Graph, for these accounts
alone. What cannot be searched is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from store.records import Policy, User, is_object_id
from worker.reconcile.mapping.attribute_mapping import required_graph_properties, source_texts
from worker.reconcile.mapping.graph_filters import GraphFilter
from worker.reconcile.mapping.joining import (
    IDENTIFIERS,
    MAX_IDENTIFIER,
    identifiers_of_account,
    is_digest,
)
from worker.reconcile.mapping.syntax import AttributeReference, parse_expression

MAX_FILTERS = 45
"""Searches for one account; an account with more addresses is searched for some."""

_ADDRESSES: Mapping[str, str] = {
    "proxyAddresses": "smtp:",
    "otherMails": "",
    "onPremisesUserPrincipalName": "",
}
"""Properties that hold addresses, with what stands before one there."""

_NAMES = (
    "onPremisesImmutableId",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
)
"""Properties that hold names and numbers."""


@dataclass(frozen=True, slots=True)
class AccountSearch:
    """How an account is looked for."""

    filters: tuple[GraphFilter, ...]
    """What is searched in Graph: nothing of it is in the list of all people."""
    compared: tuple[str, ...]
    """Properties that are compared in the list of all people."""
    gaps: tuple[str, ...]
    """Why a person might have the account and yet not be found, each in words."""

    @property
    def sentence(self) -> str:
        """What was searched, for the person who decides."""
        asked = sorted({each.name for each in self.filters})
        searched = f"; in Graph by {', '.join(asked)}" if asked else ""
        gaps = f" Not searched: {'; '.join(self.gaps)}." if self.gaps else ""
        return (
            "Looked for in the list of all people, deleted ones too, by what the mapping gives and by "
            f"{', '.join(self.compared)}{searched}.{gaps}"
        )


def search_for(row: User, policy: Policy) -> AccountSearch:
    """Return how an account is looked for by every identifier that it carries."""
    read = required_graph_properties(policy)
    names = sorted(name for name in set(identifiers_of_account(row)) if not is_digest(name))
    filters = [
        found
        for name in names
        for found in _filters(name)
        if found.name not in read and not is_object_id(name)
    ]
    gaps = list(_gaps(row, policy))
    if len(filters) > MAX_FILTERS:
        gaps.append(f"more than {MAX_FILTERS} identifiers and properties")
    compared = ("id", *(name for name in IDENTIFIERS if name in read))
    return AccountSearch(tuple(filters[:MAX_FILTERS]), compared, tuple(gaps))


def _filters(name: str) -> Iterator[GraphFilter]:
    if "@" in name:
        for place, prefix in _ADDRESSES.items():
            yield GraphFilter(place, f"{prefix}{name}")
        return
    for place in _NAMES:
        yield GraphFilter(place, name)


def _gaps(row: User, policy: Policy) -> Iterator[str]:
    if any(len(text) > MAX_IDENTIFIER for text in (row.user_name, row.external_id or "")):
        yield f"in Graph, names of more than {MAX_IDENTIFIER} characters"
    sources = source_texts(policy)
    for path, value in (("userName", row.user_name), ("externalId", row.external_id)):
        source = sources.get(path)
        if source is None or not value:
            continue
        plain = parse_expression(source)
        if not isinstance(plain, AttributeReference):
            # No other property holds what an expression makes of several.
            yield f"{path} by other properties than those of {source}"
        elif plain.name == "userPrincipalName" and "@" not in value:
            yield f"{path} {value}: a guest's name without #EXT# and domain is no address"
