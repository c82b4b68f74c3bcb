"""What happens in a company's directory, one event at a time: the same dice, the same life."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from simulator.directory import Directory

DOMAIN = "fabrikam-demo.example"
MOST_PEOPLE = 45
MOST_GROUPS = 8
ODD_NAMES = ("Straße", "strasse", "İnci", "O'Neil", "Ann.Vale", "ΣΊΣΥΦΟΣ", "Zoë", "x" * 300)
"""What folding and comparing of names trips over."""

Event = Callable[[], str | None]


class Life:
    """Each method lets one thing happen and says what; None where there was nobody it could happen to."""

    def __init__(self, directory: Directory, dice: random.Random) -> None:
        self.directory = directory
        self.dice = dice
        self._number = 0
        joining: list[Event] = [self.join] * 4 + [self.rehire, self.guest]
        moving: list[Event] = [self.move] * 4 + [self.empty, self.rename, self.recase, self.swap_names]
        moving += [self.change_manager, self.nickname]
        leaving: list[Event] = [self.disable] * 2 + [self.unassign] * 2 + [self.leave_group] * 3
        leaving += [self.soft_delete, self.purge]
        returning: list[Event] = [self.enable] * 2 + [self.assign] * 2 + [self.restore, self.join_group]
        grouping: list[Event] = [self.join_group] * 3 + [self.rename_group, self.nest, self.unnest]
        grouping += [self.assign_group, self.unassign_group, self.found_group, self.delete_group]
        self._events: Sequence[Event] = joining + moving + leaving + returning + grouping

    def happen(self, dice: random.Random | None = None) -> str:
        """Lets one thing happen, by other dice where they are given, and gives it in words."""
        usual, self.dice = self.dice, dice or self.dice
        try:
            while (told := self.dice.choice(self._events)()) is None:
                pass
        finally:
            self.dice = usual
        return told

    def anybody(self) -> str | None:
        people = sorted(self.directory.users)
        return self.dice.choice(people) if people else None

    def group(self) -> str | None:
        groups = sorted(self.directory.groups)
        return self.dice.choice(groups) if groups else None

    def _new_name(self) -> str:
        self._number += 1
        return f"joiner{self._number}"

    def _name(self, person: str) -> str:
        user = self.directory.users.get(person)
        return user.user_principal_name.partition("@")[0][:40] if user else person[:8]

    def _create(self, name: str, **properties: str) -> str:
        known = {"mail": f"{name}@{DOMAIN}", "givenName": name.title(), "surname": "Vale"}
        known["employeeId"] = f"E{self._number}.{len(self.directory.users)}"
        return self.directory.create_user(
            {"userPrincipalName": f"{name}@{DOMAIN}", **known, **properties}, manager_id=self.anybody()
        ).id

    def _let_in(self, person: str) -> None:
        group = self.group()
        if group is None or self.dice.random() < 0.4:
            self.directory.assign(person)
        else:
            self.directory.add_member(group, person)

    # --- joiners ---

    def join(self) -> str | None:
        if len(self.directory.users) >= MOST_PEOPLE:
            return None
        name = self._new_name()
        if self.dice.random() < 0.1:
            name += self.dice.choice(ODD_NAMES)
        if self.directory.find_user(f"{name}@{DOMAIN}"):
            return None
        self._let_in(self._create(name))
        return f"{name[:40]} joins"

    def rehire(self) -> str | None:
        """Somebody new under the name of somebody who is gone."""
        gone = [name for name in self.directory.purged_users.values() if not self.directory.find_user(name)]
        deleted = sorted(self.directory.deleted_users)
        gone += [self.directory.deleted_users[each].item.user_principal_name[32:] for each in deleted]
        free = [name for name in gone if not self.directory.find_user(name) and "#EXT#" not in name]
        if not free or len(self.directory.users) >= MOST_PEOPLE:
            return None
        name = self.dice.choice(free).partition("@")[0]
        if self.directory.find_user(f"{name}@{DOMAIN}"):
            return None
        self._let_in(self._create(name))
        return f"{name[:40]} is somebody new under an old name"

    def guest(self) -> str | None:
        if len(self.directory.users) >= MOST_PEOPLE:
            return None
        name = self._new_name()
        upn = f"{name}_outside.example#EXT#@{DOMAIN}"
        person = self.directory.create_user({"userPrincipalName": upn, "userType": "Guest"}).id
        self._let_in(person)
        return f"guest {name} joins"

    # --- movers ---

    def move(self) -> str | None:
        person = self.anybody()
        if person is None:
            return None
        self._number += 1
        names = [
            "jobTitle",
            "department",
            "city",
            "mobilePhone",
            "officeLocation",
            "employeeId",
            "displayName",
        ]
        changed = self.dice.sample(names, 2)
        self.directory.change_user(person, {each: f"{each} {self._number}" for each in changed})
        return f"{self._name(person)} moves ({', '.join(changed)})"

    def empty(self) -> str | None:
        person = self.anybody()
        if person is None:
            return None
        name = self.dice.choice(["jobTitle", "mail", "givenName", "officeLocation", "businessPhones"])
        self.directory.change_user(person, {name: None})
        return f"{self._name(person)} has no {name} any more"

    def rename(self) -> str | None:
        person = self.anybody()
        if person is None:
            return None
        old, new = self._name(person), self._new_name()
        properties: dict[str, str] = {"userPrincipalName": f"{new}@{DOMAIN}"}
        if self.dice.random() < 0.5:
            properties |= {"mailNickname": new, "mail": f"{new}@{DOMAIN}", "surname": new}
        self.directory.change_user(person, properties)
        return f"{old} is {new} now"

    def recase(self) -> str | None:
        person = self.anybody()
        if person is None:
            return None
        name = self.directory.users[person].user_principal_name
        if name.swapcase().lower() != name.lower():
            return None
        self.directory.change_user(person, {"userPrincipalName": name.swapcase()})
        return f"{name[:40]} changes the case of the name"

    def swap_names(self) -> str | None:
        people = sorted(self.directory.users)
        if len(people) < 2:
            return None
        one, two = self.dice.sample(people, 2)
        names = [self.directory.users[each].user_principal_name for each in (one, two)]
        if names[0].lower() == names[1].lower():
            return None
        for person, name in ((one, f"between@{DOMAIN}"), (two, names[0]), (one, names[1])):
            self.directory.change_user(person, {"userPrincipalName": name})
        return f"{names[0][:40]} and {names[1][:40]} swap their names"

    def nickname(self) -> str | None:
        """A mailNickname is unique within a domain only: two people may well have the same."""
        person, other = self.anybody(), self.anybody()
        if person is None or other is None:
            return None
        taken = self.directory.users[other].text("mailNickname")
        self.directory.change_user(person, {"mailNickname": taken})
        return f"{self._name(person)} gets the mailNickname of {self._name(other)}"

    def change_manager(self) -> str | None:
        person, manager = self.anybody(), self.anybody()
        if person is None:
            return None
        manager = self.dice.choice([manager, manager, None])
        self.directory.set_manager(person, manager)
        return f"{self._name(person)} reports to {self._name(manager) if manager else 'nobody'}"

    # --- leavers ---

    def disable(self) -> str | None:
        person = self.anybody()
        if person is None:
            return None
        self.directory.change_user(person, {"accountEnabled": False})
        return f"{self._name(person)} is disabled"

    def unassign(self) -> str | None:
        assigned = [each for each in sorted(self.directory.assignments) if each in self.directory.users]
        if not assigned:
            return None
        person = self.dice.choice(assigned)
        self.directory.unassign(person)
        return f"{self._name(person)} is unassigned"

    def leave_group(self) -> str | None:
        group = self.group()
        members = self.directory.live_members(group) if group else []
        if group is None or not members:
            return None
        member = self.dice.choice(sorted(members))
        self.directory.remove_member(group, member)
        return f"{self._name(member)} leaves {self.directory.groups[group].display_name}"

    def soft_delete(self) -> str | None:
        person = self.anybody()
        if person is None:
            return None
        name = self._name(person)
        self.directory.soft_delete_user(person)
        return f"{name} is deleted"

    def purge(self) -> str | None:
        deleted = sorted(self.directory.deleted_users)
        person = self.dice.choice(deleted) if deleted else self.anybody()
        if person is None:
            return None
        name = self._name(person)
        self.directory.purge_user(person)
        return f"{name} is deleted for good"

    # --- those who return ---

    def enable(self) -> str | None:
        disabled = [each for each, user in sorted(self.directory.users.items()) if not user.enabled]
        if not disabled:
            return None
        person = self.dice.choice(disabled)
        self.directory.change_user(person, {"accountEnabled": True})
        return f"{self._name(person)} is enabled again"

    def assign(self) -> str | None:
        person = self.anybody()
        if person is None:
            return None
        self.directory.assign(person)
        return f"{self._name(person)} is assigned"

    def restore(self) -> str | None:
        free = [
            each
            for each, deleted in sorted(self.directory.deleted_users.items())
            if not self.directory.find_user(deleted.item.user_principal_name[32:])
        ]
        if not free:
            return None
        person = self.dice.choice(free)
        self.directory.restore_user(person)
        return f"{self._name(person)} is restored"

    # --- groups ---

    def join_group(self) -> str | None:
        group, person = self.group(), self.anybody()
        if group is None or person is None or not self.directory.add_member(group, person):
            return None
        return f"{self._name(person)} joins {self.directory.groups[group].display_name}"

    def rename_group(self) -> str | None:
        group = self.group()
        if group is None:
            return None
        self._number += 1
        # Now and then a name that another group has: Entra allows that, SCIM does not.
        other = self.group() or group
        name = (
            self.directory.groups[other].display_name if self.dice.random() < 0.15 else f"Team {self._number}"
        )
        old = self.directory.groups[group].display_name
        self.directory.change_group(group, {"displayName": name})
        return f"group {old} is called {name} now"

    def found_group(self) -> str | None:
        if len(self.directory.groups) >= MOST_GROUPS:
            return None
        self._number += 1
        group = self.directory.create_group({"displayName": f"Team {self._number}"}).id
        for _ in range(self.dice.randrange(5)):
            if (person := self.anybody()) is not None:
                self.directory.add_member(group, person)
        if self.dice.random() < 0.7:
            self.directory.assign(group)
        return f"group Team {self._number} is founded"

    def delete_group(self) -> str | None:
        group = self.group()
        if group is None or len(self.directory.groups) < 3:
            return None
        name = self.directory.groups[group].display_name
        self.directory.delete_group(group)
        return f"group {name} is deleted"

    def assign_group(self) -> str | None:
        group = self.group()
        if group is None:
            return None
        self.directory.assign(group)
        return f"group {self.directory.groups[group].display_name} is assigned"

    def unassign_group(self) -> str | None:
        group = self.group()
        if group is None or not self.directory.unassign(group):
            return None
        return f"group {self.directory.groups[group].display_name} is unassigned"

    def nest(self) -> str | None:
        """Circles included: Entra allows them."""
        outer, inner = self.group(), self.group()
        if outer is None or inner is None or outer == inner or not self.directory.add_member(outer, inner):
            return None
        return f"group {self.directory.groups[inner].display_name} is put into another"

    def unnest(self) -> str | None:
        nested = [
            (outer, inner)
            for outer in sorted(self.directory.groups)
            for inner in sorted(self.directory.live_members(outer))
            if inner in self.directory.groups
        ]
        if not nested:
            return None
        outer, inner = self.dice.choice(nested)
        self.directory.remove_member(outer, inner)
        return f"group {self.directory.groups[inner].display_name} is taken out of another"
