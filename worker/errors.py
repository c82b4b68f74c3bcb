"""Define what can go wrong in the worker, by who must act next.

    WorkerError
    ├── TryAgain         the same work is tried again after `delay_s`
    │   ├── Yielded      on-demand work wanted the lease, or the process stops
    │   └── DatabaseAway Leaver's own database did not answer
    ├── Terminal         trying again would end the same way
    │   └── LeaseLost    another process took the connection over and does the rest
    └── NeedsHuman       an admin: the connection is quarantined and shows `remedy`
        └── InstallationFault   the operator: key, disk or schema

Loops know only the three. `DatabaseAway` and `InstallationFault` say nothing about a
connection. Messages say what, why and what to do next; never a secret, never a person's
data.
"""

from __future__ import annotations

import structlog

from config.errors import SealError
from store import errors as store_errors
from worker.reconcile.mapping.attribute_paths import PolicyError

log = structlog.get_logger(__name__)


class WorkerError(Exception):
    """The root of the worker's errors; its message is a sentence for an admin."""


class TryAgain(WorkerError):
    """The same work may succeed later: throttled, unreachable, busy."""

    def __init__(self, message: str, delay_s: float = 60.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class Yielded(TryAgain):
    """The work stopped at a safe point on purpose; what it wrote stands, the next run
    reads again.
    """

    def __init__(self, message: str, delay_s: float = 0.0) -> None:
        super().__init__(message, delay_s)


class DatabaseAway(TryAgain):
    """Leaver's own database does not answer, or others hold it: the work begins again
    later.
    """


class Terminal(WorkerError):
    """Trying again changes nothing: a wrong reference, a plan that is no longer
    held.
    """


class LeaseLost(Terminal):
    """The connection's lease expired or was taken over while this process worked; it
    writes nothing more.
    """


class NeedsHuman(WorkerError):
    """Only an admin can help: wrong credentials, lost consent, a deleted
    application.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class InstallationFault(NeedsHuman):
    """Only the operator can help: the key is wrong, the disk is full, the schema is
    old.

    It says nothing about the connection: it is not quarantined, its failures are not
    counted, its beat stays.
    """


class WrongSecretKey(InstallationFault):
    """`LEAVER_SECRET_KEY` of this process does not open a credential that was sealed
    with another key.
    """

    def __init__(self, connection_name: str) -> None:
        super().__init__(
            f"LEAVER_SECRET_KEY is wrong: it does not open the stored credential of connection {connection_name}.",
            "Start this process with the key with which the credential was stored (several keys are separated by "
            "commas: new,old). Only if that key is lost, enter the credential again: `leaver connection set`.",
        )


class NoSecretKey(InstallationFault):
    """`LEAVER_SECRET_KEY` is not set, so nothing that is sealed can be opened."""

    def __init__(self) -> None:
        super().__init__(
            "LEAVER_SECRET_KEY is not set, so the stored Graph credential cannot be opened.",
            "Set the key with which the credential was stored.",
        )


def as_worker_error(error: BaseException) -> WorkerError:
    """Return the error as one of this module; of a group of errors the first decides.

    A fault of Leaver's own is logged with its traceback and tried again: the next cycle
    may well avoid it.
    """
    match error:
        case WorkerError():
            return error
        case BaseExceptionGroup():
            return as_worker_error(error.exceptions[0])
        case store_errors.FencedOut():
            return LeaseLost(str(error))
        case store_errors.TryAgain():
            return DatabaseAway(str(error), error.delay_s)
        case store_errors.DiskFull():
            return InstallationFault(
                str(error), "Make room on the disk of the database: work goes on by itself."
            )
        case store_errors.NeedsHuman():
            return InstallationFault(str(error), "Run `leaver db check`.")
        case store_errors.StoreError():
            return Terminal(str(error))
        case PolicyError():
            return NeedsHuman(str(error), "Correct the connection's attribute mapping or scoping filter.")
        case SealError():
            return InstallationFault(str(error), "Correct LEAVER_SECRET_KEY, or set the credential again.")
    log.error("worker.fault", error=type(error).__name__, exc_info=error)
    return TryAgain(f"Leaver met a fault of its own ({type(error).__name__}); its log has the details.")
