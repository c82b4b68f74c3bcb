"""Seven people leave, three things go wrong besides: what happened, and why Entra's push says nothing of it.

Each is a documented or observed gap of Entra's provisioning service. The simulator behaves so by itself;
where Entra does it only sometimes, the gap is armed for that one person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from console.demo.entra_admin import Entra, groups_of
from console.demo.processes import Json
from console.demo.vendor_app import VendorApp

STAGED_ABOVE = 1
"""Entra's accidental-deletion prevention: more removals than this in one cycle wait for an admin."""

NEW_TITLE = "Chief Executive Officer"


@dataclass(frozen=True, slots=True)
class Departure:
    """One person who left, what Entra's admin did, and why the push missed it."""

    id: str
    name: str
    reason: str
    """As a drift report calls it."""
    what: str
    why_missed: str


@dataclass(frozen=True, slots=True)
class Mishap:
    """One difference of another kind."""

    kind: str
    name: str
    what: str
    why_missed: str


@dataclass(frozen=True, slots=True)
class Departures:
    leavers: Sequence[Departure]
    mishaps: Sequence[Mishap]


class PeoplePicker:
    """Gives people who have not left yet, always the same ones."""

    def __init__(self, state: Json) -> None:
        self._state = state
        self._taken: set[str] = set()

    def everybody(self) -> list[str]:
        """The userPrincipalNames of all who work there."""
        return [_name(person) for person in self._state["users"] if person["entitled"]]

    def names(self) -> dict[str, str]:
        """What people are called, by userPrincipalName in lower case."""
        return {_name(p).lower(): p["scim"]["displayName"] for p in self._state["users"] if p["scim"]}

    def pick(self, fits: Callable[[Json], bool]) -> Json:
        person: Json = next(
            p for p in self._state["users"] if p["entitled"] and p["id"] not in self._taken and fits(p)
        )
        self._taken.add(person["id"])
        return person

    def groups(self, person: Json) -> list[Json]:
        return list(groups_of(self._state, person["id"]))


def _is_in_a_group(person: Json) -> bool:
    return "direct" not in person["via"]


def perform_departures(entra: Entra, app: VendorApp, cast: PeoplePicker) -> Departures:
    """Lets it all happen, with Entra's own cycles in between, as they would run in the course of a day."""
    leavers = [
        _unassigned_before_a_restart(entra, cast),
        _purged_between_two_cycles(entra, cast),
        _skipped_as_not_entitled(entra, cast),
    ]
    reactivated = _disable_for_now(entra, cast)
    mishaps = [_removal_not_sent(entra, cast)]
    entra.cycle()
    leavers.append(_reactivated_by_hand(app, reactivated))
    leavers += _staged(entra, cast)
    leavers.append(_left_during_quarantine(entra, cast))
    mishaps += [_edited_by_hand(app, cast), _created_by_hand(app)]
    return Departures(leavers, mishaps)


def _name(person: Json) -> str:
    name: str = person["userPrincipalName"]
    return name


def _unassigned_before_a_restart(entra: Entra, cast: PeoplePicker) -> Departure:
    person = cast.pick(lambda p: p["via"] == ["direct"])
    entra.unassign(person["id"])
    entra.provisioning("restart")
    entra.cycle()
    why = "Provisioning was restarted before the next cycle: pending removals are dropped."
    return Departure(person["id"], _name(person), "unassigned", "Assignment removed.", why)


def _purged_between_two_cycles(entra: Entra, cast: PeoplePicker) -> Departure:
    person = cast.pick(_is_in_a_group)
    entra.delete(person["id"])
    entra.purge(person["id"])
    why = "Deleted and purged between two cycles: Entra no longer knows whom to send."
    return Departure(person["id"], _name(person), "purged", "Deleted for good.", why)


def _skipped_as_not_entitled(entra: Entra, cast: PeoplePicker) -> Departure:
    person = cast.pick(_is_in_a_group)
    groups = cast.groups(person)
    entra.provisioning("arm", gap="not_effectively_entitled", principal=person["id"])
    for group in groups:
        entra.remove_member(group["id"], person["id"])
    what = f"Taken out of all {len(groups)} groups."
    return Departure(
        person["id"], _name(person), "unassigned", what, "Entra skipped: NotEffectivelyEntitled."
    )


def _disable_for_now(entra: Entra, cast: PeoplePicker) -> Json:
    person = cast.pick(_is_in_a_group)
    entra.change(person["id"], accountEnabled=False)
    return person


def _reactivated_by_hand(app: VendorApp, person: Json) -> Departure:
    """Entra's cycle has disabled the account by now; a colleague turns it on again in the app."""
    app.reactivate(_name(person))
    what = "Account disabled, then switched on again in the app."
    return Departure(person["id"], _name(person), "disabled", what, "Entra never looks at the app's side.")


def _staged(entra: Entra, cast: PeoplePicker) -> list[Departure]:
    disabled = cast.pick(_is_in_a_group)
    deleted = cast.pick(_is_in_a_group)
    entra.provisioning("configure", settings={"accidental_deletion_threshold": STAGED_ABOVE})
    entra.change(disabled["id"], accountEnabled=False)
    entra.delete(deleted["id"])
    entra.cycle()
    why = "Accidental-deletion prevention staged it; nobody approved."
    return [
        Departure(disabled["id"], _name(disabled), "disabled", "Account disabled.", why),
        Departure(deleted["id"], _name(deleted), "soft_deleted", "Account deleted.", why),
    ]


def _left_during_quarantine(entra: Entra, cast: PeoplePicker) -> Departure:
    """The staged removals put the job into quarantine: its next cycle is hours away, so none runs here."""
    person = cast.pick(_is_in_a_group)
    entra.change(person["id"], accountEnabled=False)
    why = "Provisioning is in quarantine since: no cycle for hours."
    return Departure(person["id"], _name(person), "disabled", "Account disabled.", why)


def _removal_not_sent(entra: Entra, cast: PeoplePicker) -> Mishap:
    person = cast.pick(lambda p: _is_in_a_group(p) and len(p["via"]) > 1)
    group = cast.groups(person)[0]
    entra.provisioning("arm", gap="drop_member_removal", principal=person["id"])
    entra.remove_member(group["id"], person["id"])
    what = f"Taken out of {group['displayName']}; keeps access by another group."
    why = "Entra sends a removal only when something else about the group changes."
    return Mishap("membership_extra", _name(person), what, why)


def _edited_by_hand(app: VendorApp, cast: PeoplePicker) -> Mishap:
    person = cast.pick(_is_in_a_group)
    app.rename_title(_name(person), NEW_TITLE)
    what = f"Made themselves {NEW_TITLE} in the app."
    return Mishap("attribute_mismatch", _name(person), what, "Entra never looks at the app's side.")


def _created_by_hand(app: VendorApp) -> Mishap:
    name = app.create_local_account()
    return Mishap("local_account", name, "Created in the app, by hand.", "Entra has never heard of it.")
