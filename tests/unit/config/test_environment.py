"""Secrets in files, empty variables, and variables that nothing reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from config.environment import SecretFiles, is_secret, unknown_variables
from config.errors import SettingsError
from config.settings import Settings, load_settings
from tests.builders.secret_keys import secret_key

KEY = secret_key("in a file")


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("LEAVER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def test_every_secret_setting_can_be_in_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """issue 10, G: "every secret setting has a `_FILE` twin"."""
    file.write_text(f"{KEY}\n{secret_key('the one before')}\n")
    monkeypatch.setenv("LEAVER_SECRET_KEY_FILE", str(file))
    url = file.with_name("url")
    url.write_text("postgresql+asyncpg://leaver:hunter2@db/leaver\n")
    monkeypatch.setenv("LEAVER_DATABASE_URL_FILE", str(url))

    settings = load_settings()

    assert settings.sealing_keys == [KEY, secret_key("the one before")]
    assert settings.database_url == "postgresql+asyncpg://leaver:hunter2@db/leaver"


def test_a_setting_with_a_secret_in_it_is_known_by_its_type() -> None:
    """A later secret gets its twin by being declared `SecretStr`."""
    secret = {name for name, field in Settings.model_fields.items() if is_secret(field)}
    assert secret >= {"secret_key", "database_url"}
    assert "port" not in secret

    class Later(BaseSettings):
        """Settings of a later version."""

        webhook_secret: SecretStr | None = None

    assert is_secret(Later.model_fields["webhook_secret"])
    assert SecretFiles(Later)() == {}


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file"), (b"", "is empty"), (b"\n \n", "is empty"), (b"\xff\xfe", "not text")],
)
def test_a_file_that_holds_no_secret_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, why: str
) -> None:
    """The default in its place would be another database or no key at all."""
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("LEAVER_SECRET_KEY_FILE", str(file))
    with pytest.raises(SettingsError, match=f"^LEAVER_SECRET_KEY_FILE is wrong: the file {file} .*{why}"):
        load_settings()


def test_a_weak_key_in_a_file_is_told_with_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is right; what the file holds is not."""
    file.write_text("hunter2")
    monkeypatch.setenv("LEAVER_SECRET_KEY_FILE", str(file))
    with pytest.raises(
        SettingsError, match=f"^LEAVER_SECRET_KEY_FILE is wrong: what the file {file} holds"
    ) as told:
        load_settings()
    assert "hunter2" not in str(told.value)


def test_a_secret_that_is_given_twice_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the two counts would be a guess."""
    monkeypatch.setenv("LEAVER_SECRET_KEY", KEY)
    monkeypatch.setenv("LEAVER_SECRET_KEY_FILE", str(file))
    with pytest.raises(SettingsError, match=r"^LEAVER_SECRET_KEY and LEAVER_SECRET_KEY_FILE are both set"):
        load_settings()


@pytest.mark.parametrize("name", ["LEAVER_DATABASE_URL", "LEAVER_PORT", "LEAVER_SECRET_KEY_FILE"])
def test_an_empty_variable_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """`LEAVER_DATABASE_URL="$UNSET"` would open a new database in the current folder."""
    monkeypatch.setenv(name, "")
    with pytest.raises(SettingsError, match=f"^{name} is empty: give it a value, or unset it"):
        load_settings()


def test_a_variable_that_nothing_reads_is_named_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing mistake would otherwise be a setting that has no effect."""
    monkeypatch.setenv("LEAVER_DATABSE_URL", "sqlite+aiosqlite:///other.db")
    load_settings()
    load_settings()
    assert capsys.readouterr().err == (
        "leaver: LEAVER_DATABSE_URL is no setting and has no effect; did you mean LEAVER_DATABASE_URL?\n"
    )


def test_what_kubernetes_sets_is_no_mistake_of_the_operator() -> None:
    """A service called `leaver` puts these into every container of its namespace."""
    given = {
        "LEAVER_SERVICE_HOST": "10.0.0.1",
        "LEAVER_PORT_8080_TCP_ADDR": "10.0.0.1",
        "LEAVER_QQQQQ_QQQQQ": "1",
    }
    assert unknown_variables(Settings, given) == ["LEAVER_QQQQQ_QQQQQ is no setting and has no effect"]
