"""The committed document is what the code says, and is valid OpenAPI 3.1."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs

from console.admin import errors
from console.api.openapi import describe
from console.api.problems import TYPES
from console.api.refusals import problem_of
from console.api.routes import OPERATIONS

ROOT = Path(__file__).parents[4]
DOCUMENT: dict[str, Any] = describe(OPERATIONS)


def test_the_committed_document_is_that_of_the_code() -> None:
    """A change of the API is seen in review. Write it: python -m console.api.openapi > docs/openapi.json."""
    assert json.loads((ROOT / "docs" / "openapi.json").read_text()) == DOCUMENT


def test_every_reference_resolves_and_every_schema_is_valid() -> None:
    for reference in _references(DOCUMENT):
        found: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_operation_is_described() -> None:
    """OpenAPI 3.1: unique operationIds, every path parameter declared and required."""
    ids = [each.id for each in OPERATIONS]
    assert len(ids) == len(set(ids))
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))
            assert operation["summary"]
            assert "401" in operation["responses"]
            places = [(each["in"], each["name"]) for each in operation["parameters"]]
            assert len(places) == len(set(places))


def test_no_operation_makes_or_changes_a_user_or_group() -> None:
    """IPSIE: no local creation and no local changes; the marks that guard an account are Leaver's own."""
    at_records = re.compile(r"/(users|groups)(/\{(user|group)\})?$")
    writing = {(each.method, each.path) for each in OPERATIONS if each.method != "GET"}
    assert {each for each in writing if at_records.search(each[1])} == {
        ("PATCH", "/connections/{connection}/users/{user}")
    }
    marks = DOCUMENT["components"]["schemas"]["MarksBody"]
    assert set(marks["properties"]) == {"protected", "admin"}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def test_every_problem_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    for name, row in TYPES.items():
        assert f"| `{name}` | {row.status} | {row.title} | {row.remedy} |" in text


def test_an_operation_names_known_problems_and_a_permission() -> None:
    for operation in OPERATIONS:
        assert set(operation.problems) <= set(TYPES)
        assert operation.permission


def test_an_error_of_a_use_case_that_has_no_words_of_its_own_is_a_conflict() -> None:
    """A new error is answered with the first line of its class: never a 500."""

    class Strange(errors.UseCaseError):
        """The moon is full."""

    problem = problem_of(Strange())
    assert (problem.type, problem.detail) == ("conflict", "The moon is full.")
