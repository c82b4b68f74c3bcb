"""Requests that hypothesis makes up, half sense, half nonsense, to every endpoint.

Eight thousand in all, unless LEAVER_TEST_REQUESTS says more.

No answer may be a 500, and every answer must be what scim2-models accepts as SCIM.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

import httpx2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import EnterpriseUser, Error, Group, ScimPolicy, User

from tests.conformance.result import Result, Tally
from tests.conformance.scim_server import Target

REQUESTS = int(os.environ.get("LEAVER_TEST_REQUESTS", "8000")) // 2
"""For each of the two databases."""
_TOLERANT = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)
_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

words = st.sampled_from(
    [
        "work",
        "home",
        "ada",
        "Ada",
        "True",
        "false",
        "",
        "a@example.com",
        "2026-01-01T00:00:00Z",
        "é",
        "%",
        "_",
    ]
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), words, st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["value", "type", "primary", "display", "$ref", "givenName"]), words),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=6,
)
names = st.sampled_from(
    "userName displayName active name emails phoneNumbers roles title externalId members manager groups meta "
    "id schemas addresses name.givenName emails.value meta.created colour urn:x:y USERNAME x509Certificates "
    f"password {_ENTERPRISE} {_ENTERPRISE}:manager {_ENTERPRISE}:department".split()
)
operators = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "xx"])
comparisons = st.one_of(
    st.builds(lambda name, op, value: f"{name} {op} {json.dumps(value)}", names, operators, scalars),
    st.builds(lambda name: f"{name} pr", names),
    st.builds(
        lambda name, op, value: f'{name}[type {op} {json.dumps(value)}].value eq "x"',
        names,
        operators,
        scalars,
    ),
    st.builds(lambda name, value: f"{name} eq {value}", names, words),
)
filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(
            lambda left, word, right: f"{left} {word} {right}", inner, st.sampled_from(["and", "or"]), inner
        ),
        inner.map(lambda each: f"not ({each})"),
        inner.map(lambda each: f"({each})"),
    ),
    max_leaves=4,
)
paths = st.one_of(
    names, st.builds(lambda name, inner: f"{name}[{inner}]", names, comparisons), st.text(max_size=8)
)
nonsense = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove", "Remove", "move"])},
    optional={"path": paths, "value": values},
)
texts = st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), max_size=10)
elements = st.fixed_dictionaries(
    {},
    optional={
        "value": texts,
        "type": words,
        "display": texts,
        "primary": st.sampled_from([True, False, "True"]),
    },
)
written = st.one_of(
    st.tuples(
        st.sampled_from(["title", "nickName", "name.givenName", f"{_ENTERPRISE}:department", "manager"]),
        texts,
    ),
    st.tuples(st.sampled_from(['emails[type eq "work"].value', 'roles[primary eq "True"].value']), texts),
    st.tuples(st.just("active"), st.sampled_from([True, False, "True", "False"])),
    st.tuples(st.sampled_from(["emails", "roles", "phoneNumbers"]), st.lists(elements, max_size=3)),
    st.tuples(st.sampled_from(['roles[type eq "work"]', 'emails[value eq "ada"]']), elements),
    st.tuples(st.just("displayName"), texts),
    st.tuples(st.just("members"), st.just([])),
)


def _operation(op: str, write: tuple[str, Any], path_less: bool) -> dict[str, Any]:
    path, value = write
    return (
        {"op": op, "value": {path: value}}
        if path_less and "[" not in path
        else {"op": op, "path": path, "value": value}
    )


sense = st.builds(_operation, st.sampled_from(["add", "Add", "replace", "Replace"]), written, st.booleans())
removals = st.builds(
    lambda path: {"op": "remove", "path": path},
    st.sampled_from(["title", "emails", 'roles[type eq "work"]', "name.givenName", "manager", _ENTERPRISE]),
)
patches = st.builds(
    lambda listed: {"Operations": listed},
    st.one_of(
        st.lists(st.one_of(sense, removals), min_size=1, max_size=4),
        st.lists(nonsense, min_size=1, max_size=2),
    ),
)
resources = st.dictionaries(names, values, max_size=6)
users = st.builds(lambda name, rest: {**rest, "userName": name}, st.text(min_size=1, max_size=6), resources)
groups = st.builds(
    lambda name, rest: {**rest, "displayName": name}, st.text(min_size=1, max_size=6), resources
)
bulks = st.builds(
    lambda listed: {"Operations": listed},
    st.lists(
        st.builds(
            lambda method, data: {"method": method, "path": "/Users", "bulkId": "b", "data": data},
            st.sampled_from(["POST", "PUT", "GET"]),
            users,
        ),
        max_size=3,
    ),
)
anything = st.one_of(
    st.text(st.characters(), max_size=12),
    st.sampled_from(
        ["\x00", "\ud800", "a\udfffb", "%00", "\u202e", "İ", "e\u0301", "database is locked", "disk is full"]
    ),
)
"""Any text, with what no database keeps and what an error might be taken for."""
cursors = st.one_of(st.sampled_from(["", "", "forged", "AQ"]), anything)
queries = st.builds(
    lambda **given: "&".join(
        f"{name}={quote(str(value), errors='surrogatepass')}" for name, value in given.items()
    ),
    filter=filters,
    sortBy=names,
    sortOrder=st.sampled_from(["ascending", "descending", "x"]),
    startIndex=st.integers(-2, 10),
    count=st.integers(-2, 10),
    attributes=st.one_of(st.just(""), names),
    excludedAttributes=names,
    cursor=cursors,
)
partial_queries = st.builds(
    lambda query, kept: "&".join(part for part, keep in zip(query.split("&"), kept, strict=False) if keep),
    queries,
    st.lists(st.booleans(), min_size=8, max_size=8),
)
searches = st.fixed_dictionaries(
    {},
    optional={
        "filter": filters,
        "sortBy": names,
        "sortOrder": st.sampled_from(["ascending", "descending", "x"]),
        "startIndex": scalars,
        "cursor": cursors,
        "count": scalars,
        "attributes": values,
    },
)
nothing = st.just("")
strangers = st.sampled_from(["/Users/nobody", "/Groups/nobody", "/Me", "/Schemas/x"])
search_paths = st.sampled_from(["/.search", "/Users/.search", "/Groups/.search"])
requests = st.one_of(
    st.tuples(st.just("GET"), st.sampled_from(["/Users", "/Groups", "/"]), partial_queries, st.none()),
    st.tuples(st.just("POST"), st.just("/Users"), nothing, users),
    st.tuples(st.just("POST"), st.just("/Groups"), nothing, groups),
    st.tuples(st.just("PATCH"), st.sampled_from(["/Users/{user}", "/Groups/{group}"]), nothing, patches),
    st.tuples(st.just("PUT"), st.just("/Users/{user}"), nothing, users),
    st.tuples(st.just("PUT"), st.just("/Groups/{group}"), nothing, groups),
    st.tuples(st.sampled_from(["GET", "DELETE", "PATCH"]), strangers, nothing, patches),
    st.tuples(st.just("POST"), search_paths, nothing, searches),
    st.tuples(st.just("POST"), st.just("/Bulk"), nothing, bulks),
)


def run(target: Target, name: str) -> Result:
    tally = Tally(name)
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/scim+json"}
    with httpx2.Client(base_url=target.base, headers=headers, timeout=30) as http:
        subjects = {
            "user": http.post("/Users", json={"userName": "subject@example.com"}).json()["id"],
            "group": http.post("/Groups", json={"displayName": "subject"}).json()["id"],
        }

        @settings(
            max_examples=REQUESTS,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(requests)
        def ask(request: tuple[str, str, str, Any]) -> None:
            method, path, query, body = request
            content = None if body is None else json.dumps(body).encode("utf-8", "replace")
            answer = http.request(
                method, path.format(**subjects) + (f"?{query}" if query else ""), content=content
            )
            problem = _problem(answer)
            tally.check(problem is None, f"{method} {path}?{query} {content!r}: {problem}")

        ask()
    return tally.result()


def _problem(answer: httpx2.Response) -> str | None:
    """Return what is wrong with an answer, None for one that is SCIM."""
    if answer.status_code >= 500 and answer.status_code != 501:
        return f"{answer.status_code} {answer.text[:200]}"
    if answer.status_code in (204, 304):
        return None if not answer.content else f"{answer.status_code} with a body"
    if answer.headers["Content-Type"] != "application/scim+json":
        return f"the media type is {answer.headers['Content-Type']}"
    try:
        _validate(answer.json(), answer.status_code)
    except (ValidationError, ValueError, KeyError) as error:
        return f"no SCIM: {str(error)[:300]} in {answer.text[:300]}"
    return None


def _validate(body: Any, status: int) -> None:
    if status >= 400:
        assert Error.model_validate(body, scim_policy=_TOLERANT).status == status
        return
    schema = body["schemas"][0]
    if schema.endswith(":ListResponse"):
        for each in body["Resources"]:
            _validate(each, 200)
    elif schema.endswith(":User"):
        User[EnterpriseUser].model_validate(_without_addresses(body), scim_policy=_TOLERANT)
    elif schema.endswith(":Group"):
        Group.model_validate(body, scim_policy=_TOLERANT)


def _without_addresses(body: Any) -> Any:
    """Leave out e-mail values and certificates: this server keeps what Entra sends, well-formed or not."""
    return {name: item for name, item in body.items() if name not in ("emails", "x509Certificates")}
