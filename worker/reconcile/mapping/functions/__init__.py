"""The functions of Entra's mapping expressions, by name."""

from __future__ import annotations

from collections.abc import Mapping

from worker.reconcile.mapping.functions import dates, logic, texts
from worker.reconcile.mapping.functions.base import Function

FUNCTIONS: Mapping[str, Function] = {
    function.name: function for function in (*texts.FUNCTIONS, *logic.FUNCTIONS, *dates.FUNCTIONS)
}

REFUSED: Mapping[str, str] = {
    "SelectUniqueValue": "it asks the target for a free value, which Entra does only when it creates an "
    "account in Active Directory; map the attribute that holds the chosen value",
    "Guid": "it gives another value each time, so no account could ever agree with it",
    "RandomString": "it gives another value each time, so no account could ever agree with it",
    "Now": "its value changes without a change of the user, so that every cycle would report drift",
    "Redact": "it hides a value in Entra's log, and the log here could not keep that promise",
}
"""Functions that Entra has and that are refused here, each with the reason."""
