"""docker-compose.yml and Dockerfile say what an operator gets; checked without a Docker engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.environment import PREFIX
from config.settings import Settings
from console.main import main

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_compose_runs_web_worker_and_postgres() -> None:
    """issue 2: "`docker-compose.yml` (web, worker, PostgreSQL ...)"."""
    assert {"web", "worker", "postgres"} <= set(SERVICES)


@pytest.mark.parametrize("name", ["web", "worker", "postgres"])
def test_every_lasting_service_has_a_healthcheck_and_comes_back(name: str) -> None:
    """A service that hangs or dies at night must not wait for a person."""
    assert {"test", "interval", "timeout", "retries"} <= set(SERVICES[name]["healthcheck"])
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ["migrate", "web", "worker"])
def test_every_command_in_compose_is_one_of_ours(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A renamed command or option would only show on the machine of whoever upgrades."""
    command = SERVICES[name]["command"]
    verbs = [word for word in command if not word.startswith("-") and not re.search(r"[\d.]", word)]
    assert main([*verbs, "--help"]) == 0
    page = capsys.readouterr().out
    assert all(word in page for word in command if word.startswith("--"))


@pytest.mark.parametrize("name", ["migrate", "web", "worker"])
def test_every_variable_compose_sets_is_a_setting(name: str) -> None:
    """An unknown LEAVER_ variable is ignored silently; a typing mistake here would be, too."""
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    assert set(SERVICES[name]["environment"]) <= known


def test_processes_wait_for_the_schema_and_the_schema_for_the_database() -> None:
    """A process that finds another schema than its own refuses to start."""
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("web", "worker"):
        condition = SERVICES[name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"


def test_the_database_survives_its_container() -> None:
    """A named volume, declared, on the folder PostgreSQL writes to."""
    [volume] = SERVICES["postgres"]["volumes"]
    name, _, folder = volume.partition(":")
    assert name in COMPOSE["volumes"]
    assert folder == "/var/lib/postgresql/data"


def test_the_database_is_not_reachable_from_outside_and_web_only_from_this_machine() -> None:
    """A TLS proxy belongs in front; a port bound to every address would go around it."""
    assert "ports" not in SERVICES["postgres"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["web"]["ports"])


def test_no_secret_and_no_registry_address_is_written_down() -> None:
    """issue 2: "no registry address in a committed file"; the key comes from the operator's environment."""
    text = (ROOT / "docker-compose.yml").read_text() + DOCKERFILE
    assert not re.search(r"https?://(?!127\.0\.0\.1)", text)
    assert SERVICES["web"]["environment"]["LEAVER_SECRET_KEY"] == "${LEAVER_SECRET_KEY:?must be set in .env}"


def test_compose_knows_no_password_of_its_own() -> None:
    """A default that everybody can read here is none."""
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert "${POSTGRES_PASSWORD:?" in SERVICES["web"]["environment"]["LEAVER_DATABASE_URL"]


@pytest.mark.parametrize("name", ["migrate", "web", "worker"])
def test_our_containers_write_to_no_disk_and_have_no_rights_to_spare(name: str) -> None:
    """issue 10, G: read-only file systems, no capabilities, no-new-privileges, limits."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - memory, in the container
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    """issue 2: "dependencies locked with hashes"."""
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert all("--require-hashes" in line or "--no-deps /wheels" in line for line in installs)
    assert re.search(r"^USER (?!root)", DOCKERFILE, re.MULTILINE)
