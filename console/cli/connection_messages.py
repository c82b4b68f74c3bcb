"""The words of the command line for errors of connections: credential, URLs, policy."""

from __future__ import annotations

from functools import singledispatch

from console.admin import errors
from console.admin.connections import errors as connection_errors
from console.admin.connections.errors import UrlProblem, UrlRole
from console.errors import CommandError, WrongUse

URL_OPTIONS = {
    UrlRole.LOGIN: "--login-url",
    UrlRole.GRAPH: "--graph-url",
    UrlRole.RETURN: "--return-url",
}
SETTING_OPTIONS = {
    "brake_release_minutes": "--for-minutes",
    "evidence_max_age_s": "--evidence-max-age-s",
    "held_plan_days": "--held-days",
    "full_every_hours": "--full-every-hours",
    "scoping_filters": "--filter",
    "mapping": "the mapping",
}
"""What a setting is called in a command where no option is spelled like it."""
_URL_PROBLEMS = {
    UrlProblem.NOT_A_URL: ("this is not a URL", "Give one such as https://graph.microsoft.com"),
    UrlProblem.PLAIN_HTTP: (
        "plain http would send the credential in clear to another machine",
        "Use https; http is only for a simulator on this machine (127.0.0.1)",
    ),
    UrlProblem.NOT_AN_ORIGIN: (
        "it has more than scheme and host",
        "Give no path, query or user: https://login.microsoftonline.com, https://graph.microsoft.com",
    ),
    UrlProblem.SIMULATOR_NOT_ALLOWED: (
        "this is a simulated directory on this machine, and those are not allowed here",
        "To try things out, set LEAVER_ALLOW_SIMULATOR=1; never where real people are",
    ),
}


@singledispatch
def connection_error(_error: errors.UseCaseError) -> CommandError | None:
    """Return the error of a command for one of a connection, None for any other."""
    return None


def _option_of(setting: str) -> str:
    return SETTING_OPTIONS.get(setting, "--" + setting.replace("_", "-"))


@connection_error.register
def _(error: errors.ValueOutOfRange) -> WrongUse:
    return WrongUse(
        f"{_option_of(error.setting)} {error.value:g}",
        f"it has to be from {error.least:,} to {error.most:,}",
        "Nothing was changed",
    )


@connection_error.register
def _(error: connection_errors.InvalidObjectId) -> WrongUse:
    return WrongUse(
        f"{_option_of(error.setting)} {str(error.value)[:40]!r}",
        "this is no id of Entra's, which looks like 5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01",
        "Enterprise applications > the application shows it as Application ID",
    )


@connection_error.register
def _(error: errors.InvalidPolicy) -> WrongUse:
    return WrongUse(_option_of(error.setting), error.why, "Nothing was changed")


@connection_error.register
def _(_error: connection_errors.NothingToChange) -> WrongUse:
    return WrongUse("nothing to change", "no option was given", "See: leaver connection set --help")


@connection_error.register
def _(_error: connection_errors.CredentialIncomplete) -> WrongUse:
    return WrongUse(
        "client, tenant and cloud change together with their credential",
        "a stored secret belongs to one client, and is shown to nobody else",
        "Add the credential: --client-secret, --certificate or another",
    )


@connection_error.register
def _(error: connection_errors.CredentialRefused) -> CommandError:
    remedy = error.remedy or "Compare it with what Entra shows"
    return CommandError(
        "the new credential does not work",
        error.why,
        f"{remedy} The stored one stays; --no-test stores it untested",
    )


@connection_error.register
def _(_error: errors.SecretKeyMissing) -> CommandError:
    return CommandError(
        "cannot store or read a credential",
        "LEAVER_SECRET_KEY is not set, and credentials are only kept sealed",
        "Set it to what this prints, and keep it: leaver secret-key",
    )


@connection_error.register
def _(error: connection_errors.InvalidServiceUrl) -> WrongUse:
    what = f"{URL_OPTIONS[error.role]} {error.url!r}"
    if error.role is UrlRole.RETURN:
        return WrongUse(
            what,
            "this is not an address that a code may be sent to",
            "Use https (http on this machine only), without fragment and user: https://app.example.com/signed-in",
        )
    return WrongUse(what, *_URL_PROBLEMS[error.problem])


@connection_error.register
def _(error: connection_errors.InvalidDirectory) -> WrongUse:
    return WrongUse(
        f"--entra-tenant-id {error.entra_tenant_id[:80]!r}",
        "this is neither the id of an Entra tenant nor one of its domains",
        "Entra admin center > Overview shows it as Tenant ID: 5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01",
    )


@connection_error.register
def _(error: connection_errors.CloudMismatch) -> WrongUse:
    return WrongUse(
        f"--login-url {error.login_url} with --graph-url {error.graph_url}", error.why, error.remedy
    )


@connection_error.register
def _(error: connection_errors.InvalidAttributePath) -> WrongUse:
    return WrongUse(
        f"{error.path!r}",
        "this names no attribute of a custom extension",
        "For example: urn:ietf:params:scim:schemas:extension:contoso:2.0:User:costCenter",
    )


@connection_error.register
def _(error: connection_errors.NotBraked) -> WrongUse:
    return WrongUse(
        f"connection {error.connection_name!r}",
        "no brake holds back removals by push",
        "Before a planned offboarding say for how long: --for-minutes 60",
    )
