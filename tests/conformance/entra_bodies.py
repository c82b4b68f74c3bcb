"""Every request body in ../shared/fixtures/entra, sent to the server and judged by reading back what came of
it.

The judge knows nothing of the server's own engine: it asks of each attribute or operation what a reader of
the body would expect to find afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from tests.conformance.result import SHARED, Result, Tally
from tests.conformance.scim_server import Target

DATA = SHARED / "fixtures" / "entra"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_SELECTION = re.compile(r'^(?P<name>[^[]+)\[(?P<by>\w+) eq "(?P<value>[^"]*)"\](?:\.(?P<sub>\w+))?$')
_ANSWERS = ("response", "expects", "note", "source", "licence")


def run(target: Target, name: str) -> Result:
    tally = Tally(name)
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/scim+json"}
    with httpx2.Client(base_url=target.base, headers=headers, timeout=30) as http:
        judge = _Judge(http, tally)
        for label, body in bodies(DATA):
            judge.body(label, body)
    return tally.result()


def bodies(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each distinct request body: PATCH messages, users, and groups."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*.json")):
        for body in _walk(json.loads(path.read_text())):
            text = json.dumps(body, sort_keys=True)
            if text not in seen:
                seen.add(text)
                yield f"{path.stem} #{len(seen)}", body


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        names = {name.lower() for name in value}
        if "operations" in names or ("schemas" in names and names & {"username", "displayname"}):
            yield value
            return
        for name, item in value.items():
            if name not in _ANSWERS:
                yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


class _Judge:
    """Sends bodies and compares what can be read afterwards with what they say."""

    def __init__(self, http: httpx2.Client, tally: Tally) -> None:
        self.http = http
        self.tally = tally
        schemas = http.get("/Schemas").json()["Resources"]
        self.declared = {each["id"]: {one["name"].lower() for one in each["attributes"]} for each in schemas}

    def body(self, label: str, body: dict[str, Any]) -> None:
        names = {name.lower(): name for name in body}
        if "operations" in names:
            self.patch(label, body)
        elif "username" in names and "id" not in names:
            self.user(label, {**body, names["username"]: f"{uuid4()}-{body[names['username']]}"})
        elif "username" not in names and "displayname" in names:
            self.group(label, body)

    def user(self, label: str, body: dict[str, Any]) -> None:
        if not str(body.get("userName", "")).rpartition("-")[2]:
            return
        made = self.http.post("/Users", json=body)
        self.tally.check(
            made.status_code == 201, f"{label}: POST /Users gave {made.status_code}: {made.text[:200]}"
        )
        if made.status_code != 201:
            return
        read = self.http.get(f"/Users/{made.json()['id']}").json()
        self._compare(label, body, read, self.declared["urn:ietf:params:scim:schemas:core:2.0:User"])
        extension = body.get(ENTERPRISE)
        if extension:
            self._compare(label, extension, read.get(ENTERPRISE, {}), self.declared[ENTERPRISE])
        self._delete(f"/Users/{read['id']}")

    def group(self, label: str, body: dict[str, Any]) -> None:
        people = {each["value"]: self._person() for each in body.get("members", [])}
        body = _renamed(body, people)
        made = self.http.post("/Groups", json={**body, "displayName": f"{uuid4()} {body['displayName']}"})
        self.tally.check(
            made.status_code == 201, f"{label}: POST /Groups gave {made.status_code}: {made.text[:200]}"
        )
        if made.status_code != 201:
            return
        read = self.http.get(f"/Groups/{made.json()['id']}").json()
        self.tally.check(
            {each["value"] for each in read["members"]} == set(people.values()), f"{label}: members"
        )
        for path in (f"/Groups/{read['id']}", *(f"/Users/{each}" for each in people.values())):
            self._delete(path)

    def patch(self, label: str, body: dict[str, Any]) -> None:
        operations = body["Operations"]
        if _is_for_groups(operations):
            self._patch_group(label, body)
        else:
            self._patch_user(label, body)

    def _patch_user(self, label: str, body: dict[str, Any]) -> None:
        path = f"/Users/{self._person()}"
        answer = self.http.patch(path, json=body)
        self.tally.check(
            answer.status_code in (200, 204), f"{label}: PATCH gave {answer.status_code}: {answer.text[:200]}"
        )
        read = self.http.get(path).json()
        for name, (op, value) in _last_words(body["Operations"]).items():
            found = self._find(read, name)
            if found is _UNDECLARED:
                continue
            expected = None if op == "remove" else value
            self.tally.check(
                _means(expected, found), f"{label}: {op} {name}: wanted {expected!r}, found {found!r}"
            )
        self._delete(path)

    def _patch_group(self, label: str, body: dict[str, Any]) -> None:
        people = {each: self._person() for each in _member_ids(body["Operations"])}
        removed_first = [{"value": each} for each in people.values()]
        made = self.http.post("/Groups", json={"displayName": str(uuid4()), "members": removed_first}).json()
        path = f"/Groups/{made['id']}"
        body = _renamed(body, people)
        answer = self.http.patch(path, json=body)
        self.tally.check(
            answer.status_code in (200, 204), f"{label}: PATCH gave {answer.status_code}: {answer.text[:200]}"
        )
        read = self.http.get(path).json()
        expected = _members_after(body["Operations"], list(people.values()))
        found = {each["value"] for each in read["members"]}
        self.tally.check(found == expected, f"{label}: members {found} instead of {expected}")
        for name, (_, value) in _last_words(body["Operations"]).items():
            if name.lower() in ("displayname", "externalid"):
                self.tally.check(_means(value, self._find(read, name)), f"{label}: {name}")
        for each in (path, *(f"/Users/{person}" for person in people.values())):
            self._delete(each)

    def _compare(
        self, label: str, sent: Mapping[str, Any], read: Mapping[str, Any], declared: set[str]
    ) -> None:
        found = {name.lower(): value for name, value in read.items()}
        for name, value in sent.items():
            if name.lower() in declared and name.lower() not in ("password", "groups"):
                actual = found.get(name.lower())
                self.tally.check(_means(value, actual), f"{label}: {name}: sent {value!r}, found {actual!r}")

    def _find(self, read: Mapping[str, Any], path: str) -> Any:
        """Return what a path designates in a resource that was read, None where there is nothing."""
        holder: Any = read
        rest = path
        if path.lower().startswith("urn:"):
            urn = next((each for each in self.declared if path.lower().startswith(each.lower())), None)
            if urn is None:
                return _UNDECLARED
            rest = path[len(urn) + 1 :]
            holder = read.get(urn, {}) if "extension" in urn else read
        selection = _SELECTION.match(rest)
        name = selection["name"] if selection else rest.partition(".")[0]
        if rest and not any(name.lower() in each for each in self.declared.values()):
            return _UNDECLARED if name.lower() != "externalid" else holder.get("externalId")
        if not rest:
            return holder or None
        value = _get(holder, name)
        if not selection:
            sub = rest.partition(".")[2]
            return _get(value, sub) if sub else value
        matching = [each for each in value or [] if _means(selection["value"], _get(each, selection["by"]))]
        if not matching:
            return None
        return _get(matching[0], selection["sub"]) if selection["sub"] else matching[0]

    def _person(self) -> str:
        body = {
            "userName": f"{uuid4()}@example.com",
            "active": True,
            "displayName": "Somebody",
            "title": "Somewhat",
        }
        return str(self.http.post("/Users", json=body).json()["id"])

    def _delete(self, path: str) -> None:
        status = self.http.delete(path).status_code
        self.tally.check(status == 204, f"DELETE {path} gave {status}")


_UNDECLARED = object()


def _get(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    return next((item for key, item in value.items() if key.lower() == name.lower()), None)


def _means(sent: Any, found: Any) -> bool:
    """Whether what was found is what was meant: Entra's strings, bare ids and empty values included."""
    if sent in (None, "", [], {}, [{}]) or sent == {"value": ""}:
        return found in (None, [], {}) or (isinstance(found, Mapping) and set(found) <= {"type", "primary"})
    if isinstance(found, bool):
        return str(sent).lower() == str(found).lower()
    if isinstance(sent, Mapping):
        return isinstance(found, Mapping) and all(
            _means(item, _get(found, name))
            for name, item in sent.items()
            if name not in ("$ref", "displayName") and item is not None
        )
    if isinstance(sent, list):
        if isinstance(found, Mapping):
            return _means(sent[0], found)
        return isinstance(found, list) and all(any(_means(one, each) for each in found) for one in sent)
    return bool(sent == found or _get(found, "value") == sent)


