"""Match rows to Entra objects. Never guessed: a row that two objects claim is left
alone.

The object id is the only proof; names are claims, and link only where they all name
the same one person under a mapping that fits (identity.md).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from store.records import (
    DriftKind,
    GraphId,
    Group,
    SubjectType,
    User,
    name_key,
)
from worker.reconcile.plan import Finding
from worker.reconcile.plan_context import PlanContext, user_subject
from worker.reconcile.planning.matches import PUSHED, Key, Matches, index_by, is_linkable, object_id_in
from worker.reconcile.planning.withheld_links import withhold_links


def match_users(context: PlanContext) -> Matches:
    """Match every Entra user, entitled or not, to its live row.

    A holder is its object id and nothing else. An account without one is linked by an
    object id in externalId, else by names (identity.md, W6); who else answers to it is
    noted.
    """
    users = context.snapshot.users
    live = [row for row in context.state.users.values() if row.deleted_at is None]
    matches = Matches(SubjectType.USER, lambda g: context.user_name(g) or g)
    _set_linked(matches, [row for row in live if context.has_holder(row)], users.keys())
    free = [row for row in live if not context.has_holder(row)]
    if free:
        _link_by_proof(matches, free, users.keys())
        _link_by_names(context, matches, free)
        _note_claimants(context, matches, free)
        withhold_links(context, matches, live)
    return matches


def _link_by_proof(matches: Matches, free: Sequence[User], users: Collection[GraphId]) -> None:
    """Link accounts in whose externalId the push wrote a user's object id."""
    by_person: defaultdict[GraphId, list[User]] = defaultdict(list)
    for row in free:
        person = GraphId((row.external_id or "").lower())
        if person in users and row.origin in PUSHED:
            matches.claimants[row.id] = (person,)
            by_person[person].append(row)
    for person, rows in by_person.items():
        ids = [row.id for row in rows]
        if len(rows) > 1 or person in matches.rows:
            detail = "several accounts carry the object id of one person: one of them must go"
            matches.conflict(
                person, [*ids, *([matches.rows[person]] if person in matches.rows else [])], detail
            )
            matches.contested.discard(matches.rows.get(person, ""))
        else:
            matches.set(person, ids[0])


def _link_by_names(context: PlanContext, matches: Matches, free: Sequence[User]) -> None:
    """Link accounts whose userName and externalId name the same one person.

    Only under a mapping that fits, only accounts that the push wrote or found and that
    have no mark, and only to a person who has no account.
    """
    linkable = [
        row
        for row in free
        if row.id not in matches.owners and row.id not in matches.claimants and is_linkable(row)
    ]
    believed = context.are_believed(linkable)
    if not believed:
        return
    linkable = [row for row in linkable if row.id in believed]
    named = context.people_named({row.user_name for row in linkable})
    chosen: defaultdict[GraphId, list[User]] = defaultdict(list)
    for row in linkable:
        people = named.get(name_key(row.user_name), [])
        is_one = len(people) == 1 and believed[row.id] in (None, people[0])
        if not is_one or not context.has_external_id(people[0], row):
            continue
        if people[0] in matches.rows:
            matches.twins.setdefault(people[0], []).append(row.id)
        else:
            chosen[people[0]].append(row)
    for person, rows in chosen.items():
        if len(rows) == 1:
            matches.set(person, rows[0].id)
            matches.by_names.add(rows[0].id)


def _note_claimants(context: PlanContext, matches: Matches, free: Sequence[User]) -> None:
    """Note every user who answers to an account that is still without a holder, by any
    identifier, deleted people too.

    People without an account who answer to one get none: it may be theirs.
    """
    left = [row for row in free if row.id not in matches.owners and row.id not in matches.claimants]
    for row, people in context.claimants_of(left):
        matches.claimants[row.id] = people
        waiting = [
            person for person in people if person in context.snapshot.users and person not in matches.rows
        ]
        if not is_linkable(row):
            continue
        matches.contested.add(row.id)
        if row.active and not waiting and not context.snapshot.is_of_subjects:
            matches.left_open.append(_left_open(matches, row, people))
        for person in waiting:
            if (told := matches.conflicts.get(person)) is None:
                matches.conflict(person, [row.id], _why_not_linked(context, row, person))
            else:  # a conflict names every account (identity.md, W8)
                matches.conflict(person, {*told.candidates, row.id}, told.detail)


