"""A check of the doctor as a value: what was examined, the result, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CheckStatus(StrEnum):
    """The result of one check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not examined: an earlier check failed, or there is nothing to examine."""


class Remedy(StrEnum):
    """What a person can do about a finding.

    Each face words it with its own controls.
    """

    CORRECT_SETTING = "correct_setting"
    SET_SECRET_KEY = "set_secret_key"  # noqa: S105 - a remedy, not a secret
    MAKE_WRITABLE = "make_writable"
    RESEAL = "reseal"
    UNSET_VARIABLES = "unset_variables"
    SET_PUBLIC_URL = "set_public_url"
    START_WORKER = "start_worker"
    START_SERVER = "start_server"
    SET_DIRECTORY = "set_directory"
    REACH_LOGIN = "reach_login"
    STORE_CREDENTIAL = "store_credential"
    RENEW_CREDENTIAL = "renew_credential"
    RESTORE_SECRET_KEY = "restore_secret_key"  # noqa: S105 - a remedy, not a secret
    RESUME = "resume"
    END_INCOMPLETE = "end_incomplete"
    ENFORCE = "enforce"
    CREATE_TOKEN = "create_token"  # noqa: S105 - a remedy, not a secret
    ROTATE_TOKEN = "rotate_token"  # noqa: S105 - a remedy, not a secret
    PASTE_SUCCESSOR = "paste_successor"
    RUN_CYCLE = "run_cycle"
    SEE_ABOVE = "see_above"
    DECIDE_PLANS = "decide_plans"
    READ_WHOLE = "read_whole"
    SHOW_DRIFT = "show_drift"
    DELIVER_EVENTS = "deliver_events"
    RELEASE_BRAKE = "release_brake"
    LIFT_SEALS = "lift_seals"


@dataclass(frozen=True, slots=True)
class Advice:
    """A remedy, and the names and ids that it concerns."""

    remedy: Remedy
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """One examined fact. `remedy` is empty where nothing has to be done."""

    area: str
    name: str
    found: CheckStatus
    detail: str
    remedy: Advice | str = ""
    """A sentence where Microsoft Graph's answer already said what to do."""
