"""The words of the command line for errors of access to the console, and of streams."""

from __future__ import annotations

from console.admin import errors
from console.admin.errors import Noun
from console.admin.events.stream_errors import InvalidStream, TooEarly
from console.admin.operators.link_errors import InvalidFrameAncestor, LinkRefused
from console.errors import CommandError, WrongUse

_TO_LIST = {
    Noun.OPERATOR: "See: leaver operator list",
    Noun.LINK: "See: leaver setup links CONNECTION",
}


def access_error(error: errors.UseCaseError) -> CommandError | None:
    """Return the error of a command for one of access, None for any other."""
    if isinstance(error, errors.NameTaken) and error.noun is Noun.OPERATOR:
        why = "an operator of this name has another role or tenant"
        return WrongUse(f"operator {error.name!r}", why, "See: leaver operator list")
    if isinstance(error, errors.UnknownReference) and error.noun in _TO_LIST:
        what = f"no {error.noun} {error.reference!r}"
        return WrongUse(what, "there is none of this name or id", _TO_LIST[error.noun])
    if isinstance(error, errors.PermissionMissing):
        return CommandError("this", f"it needs the permission {error.permission}", "Ask an operator")
    if isinstance(error, errors.SignInTooOld):
        return CommandError("this", "it needs a sign-in of the last 15 minutes", "Sign in again")
    if isinstance(error, InvalidStream):
        return WrongUse(error.setting, error.why, "Change the stream by the receiver's program")
    if isinstance(error, TooEarly):
        return CommandError("the stream", "it was asked a moment ago", f"Wait {error.delay_s} seconds")
    if isinstance(error, LinkRefused):
        return CommandError(
            "the link", f"it is {error.problem}", "Make a new one: leaver setup link CONNECTION"
        )
    if isinstance(error, InvalidFrameAncestor):
        why = "an origin that may show the page is https:// and a host, without a path"
        return WrongUse(f"--frame {error.origin}", why, "For example: --frame https://app.example.com")
    return None
