"""A sample of `make conformance`: made-up requests as three roles get what the document declares."""

from __future__ import annotations

from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from console.api.openapi import describe
from console.api.routes import OPERATIONS
from tests.conformance import api_roles

REQUESTS = 430


def test_made_up_requests_as_three_roles_are_answered_as_declared(tmp_path: Path) -> None:
    """Issue 11: "as three roles …, no 500, nothing undocumented, nothing of another tenant"."""
    result = api_roles.run(f"sqlite+aiosqlite:///{tmp_path}/leaver.db", REQUESTS)
    assert result.failures == ()
    assert result.passed > REQUESTS / 2


def test_the_document_is_openapi_3_1() -> None:
    """Issue 11: "judged by openapi-spec-validator"."""
    assert [str(each.message) for each in OpenAPIV31SpecValidator(describe(OPERATIONS)).iter_errors()] == []
