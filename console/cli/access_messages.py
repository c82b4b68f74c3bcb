"""The words of the command line for errors of access: tokens, operators, sign-in.

And of links, and of what leaves Leaver: events, webhooks, streams.
"""

from __future__ import annotations

from functools import singledispatch

from console.admin import errors
from console.admin.errors import Noun
from console.admin.events import errors as event_errors
from console.admin.sessions import errors as session_errors
from console.errors import CommandError, WrongUse

_TO_LIST = {
    Noun.OPERATOR: "See: leaver operator list",
    Noun.LINK: "See: leaver setup links CONNECTION",
}


@singledispatch
def access_error(_error: errors.UseCaseError) -> CommandError | None:
    """Return the error of a command for one of access, None for any other."""
    return None


@access_error.register
def _(error: errors.NameTaken) -> WrongUse | None:
    if error.noun is not Noun.OPERATOR:
        return None
    why = "an operator of this name has another role or tenant"
    return WrongUse(f"operator {error.name!r}", why, "See: leaver operator list")


@access_error.register
def _(error: errors.UnknownReference) -> WrongUse | None:
    if error.noun not in _TO_LIST:
        return None
    what = f"no {error.noun} {error.reference!r}"
    return WrongUse(what, "there is none of this name or id", _TO_LIST[error.noun])


@access_error.register
def _(error: errors.PermissionMissing) -> CommandError:
    return CommandError("this", f"it needs the permission {error.permission}", "Ask an operator")


@access_error.register
def _(_error: errors.SignInTooOld) -> CommandError:
    return CommandError("this", "it needs a sign-in of the last 15 minutes", "Sign in again")


@access_error.register
def _(error: errors.AllTenantsRequired) -> CommandError:
    return CommandError(
        f"cannot {error.deed}", "this takes an operator of all tenants", "Ask the operator of Leaver"
    )


@access_error.register
def _(error: errors.UnknownPermission) -> WrongUse:
    known = "; ".join(f"{section}: {' '.join(actions)}" for section, actions in error.known.items())
    return WrongUse(f"no permission {error.permission!r}", f"known are {known}", "For example: admin:user:*")


@access_error.register
def _(error: errors.InvalidAddress) -> WrongUse:
    return WrongUse(
        f"--allow-address {error.address!r}",
        "this is neither an IP address nor a network",
        "For example: 203.0.113.7 or 10.0.0.0/8",
    )


@access_error.register
def _(_error: errors.FederationIncomplete) -> WrongUse:
    return WrongUse(
        "half a federation",
        "an assertion is known by its subject and its audience together",
        "Give both --federation-subject and --federation-audience",
    )


@access_error.register
def _(_error: errors.FederationForUser) -> WrongUse:
    why = "Entra's own assertion stands for no user"
    return WrongUse("--user with a federation", why, "Give one of them")


@access_error.register
def _(error: errors.TokenRevoked) -> WrongUse:
    return WrongUse(
        f"token {error.name!r}", "it is revoked, which is for good", "Make another: leaver token create"
    )


@access_error.register
def _(error: session_errors.SignInRefused) -> CommandError:
    return CommandError("sign-in is refused", error.problem, "Sign in with a browser")


@access_error.register
def _(_error: session_errors.CodeRefused) -> CommandError:
    return CommandError("the code is refused", "it is used, too old or another client's", "Sign in again")


@access_error.register
def _(error: session_errors.LinkRefused) -> CommandError:
    remedy = "Make a new one: leaver setup link CONNECTION"
    return CommandError("the link", f"it is {error.problem}", remedy)


@access_error.register
def _(error: session_errors.InvalidFrameAncestor) -> WrongUse:
    why = "an origin that may show the page is https:// and a host, without a path"
    return WrongUse(f"--frame {error.origin}", why, "For example: --frame https://app.example.com")


@access_error.register
def _(error: event_errors.InvalidEventCursor) -> WrongUse:
    what, why = "--after", "this is no cursor of this feed"
    return WrongUse(what, why, "Use the `next` of a page; one of `--tenant` is good for that tenant only")


@access_error.register
def _(error: event_errors.InvalidWebhookUrl) -> WrongUse:
    return WrongUse("URL", error.why, "Give the https URL of your app, reachable from the internet")


@access_error.register
def _(error: event_errors.EventsGone) -> CommandError:
    why = "events after it are deleted by now"
    return CommandError("--after", why, f"Go on with: --after {error.snapshot}")


@access_error.register
def _(error: event_errors.UnknownEventType) -> WrongUse:
    return WrongUse(f"--type {error.wanted}", "there is no such type", f"Known are {', '.join(error.known)}")


@access_error.register
def _(error: event_errors.InvalidStream) -> WrongUse:
    return WrongUse(error.setting, error.why, "Change the stream by the receiver's program")


@access_error.register
def _(error: event_errors.TooEarly) -> CommandError:
    return CommandError("the stream", "it was asked a moment ago", f"Wait {error.delay_s} seconds")
