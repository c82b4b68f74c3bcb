"""Settings: typed, with one line that tells what is wrong."""

from __future__ import annotations

import os

import pytest

from config.errors import SettingsError
from config.keys import new_key
from config.settings import LogFormat, Settings, load_settings
from tests.builders.secret_keys import secret_key

TODAY, YESTERDAY = secret_key("today"), secret_key("yesterday")


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("LEAVER_"):
            monkeypatch.delenv(name)


def test_everything_has_a_default() -> None:
    """`make demo` needs no variable."""
    settings = load_settings()

    assert settings.database_url == "sqlite+aiosqlite:///./leaver.db"
    assert settings.base_url == "http://127.0.0.1:8080"
    assert settings.sealing_keys == []


def test_variables_are_read_with_their_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """design.md §6: environment variables `LEAVER_…`."""
    monkeypatch.setenv("LEAVER_PUBLIC_URL", "https://leaver.contoso.example/sync/")
    monkeypatch.setenv("LEAVER_LOG_FORMAT", "json")
    monkeypatch.setenv("LEAVER_SECRET_KEY", f"{TODAY}, {YESTERDAY},")

    settings = load_settings()

    assert settings.base_url == "https://leaver.contoso.example/sync"
    assert settings.log_format is LogFormat.JSON
    assert settings.sealing_keys == [TODAY, YESTERDAY]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("PUBLIC_URL", "leaver.contoso.example"),
        ("PUBLIC_URL", "https://leaver.contoso.example/?a=b"),
        ("PUBLIC_URL", "https://leaver.contoso.example/#top"),
        ("LOG_LEVEL", "loud"),
        ("SECRET_KEY", f"{TODAY},hunter2"),
        ("PROVISIONING_LOG_DAYS", "0"),
        ("LEASE_S", "soon"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,everybody"),
        ("SCIM_REQUESTS_PER_S", "24"),
        ("ACCESS_TOKEN_MINUTES", "59"),
        ("ACCESS_TOKEN_MINUTES", "361"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The line names the variable, what is wrong and an example; it never repeats the value, which may be a secret."""
    monkeypatch.setenv(f"LEAVER_{name}", value)

    with pytest.raises(
        SettingsError, match=f"^LEAVER_{name} is wrong: .+; for example LEAVER_{name}=.+$"
    ) as caught:
        load_settings()

    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_examples_are_right_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever follows the example has a value that works."""
    for name, field in Settings.model_fields.items():
        [example] = field.examples or []
        typed = str(example).replace("$(leaver secret-key)", new_key())
        monkeypatch.setenv(f"LEAVER_{name.upper()}", typed)

    load_settings()


def test_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings get printed; keys and database passwords do not."""
    monkeypatch.setenv("LEAVER_SECRET_KEY", TODAY)
    monkeypatch.setenv("LEAVER_DATABASE_URL", "postgresql+asyncpg://leaver:hunter2@db/leaver")

    shown = repr(load_settings())
    assert "hunter2" not in shown
    assert TODAY not in shown