def _last_words(operations: list[Any]) -> dict[str, tuple[str, Any]]:
    """Return the last operation on each path; without a path there is one for each key of the value."""
    words: dict[str, tuple[str, Any]] = {}
    for operation in operations:
        op, path, value = operation["op"].lower(), operation.get("path"), operation.get("value")
        if path is None and isinstance(value, Mapping):
            for key, item in value.items():
                if key.lower() not in ("id", "schemas", "meta"):
                    words[key] = (op, item)
        elif path:
            words[path] = (op, value)
    return {path: word for path, word in words.items() if not path.lower().startswith("members")}


def _is_for_groups(operations: list[Any]) -> bool:
    return any(str(each.get("path", "")).lower().startswith("members") for each in operations) or any(
        isinstance(each.get("value"), Mapping) and "members" in each["value"] for each in operations
    )


def _member_ids(operations: list[Any]) -> list[str]:
    found: dict[str, None] = {}
    for operation in operations:
        path, value = str(operation.get("path", "")), operation.get("value")
        selection = _SELECTION.match(path)
        if selection and path.lower().startswith("members"):
            found[selection["value"]] = None
        values = value.get("members", []) if isinstance(value, Mapping) and "members" in value else value
        if path.lower() == "members" or values is not value:
            listed = values if isinstance(values, list) else [values]
            found |= dict.fromkeys(
                each["value"] if isinstance(each, Mapping) else each for each in listed if each
            )
    return list(found)


def _members_after(operations: list[Any], members: list[str]) -> set[str]:
    """Return who is a member after the operations, beginning with all of them."""
    current = set(members)
    for operation in operations:
        path, value = str(operation.get("path", "")), operation.get("value")
        if isinstance(value, Mapping) and "members" in value:
            path, value = "members", value["members"]
        if not path.lower().startswith("members"):
            continue
        ids = set(_member_ids([{"path": path, "value": value}]))
        op = operation["op"].lower()
        if op == "remove":
            current = current - ids if ids else set()
        else:
            current = ids if op == "replace" else current | ids
    return current


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Put the ids of people who exist in the place of those a body was recorded with."""
    if isinstance(value, Mapping):
        return {name: _renamed(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if isinstance(value, str):
        for old, new in names.items():
            value = value.replace(old, new)
    return value