def _left_open(matches: Matches, row: User, people: Sequence[GraphId]) -> Finding:
    """Tell of an account that is no one's and keeps its access: of those who answer to
    it, someone may be entitled (identity.md, W8).
    """
    others = [matches.rows[person] for person in people if person in matches.rows]
    detail = "all who answer to it have other accounts, or are gone: whose it is, a person has to say"
    candidates = tuple(sorted({row.id, *others, *people}))
    return Finding(DriftKind.MATCH_CONFLICT, user_subject(row, None), detail, candidates)


def _why_not_linked(context: PlanContext, row: User, person: GraphId) -> str:
    if not context.names_fit:
        return (
            f"the account {row.user_name} may be theirs, and it is not known that the mapping fits: "
            "see `leaver connection mapping check`"
        )
    wanted = context.user_name(person)
    return f"the account {row.user_name} may be theirs, but its names are not those of {wanted or person}"


def match_groups(context: PlanContext) -> Matches:
    """Match every assigned Entra group to its live row."""
    groups = context.snapshot.groups
    assigned = context.entitlement.members.keys()
    live = [row for row in context.state.groups.values() if row.deleted_at is None]
    matches = Matches(SubjectType.GROUP, lambda g: groups[g].display_name)
    _set_linked(matches, live, assigned)
    free = [row for row in live if row.entra_object_id is None]

    by_external_id = index_by((row.id, row.external_id) for row in free)
    matches.claim(matches.unmatched(assigned), str.lower, by_external_id, "object id as externalId")
    by_name = index_by((row.id, row.display_name) for row in free)
    name: Key = lambda g: name_key(groups[g].display_name)  # noqa: E731
    matches.claim(matches.unmatched(assigned), name, by_name, "displayName")
    # A group made anew under an old name is a new group, unless the push gave it the
    # old row: then externalId, Entra's object id, is not the link (identity.md, W10).
    if context.entitlement.is_whole:
        given = (row for row in live if row.entra_object_id and row.id not in matches.owners)
        by_external_id = index_by((row.id, row.external_id) for row in given if row.origin in PUSHED)
        matches.claim(matches.unmatched(assigned), str.lower, by_external_id, "object id as externalId")
    return matches


def _set_linked(matches: Matches, live: Iterable[User | Group], objects: Iterable[GraphId]) -> None:
    linked = index_by((row.id, row.entra_object_id) for row in live)
    matches.claim(objects, str.lower, linked, "link")


def restorable_users(context: PlanContext, unmatched: Iterable[GraphId]) -> Mapping[GraphId, User]:
    """Return the deleted row of each returning user, by object id only.

    A name is given to another person one day and brings no history with it
    (identity.md, W5).
    """
    deleted = [row for row in context.state.users.values() if row.deleted_at is not None]
    # Of several rows the one deleted last: its data is the most recent.
    deleted.sort(key=lambda row: (str(row.deleted_at), row.id))
    by_object = {
        GraphId(proof): row
        for row in deleted
        if (proof := row.entra_object_id if context.has_holder(row) else object_id_in(row))
    }
    return {graph_id: by_object[graph_id] for graph_id in unmatched if graph_id in by_object}


# Names that must be unique here (userName, a group's displayName): refused before the
# store has to.


def refused_names(
    wanted: Mapping[GraphId, str], current: Mapping[GraphId, str], others: Iterable[str]
) -> frozenset[GraphId]:
    """Return the objects that cannot have the name they want.

    `current` are the names of objects that have a row, `others` the names of all rows
    that keep theirs. A refused object keeps its old name, which another object may want
    in turn: hence the rounds.
    """
    keys = {g: name_key(name) for g, name in wanted.items()}
    held = {g: name_key(name) for g, name in current.items()}
    kept = Counter(map(name_key, others))
    refused: frozenset[GraphId] = frozenset()
    while True:
        given = (held.get(g) if g in refused else key for g, key in keys.items())
        after = kept + Counter(key for key in given if key is not None)
        more = frozenset(
            g for g, key in keys.items() if g not in refused and after[key] > 1 and held.get(g) != key
        )
        if not more:
            return refused
        refused |= more
