"""Seven people leave and three other things go wrong, all missed by Entra's push.

Each is a documented or observed gap of Entra's provisioning service. The simulator has
these gaps by itself. A gap that Entra shows only sometimes is armed for that one user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from console.demo.entra_admin import Entra, groups_of
from console.demo.processes import Json
from console.demo.vendor_app import VendorApp

STAGED_ABOVE = 1
"""Entra's accidental-deletion prevention: more removals than this in one cycle wait for
an admin."""

NEW_TITLE = "Chief Executive Officer"


@dataclass(frozen=True, slots=True)
class Departure:
    """A user who left, what Entra's admin did, and why the push missed it."""

    id: str
    name: str
    reason: str
    """The reason in the drift report."""
    what: str
    why_missed: str


@dataclass(frozen=True, slots=True)
class Mishap:
    """A difference of another kind."""

    kind: str
    name: str
    what: str
    why_missed: str


@dataclass(frozen=True, slots=True)
class Departures:
    """All that went wrong in Entra and in the app."""

    leavers: Sequence[Departure]
    mishaps: Sequence[Mishap]


class PeoplePicker:
    """Picks users who have not left yet, in a fixed order."""

    def __init__(self, state: Json) -> None:
        self._state = state
        self._taken: set[str] = set()

    def user_names(self) -> list[str]:
        """Return the userPrincipalNames of all entitled users."""
        return [_name(person) for person in self._state["users"] if person["entitled"]]

    def names(self) -> dict[str, str]:
        """Return display names by userPrincipalName in lower case."""
        return {_name(p).lower(): p["scim"]["displayName"] for p in self._state["users"] if p["scim"]}

    def pick(self, fits: Callable[[Json], bool]) -> Json:
        """Return the first entitled user who fits and was not picked before."""
        person: Json = next(
            p for p in self._state["users"] if p["entitled"] and p["id"] not in self._taken and fits(p)
        )
        self._taken.add(person["id"])
        return person

    def groups(self, person: Json) -> list[Json]:
        """Return the groups that a user is a direct member of."""
        return list(groups_of(self._state, person["id"]))


def _is_in_a_group(person: Json) -> bool:
    return "direct" not in person["via"]


def perform_departures(entra: Entra, app: VendorApp, people: PeoplePicker) -> Departures:
    """Make all changes, with Entra's own cycles in between as on a working day."""
    leavers = [
        _unassigned_before_a_restart(entra, people),
        _purged_between_two_cycles(entra, people),
        _skipped_as_not_entitled(entra, people),
    ]
    reactivated = _disable_for_now(entra, people)
    mishaps = [_removal_not_sent(entra, people)]
    entra.cycle()
    leavers.append(_reactivated_by_hand(app, reactivated))
    leavers += _staged(entra, people)
    leavers.append(_left_during_quarantine(entra, people))
    mishaps += [_edited_by_hand(app, people), _created_by_hand(app)]
    return Departures(leavers, mishaps)


def _name(person: Json) -> str:
    name: str = person["userPrincipalName"]
    return name


def _unassigned_before_a_restart(entra: Entra, people: PeoplePicker) -> Departure:
    person = people.pick(lambda p: p["via"] == ["direct"])
    entra.unassign(person["id"])
    entra.provisioning("restart")
    entra.cycle()
    why = "Provisioning was restarted before the next cycle: pending removals are dropped."
    return Departure(person["id"], _name(person), "unassigned", "Assignment removed.", why)


def _purged_between_two_cycles(entra: Entra, people: PeoplePicker) -> Departure:
    person = people.pick(_is_in_a_group)
    entra.delete(person["id"])
    entra.purge(person["id"])
    why = "Deleted and purged between two cycles: Entra no longer knows whom to send."
    return Departure(person["id"], _name(person), "purged", "Deleted for good.", why)


def _skipped_as_not_entitled(entra: Entra, people: PeoplePicker) -> Departure:
    person = people.pick(_is_in_a_group)
    groups = people.groups(person)
    entra.provisioning("arm", gap="not_effectively_entitled", principal=person["id"])
    for group in groups:
        entra.remove_member(group["id"], person["id"])
    what = f"Taken out of all {len(groups)} groups."
    return Departure(
        person["id"], _name(person), "unassigned", what, "Entra skipped: NotEffectivelyEntitled."
    )


def _disable_for_now(entra: Entra, people: PeoplePicker) -> Json:
    person = people.pick(_is_in_a_group)
    entra.change(person["id"], accountEnabled=False)
    return person


def _reactivated_by_hand(app: VendorApp, person: Json) -> Departure:
    """Enable an account in the app by hand, after Entra's cycle has disabled it."""
    app.reactivate(_name(person))
    what = "Account disabled, then switched on again in the app."
    return Departure(person["id"], _name(person), "disabled", what, "Entra never looks at the app's side.")


def _staged(entra: Entra, people: PeoplePicker) -> list[Departure]:
    disabled = people.pick(_is_in_a_group)
    deleted = people.pick(_is_in_a_group)
    entra.provisioning("configure", settings={"accidental_deletion_threshold": STAGED_ABOVE})
    entra.change(disabled["id"], accountEnabled=False)
    entra.delete(deleted["id"])
    entra.cycle()
    why = "Accidental-deletion prevention staged it; nobody approved."
    return [
        Departure(disabled["id"], _name(disabled), "disabled", "Account disabled.", why),
        Departure(deleted["id"], _name(deleted), "soft_deleted", "Account deleted.", why),
    ]


def _left_during_quarantine(entra: Entra, people: PeoplePicker) -> Departure:
    """Disable a user while the job is in quarantine because of the staged removals.

    Its next cycle is hours away, so none runs here.
    """
    person = people.pick(_is_in_a_group)
    entra.change(person["id"], accountEnabled=False)
    why = "Provisioning is in quarantine since: no cycle for hours."
    return Departure(person["id"], _name(person), "disabled", "Account disabled.", why)


def _removal_not_sent(entra: Entra, people: PeoplePicker) -> Mishap:
    person = people.pick(lambda p: _is_in_a_group(p) and len(p["via"]) > 1)
    group = people.groups(person)[0]
    entra.provisioning("arm", gap="drop_member_removal", principal=person["id"])
    entra.remove_member(group["id"], person["id"])
    what = f"Taken out of {group['displayName']}; keeps access by another group."
    why = "Entra sends a removal only when something else about the group changes."
    return Mishap("membership_extra", _name(person), what, why)


def _edited_by_hand(app: VendorApp, people: PeoplePicker) -> Mishap:
    person = people.pick(_is_in_a_group)
    app.rename_title(_name(person), NEW_TITLE)
    what = f"Made themselves {NEW_TITLE} in the app."
    return Mishap("attribute_mismatch", _name(person), what, "Entra never looks at the app's side.")


def _created_by_hand(app: VendorApp) -> Mishap:
    name = app.create_local_account()
    return Mishap("local_account", name, "Created in the app, by hand.", "Entra has never heard of it.")
