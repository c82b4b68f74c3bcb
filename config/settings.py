"""Settings from environment variables, `LEAVER_…`."""

from __future__ import annotations

import os
import re
import sys
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from config.environment import (
    FILE,
    PREFIX,
    SecretFiles,
    refuse_contradictions,
    unknown_variables,
    variable_of,
)
from config.errors import SettingsError
from config.keys import DerivedKey, Purpose, derive, read_key


class LogFormat(StrEnum):
    AUTO = "auto"
    """For people at a terminal, JSON otherwise."""
    JSON = "json"
    CONSOLE = "console"


class SignatureAlgorithm(StrEnum):
    """How security event tokens are signed (RFC 7518, RFC 9864)."""

    RS256 = "RS256"
    ES256 = "ES256"
    ED25519 = "Ed25519"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(BaseSettings):
    """Everything an operator can set.

    A field `x` is the variable `LEAVER_X`; its example is shown with an error. A secret
    may be in the file that `LEAVER_X_FILE` names.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: str = Field(
        default="sqlite+aiosqlite:///./leaver.db",
        repr=False,  # it may hold a password
        examples=["postgresql+asyncpg://leaver:secret@db.example.com/leaver"],
    )
    public_url: HttpUrl | None = Field(default=None, examples=["https://leaver.example.com"])
    """The URL under which clients reach Leaver; None: the address it listens on."""
    secret_key: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), examples=["$(leaver secret-key)"]
    )
    """Keys from which all others are derived (`config.keys`), separated by commas: the
    first seals and signs, all can unseal and verify.
    """
    allow_simulator: bool = Field(default=False, examples=["1"])
    """Whether a connection may lead to a simulated directory on this machine."""
    allow_private_issuers: bool = Field(default=False, examples=["1"])
    """Whether an OpenID provider of sign-in may be in the operator's own network."""
    host: str = Field(default="127.0.0.1", min_length=1, examples=["127.0.0.1"])
    port: int = Field(default=8080, ge=0, le=65535, examples=["8080"])
    log_level: LogLevel = Field(default=LogLevel.INFO, examples=["info"])
    log_format: LogFormat = Field(default=LogFormat.AUTO, examples=["json"])
    provisioning_log_days: int = Field(default=90, ge=1, le=3650, examples=["90"])
    """How long the provisioning log is kept."""
    audit_log_days: int = Field(default=365, ge=1, le=3650, examples=["365"])
    """How long changes to the set-up stay known: a year, the span an auditor asks
    about.
    """
    drift_days: int = Field(default=90, ge=1, le=3650, examples=["90"])
    """How long drift reports are kept, and the cycles they belong to."""
    event_days: int = Field(default=30, ge=1, le=3650, examples=["30"])
    """How long events are kept for listeners."""
    ended_session_days: int = Field(default=30, ge=1, le=3650, examples=["30"])
    """How long a session is remembered after it ran out."""
    session_hours: float = Field(default=8.0, gt=0, le=720, examples=["8"])
    """How long a session lasts, used or not."""
    session_idle_minutes: float = Field(default=60.0, ge=1, le=43_200, examples=["60"])
    """How long a session lasts without use."""
    history_days: int | None = Field(default=None, ge=1, le=36_500, examples=["3650"])
    """How long assessment results are kept; None: for ever."""
    receipt_days: int = Field(default=365, ge=1, le=3650, examples=["365"])
    """How long it stays known what ended with a person's access."""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(), examples=["10.0.0.0/8,127.0.0.1"]
    )
    """Proxies whose X-Forwarded-For says from where a request came.

    Separated by commas.
    """
    set_algorithm: SignatureAlgorithm = Field(default=SignatureAlgorithm.RS256, examples=["RS256"])
    """How the next key signs security event tokens; RS256 is what every receiver knows.
    """
    introspections_per_s: float = Field(default=10_000.0, ge=10, le=1_000_000, examples=["10000"])
    """Questions about sessions of one token, in the long run; twice as many at once."""
    scim_max_body_bytes: int = Field(default=1_048_576, ge=1_024, le=2**30, examples=["1048576"])
    scim_max_group_body_bytes: int = Field(default=4_194_304, ge=1_024, le=2**30, examples=["4194304"])
    """Of a request about a group: Okta sends all members with their names."""
    scim_max_bulk_body_bytes: int = Field(default=8_388_608, ge=1_024, le=2**30, examples=["8388608"])
    scim_max_depth: int = Field(default=24, ge=8, le=200, examples=["24"])
    """How deep arrays and objects may nest in a body; eight is what SCIM itself needs.
    """
    scim_max_patch_operations: int = Field(default=1_000, ge=1, le=100_000, examples=["1000"])
    scim_max_patch_selectors: int = Field(default=50, ge=1, le=1_000, examples=["50"])
    """Filters in the paths of one PATCH."""
    scim_max_patch_comparisons: int = Field(default=150_000, ge=1_000, le=10_000_000, examples=["150000"])
    """Values that the operations of one PATCH go through, by comparisons of filters."""
    scim_max_bulk_operations: int = Field(default=1_000, ge=1, le=100_000, examples=["1000"])
    scim_max_filter_length: int = Field(default=4_096, ge=64, le=65_536, examples=["4096"])
    scim_max_filter_terms: int = Field(default=50, ge=2, le=1_000, examples=["50"])
    scim_max_scan_terms: int = Field(default=5, ge=2, le=1_000, examples=["5"])
    scim_max_filter_depth: int = Field(default=20, ge=2, le=100, examples=["20"])
    scim_max_document_bytes: int = Field(default=262_144, ge=4_096, le=2**24, examples=["262144"])
    """What one user or group may hold, without the members of a group."""
    scim_max_values: int = Field(default=1_000, ge=10, le=100_000, examples=["1000"])
    """Values of one multi-valued attribute."""
    scim_max_attributes: int = Field(default=200, ge=20, le=10_000, examples=["200"])
    """Attributes of one extension, and characters of the name of an attribute."""
    scim_max_name_length: int = Field(default=1_000, ge=64, le=10_000, examples=["1000"])
    """Characters of userName, displayName and externalId."""
    scim_default_page_size: int = Field(default=100, ge=1, le=10_000, examples=["100"])
    scim_max_page_size: int = Field(default=1_000, ge=1, le=10_000, examples=["1000"])
    scim_cursor_timeout_s: int = Field(default=3_600, ge=60, le=604_800, examples=["3600"])
    scim_request_timeout_s: float = Field(default=30.0, ge=1, le=600, examples=["30"])
    """Entra gives up after about a minute."""
    scim_head_timeout_s: float = Field(default=10.0, ge=0.1, le=600, examples=["10"])
    """Until the head of a request has come."""
    scim_body_timeout_s: float = Field(default=25.0, ge=0.1, le=600, examples=["25"])
    """Until the body of a request has come."""
    scim_idle_timeout_s: float = Field(default=120.0, ge=1, le=3_600, examples=["120"])
    """How long a connection is kept between two requests."""
    scim_max_connections: int = Field(default=1_000, ge=10, le=1_000_000, examples=["1000"])
    """At once; fewer where the process has fewer file descriptors."""
    scim_max_connections_per_address: int = Field(default=250, ge=1, le=1_000_000, examples=["250"])
    """At once, of one address that is no trusted proxy."""
    scim_max_large_requests: int = Field(default=1, ge=1, le=64, examples=["1"])
    """Of one tenant at once: searches that no index answers, large bodies and pages."""
    scim_max_logged_refusals: int = Field(default=100, ge=1, le=100_000, examples=["100"])
    """Refused writes of a token and minute that are logged one by one."""
    scim_requests_per_s: float = Field(default=1_000.0, ge=25, le=1_000_000, examples=["1000"])
    """Of one token, in the long run.

    Entra must be served at least 25 a second (App Gallery requirements).
    """
    scim_burst: int = Field(default=20_000, ge=25, le=10_000_000, examples=["20000"])
    """How many requests a token may make at once before the rate counts."""
    scim_token_memory_s: float = Field(default=1.0, ge=0, le=60, examples=["1"])
    """How long an accepted token is trusted without a query.

    A revoked token stops working within this time.
    """
    scim_guesses_before_slowing: int = Field(default=10, ge=1, le=1_000, examples=["10"])
    """Refused tokens per address and minute that are answered at full speed."""
    access_token_minutes: int = Field(default=60, ge=60, le=360, examples=["60"])
    """How long an access token of /oauth/token lives.

    Entra's validator wants 60 to 360 minutes.
    """
    operations_host: str = Field(default="127.0.0.1", min_length=1, examples=["0.0.0.0"])  # noqa: S104 - an example
    operations_port: int | None = Field(default=None, ge=0, le=65535, examples=["8081"])
    """Where `leaver serve` answers an operator's tools; None: one above its port."""
    worker_host: str = Field(default="127.0.0.1", min_length=1, examples=["0.0.0.0"])  # noqa: S104 - an example
    worker_port: int | None = Field(default=None, ge=0, le=65535, examples=["9464"])
    """Where `leaver worker` answers an operator's tools; None: nowhere."""
    worker_tick_s: float = Field(default=5.0, ge=0.1, le=300, examples=["5"])
    """How often the worker looks for what is due."""
    lease_s: float = Field(default=30.0, ge=2, le=600, examples=["30"])
    """How long a connection stays reserved for a worker that no longer renews its
    lease.
    """

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then files with secrets."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @field_validator("secret_key", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(each for each in re.split(r"[,\s]+", value) if each)
        return value

    @field_validator("secret_key")
    @classmethod
    def _strong_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in keys:
            read_key(key.get_secret_value())
        return keys

    @field_validator("public_url")
    @classmethod
    def _only_a_base(cls, url: HttpUrl | None) -> HttpUrl | None:
        """Refuse what paths cannot be appended to."""
        if url is not None and (url.query is not None or url.fragment is not None or url.username):
            raise ValueError("it has to be a URL without user, query (?…) and fragment (#…)")
        return url

    @property
    def sealing_keys(self) -> list[str]:
        """The keys in clear, for `config.keys.Sealer`."""
        return [key.get_secret_value() for key in self.secret_key]

    def derived_keys(self, purpose: Purpose) -> tuple[DerivedKey, ...]:
        """Return the keys of one purpose, of each configured secret key: the first
        seals or signs, all open or verify.
        """
        return tuple(derive(key, purpose) for key in self.sealing_keys)

    @property
    def base_url(self) -> str:
        """`public_url` without a trailing slash, or the address Leaver listens on."""
        if self.public_url is not None:
            return str(self.public_url).rstrip("/")
        return f"http://{self.host}:{self.port}"


def load_settings() -> Settings:
    """Read the environment. A variable that nothing reads is named on standard error.

    Raise `SettingsError` with one line about the first wrong value.
    """
    refuse_contradictions(Settings, os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(
            _one_line(error)
        ) from None  # the cause would show the value, which may be a secret
    for line in unread_variables():
        _remark(line)
    return settings


def unread_variables() -> list[str]:
    """Return a line about each `LEAVER_` variable that has no effect."""
    return unknown_variables(Settings, os.environ)


@cache
def _remark(line: str) -> None:
    """Write a remark once in a process: settings are read more than once."""
    sys.stderr.write(f"leaver: {line}\n")


def _one_line(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(problem["loc"][0])
    reason = problem["msg"].removeprefix("Value error, ")
    variable = variable_of(name)
    if file := os.environ.get(variable + FILE):
        return f"{variable}{FILE} is wrong: what the file {file} holds cannot be used: {reason}"
    examples = Settings.model_fields[name].examples or [""]
    return f"{variable} is wrong: {reason}; for example {variable}={examples[0]}"
