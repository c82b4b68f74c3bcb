"""A company out of nothing: the same seed gives the same people, groups, managers,
assignments and ids.
"""

import random
import unicodedata
from dataclasses import dataclass

from simulator.directory import Directory
from simulator.objects import DirUser, Properties
from simulator.seed_names import CITIES, DEPARTMENTS, GIVEN_NAMES, GROUP_PURPOSES, SURNAMES, TITLES, City

REPORTS_PER_MANAGER = 8
FOUNDED = "2019-04-01T08:00:00Z"
"""When every seeded object was created: a fixed moment, so that a seed gives the same
bytes on any day."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the company is made up; shares are of all users or all groups."""

    memberships_per_user: float = 3.0
    assigned_groups: float = 0.67
    nested_groups: float = 0.1
    direct: float = 0.1
    """Users assigned by themselves."""
    outside: float = 0.1
    """Users in no assigned group."""
    disabled: float = 0.03


def seed_company(
    directory: Directory, users: int, groups: int, seed: int | None = None, shape: Shape | None = None
) -> None:
    """Fill an empty directory.

    Nothing of it appears in the change feed: it was always so.
    """
    shape = shape or Shape()
    rng = random.Random(f"company {directory.seed if seed is None else seed}")
    with directory.unrecorded():
        people = _seed_users(directory, users, shape, rng)
        _seed_groups(directory, groups, shape, rng)
        _seed_memberships(directory, people, shape, rng)
        for user in people:
            if rng.random() < shape.direct:
                directory.assign(user.id, directory.app_role_id)
        # One group with both roles: appRoleAssignedTo lists a principal once per role.
        if assigned := [g for g in directory.groups if directory.is_assigned(g)]:
            directory.assign(assigned[0], directory.app_role_id)


def _seed_users(directory: Directory, count: int, shape: Shape, rng: random.Random) -> list[DirUser]:
    people: list[DirUser] = []
    taken: dict[str, int] = {}
    for number in range(count):
        given, surname = rng.choice(GIVEN_NAMES), rng.choice(SURNAMES)
        nickname = _nickname(given, surname, taken)
        city = rng.choice(CITIES)
        properties = _person(directory.domain, given, surname, nickname, number, city, rng)
        properties["accountEnabled"] = rng.random() >= shape.disabled
        manager = people[(number - 1) // REPORTS_PER_MANAGER].id if number else None
        people.append(directory.create_user(properties, manager_id=manager))
    return people


def _nickname(given: str, surname: str, taken: dict[str, int]) -> str:
    """Make a unique ASCII name like `zoe.muller` or `zoe.muller2`."""
    base = f"{_ascii(given)}.{_ascii(surname)}".lower()
    taken[base] = taken.get(base, 0) + 1
    return base if taken[base] == 1 else f"{base}{taken[base]}"


def _ascii(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.replace("ø", "o").replace("ł", "l").replace("Ł", "L"))
    return "".join(c for c in folded if c.isascii() and c.isalnum())


def _person(
    domain: str, given: str, surname: str, nickname: str, number: int, city: City, rng: random.Random
) -> Properties:
    address = f"{nickname}@{domain}"
    department = rng.choice(DEPARTMENTS)
    return {
        "userPrincipalName": address,
        "mail": address,
        "mailNickname": nickname,
        "displayName": f"{given} {surname}",
        "givenName": given,
        "surname": surname,
        "department": department,
        "jobTitle": rng.choice(TITLES),
        "employeeId": f"{70001 + number}",
        "companyName": "Fabrikam",
        "preferredLanguage": city.language,
        "officeLocation": city.office,
        "streetAddress": city.street,
        "city": city.name,
        "state": city.state,
        "postalCode": city.postal_code,
        "country": city.country,
        "usageLocation": city.usage_location,
        "businessPhones": [f"{city.dialling_code} {5550000 + number}"],
        "proxyAddresses": [f"SMTP:{address}"],
        "userType": "Member",
        "createdDateTime": FOUNDED,
    }


def _seed_groups(directory: Directory, count: int, shape: Shape, rng: random.Random) -> None:
    for number in range(count):
        department = DEPARTMENTS[number % len(DEPARTMENTS)]
        purpose = GROUP_PURPOSES[number // len(DEPARTMENTS) % len(GROUP_PURPOSES)]
        team = number // (len(DEPARTMENTS) * len(GROUP_PURPOSES))
        name = f"{department} {purpose}" + (f" {team + 1}" if team else "")
        office365 = number % 5 == 4
        group = directory.create_group(
            {
                "displayName": name,
                "description": f"{purpose} of {department}",
                "groupTypes": ["Unified"] if office365 else [],
                "mailEnabled": office365,
                "securityEnabled": True,
                "createdDateTime": FOUNDED,
            }
        )
        if number == 0 or rng.random() < shape.assigned_groups:
            directory.assign(group.id)


def _seed_memberships(directory: Directory, people: list[DirUser], shape: Shape, rng: random.Random) -> None:
    groups = list(directory.groups)
    if not groups:
        return
    open_groups = [g for g in groups if not directory.is_assigned(g)]
    outsiders = {user.id for user in people if rng.random() < shape.outside}
    # Group sizes are skewed, as in real companies: a few large ones and many small
    # ones.
    weights = {group: 1.0 / (1 + place) ** 0.5 for place, group in enumerate(rng.sample(groups, len(groups)))}
    for user in people:
        reachable = open_groups if user.id in outsiders else groups
        if not reachable:
            continue
        wanted = min(len(reachable), int(shape.memberships_per_user + rng.random()))
        for group in _draw(reachable, weights, wanted, rng):
            directory.add_member(group, user.id)
    _nest(directory, groups, shape, rng)


def _draw(groups: list[str], weights: dict[str, float], wanted: int, rng: random.Random) -> list[str]:
    """Draw `wanted` different groups, heavy ones more often (Efraimidis-Spirakis keys
    on a small sample).
    """
    sample = rng.sample(groups, min(len(groups), wanted * 3))
    return sorted(sample, key=lambda g: rng.random() ** (1.0 / weights[g]), reverse=True)[:wanted]


def _nest(directory: Directory, groups: list[str], shape: Shape, rng: random.Random) -> None:
    """Put some groups, the last one always, into earlier ones: downwards only, so there
    is no circle.
    """
    for place in range(1, len(groups)):
        is_last = place == len(groups) - 1 and shape.nested_groups > 0
        if rng.random() < shape.nested_groups or is_last:
            directory.add_member(groups[rng.randrange(place)], groups[place])
