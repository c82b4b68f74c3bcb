"""What a reading holds for each person: `python -m benchmarks.cycles.held [USERS]` (100,000), five memberships each.

Pages as Graph sends them are decoded as a cycle does, without network and database, and who is entitled is worked
out. Memory is what the process holds more than before, after garbage and free pages are gone.
"""

from __future__ import annotations

import random
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from store.records import CycleKind, GraphId, Policy
from worker.graph.read.users import directory_reader
from worker.jobs.runner import release_memory
from worker.reconcile.arrays.object_ids import MemberLists, ObjectIds
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.snapshot import Assignment, Completeness, GraphGroup, ListRead, Snapshot

USERS, PAGE, MEMBERSHIPS, USERS_IN_A_GROUP = 100_000, 999, 5, 100
ROW = "{:<44}{:>10}{:>16}{:>10}"


def run(number: int = USERS) -> None:
    """Prints a row after reading and one after entitlement."""
    numbers = random.Random(1)
    ids = [GraphId(str(uuid.UUID(int=numbers.getrandbits(128), version=4))) for _ in range(number)]
    _page(ids, 0)
    before = _resident_mb()
    print(f"\nA reading of {number:,} people, {MEMBERSHIPS} memberships each")
    print(ROW.format("", "MB", "bytes a person", "CPU s"))

    def show(name: str, cpu_s: float) -> None:
        held = _resident_mb() - before
        print(ROW.format(name, f"{held:.0f}", f"{held * 2**20 / number:.0f}", f"{cpu_s:.2f}"))

    known = ObjectIds()
    users, decode = directory_reader(Policy(), known)
    cpu_s = 0.0
    for start in range(0, number, PAGE):
        body = _page(ids, start)
        began = time.process_time()
        decode(body)
        cpu_s += time.process_time() - began
    members = MemberLists(known)
    groups = [GraphId(str(each)) for each in range(number // USERS_IN_A_GROUP)]
    began = time.process_time()
    for place, group in enumerate(groups):
        start = place * USERS_IN_A_GROUP
        members[group] = [ids[(start + 7 * each) % number] for each in range(MEMBERSHIPS * USERS_IN_A_GROUP)]
    show("users and members read", cpu_s + time.process_time() - began)
    snapshot = Snapshot(
        taken_at=datetime.now(UTC),
        kind=CycleKind.FULL,
        service_principal_id="application",
        users=users,
        groups={group: GraphGroup(group, group) for group in groups},
        assignments=tuple(Assignment(group, "Group", "0") for group in groups),
        members=members,
        nested_members={},
        deleted={},
        completeness=Completeness((ListRead("users", 1, number, True),), frozenset()),
    )
    began = time.process_time()
    entitlement = entitlement_of(snapshot, Policy())
    counts, held = entitlement.counts, entitlement.groups_held
    show(f"entitled: {counts['users']:,}, listed with {len(held):,}", time.process_time() - began)


def _page(ids: list[GraphId], start: int) -> bytes:
    rows = [
        {
            "id": graph_id,
            "accountEnabled": True,
            "userPrincipalName": f"person{number}@fabrikam-demo.example",
            "displayName": f"Person Number {number}",
            "mail": f"person{number}@fabrikam-demo.example",
            "mailNickname": f"person{number}",
            "givenName": "Person",
            "surname": f"Number {number}",
            "jobTitle": "Engineer",
            "department": "Research",
            "employeeId": str(number),
            "streetAddress": f"{number} Example Street",
            "proxyAddresses": [f"SMTP:person{number}@fabrikam-demo.example"],
            "otherMails": [],
        }
        for number, graph_id in enumerate(ids[start : start + PAGE], start)
    ]
    return msgspec.json.encode({"value": rows})


def _resident_mb() -> float:
    release_memory()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
