"""The page for each error: what happened, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from console.admin import errors
from console.web.wording.notices import REFUSED
from store import errors as store_errors
from worker import errors as worker_errors
from worker.jobs.requests import NoWorkerRuns


@dataclass(frozen=True, slots=True)
class PageRefusal:
    """What a person reads in place of the page that was asked for."""

    status: int
    heading: str
    what: str
    what_to_do: str
    is_defect: bool = False
    """Ours: it is logged with its traceback."""


class WebRefused(Exception):
    """The console itself refuses a request, before any use case."""

    def __init__(self, refusal: PageRefusal) -> None:
        super().__init__(refusal.heading)
        self.refusal = refusal


NOT_FOUND = PageRefusal(
    404,
    "There is nothing here",
    "The address is not known, or it belongs to something that you have no access to.",
    "Check the address, or go back to the start.",
)
"""The same for what does not exist and for what belongs to another tenant."""

NOT_ALLOWED = PageRefusal(
    403,
    "Your role does not allow this",
    "Nothing was changed.",
    "Ask an operator of Leaver, or a person with the mark admin of your organisation, to do it.",
)
FOREIGN = PageRefusal(
    403,
    "This request came from another site",
    "Nothing was changed: a form is accepted from Leaver's own pages only.",
    "Open the page in Leaver and send the form there.",
)
SIGN_IN = PageRefusal(
    401,
    "Sign in to go on",
    "You are not signed in.",
    "Sign in with your organisation's account, or open the sign-in link that an operator gave you.",
)
SESSION_ENDED = PageRefusal(
    401,
    "Your session has ended",
    "It ran out, was not used for a while, or was ended. Nothing that you had not sent was saved.",
    "Sign in again to go on where you were.",
)
TOO_OLD_SIGN_IN = PageRefusal(
    403,
    "Sign in again for this",
    "What you asked for changes who has access, so it needs a sign-in of the last 15 minutes. Nothing was changed.",
    "Sign in again, then send the form once more. An operator asks for another link: leaver operator invite NAME.",
)
SENT_TWICE = PageRefusal(
    409,
    "This form was sent before",
    "It is being carried out, or was refused the first time. It was not carried out again.",
    "Open the page anew to see how things stand.",
)
UNREADABLE = PageRefusal(
    400,
    "The form could not be read",
    "A field is missing, too long, or not text. Nothing was changed.",
    "Open the page anew and fill the form in again.",
)

NO_SUCH_ACCOUNT = PageRefusal(
    400,
    "There is no such account",
    "No account of this connection has that user name or id. Nothing was changed.",
    "Go back and compare it with the list of users.",
)
NO_SUCH_TENANT = PageRefusal(
    400, "There is no such tenant", "Nothing was changed.", "Go back and write its name, or leave it empty."
)


def unusable(why: str) -> PageRefusal:
    """Return the page for a value that cannot be used, with its reason."""
    text = why.strip() or "No reason was given"
    sentence = text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
    return PageRefusal(
        400, "That cannot be used", f"{sentence} Nothing was changed.", "Go back and correct it."
    )


def stale(what: str) -> PageRefusal:
    """Return the page for a form that was filled in on an older state."""
    return PageRefusal(
        409, "This changed since you opened it", what, "Look at it as it is now, then decide again."
    )


_ABSENT = (
    errors.UnknownReference,
    errors.AmbiguousReference,
    errors.ReferenceTooShort,
    store_errors.NotFound,
)


def refusal_of(error: Exception) -> PageRefusal:
    """Return the page for an error; an unknown error is a defect of ours."""
    if isinstance(error, WebRefused):
        return error.refusal
    if isinstance(error, _ABSENT):
        return NOT_FOUND
    if isinstance(error, errors.PermissionMissing):
        return NOT_ALLOWED
    if isinstance(error, errors.SignInTooOld):
        return TOO_OLD_SIGN_IN
    if isinstance(error, errors.UseCaseError):
        known = REFUSED.get(type(error))
        what = known(error) if known else " ".join((type(error).__doc__ or "").split("\n\n")[0].split())
        return PageRefusal(
            409, "That is not possible", f"{what} Nothing was changed.", "Go back and choose again."
        )
    if isinstance(error, store_errors.VersionMoved):
        return stale(f"{_sentence(error)} Nothing was changed.")
    return _of_the_machine(error)


def _of_the_machine(error: Exception) -> PageRefusal:
    if isinstance(error, NoWorkerRuns):
        return PageRefusal(
            503, "No worker runs", _sentence(error), "Ask the operator to start: leaver worker."
        )
    if isinstance(error, store_errors.TryAgain | worker_errors.TryAgain):
        return PageRefusal(503, "Not now", _sentence(error), "Nothing is lost. Try again in a minute.")
    if isinstance(error, worker_errors.NeedsHuman):
        return PageRefusal(502, "Somebody has to act first", _sentence(error), str(error.remedy))
    if isinstance(error, store_errors.StoreError | worker_errors.WorkerError):
        return PageRefusal(409, "That is not possible", _sentence(error), "Go back and choose again.")
    return PageRefusal(
        500,
        "Something went wrong in Leaver",
        "The page could not be made. Nothing that was not said to be done was done.",
        "Try again. If it happens again, give the operator the correlation id below: the log has the reason.",
        is_defect=True,
    )


def _sentence(error: Exception) -> str:
    text = str(error).strip() or "No reason was given"
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
