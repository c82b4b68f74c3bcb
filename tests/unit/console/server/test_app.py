"""The limits of the SCIM endpoints are settings, each of them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from config.settings import load_settings
from console.server.app import limits_of
from scim.limits import ScimLimits

NAMES = [field.name for field in fields(ScimLimits) if field.name != "access_token_s"]


def test_the_settings_have_the_same_defaults_as_the_limits() -> None:
    """What tests and embedders get is what an operator gets who sets nothing."""
    assert limits_of(load_settings()) == ScimLimits()


@pytest.mark.parametrize("name", NAMES)
def test_each_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """issue 4: "each a setting"."""
    standard = getattr(ScimLimits(), name)
    monkeypatch.setenv(f"LEAVER_SCIM_{name.upper()}", str(standard + 5))
    assert getattr(limits_of(load_settings()), name) == standard + 5


def test_an_access_token_lives_as_many_minutes_as_the_operator_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """App Gallery requirements: one to six hours."""
    monkeypatch.setenv("LEAVER_ACCESS_TOKEN_MINUTES", "360")
    assert limits_of(load_settings()).access_token_s == 6 * 3600


def test_a_page_is_never_larger_by_default_than_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """/ServiceProviderConfig would contradict itself."""
    monkeypatch.setenv("LEAVER_SCIM_MAX_PAGE_SIZE", "20")
    assert limits_of(load_settings()).default_page_size == 20
