"""What is said on the page that follows a form: a closed list, so that no link can put
words into the console's mouth.
"""

from __future__ import annotations

from collections.abc import Mapping

NOTICES: Mapping[str, str] = {
    "sync-requested": "A cycle was asked for. It shows below as soon as a worker begins.",
    "provisioned": "Done. The five steps are below.",
    "protected": "The account is protected: neither a cycle nor the push ends its access by itself.",
    "unprotected": "The account is not protected any more.",
    "sessions-ended": "Every session of the account was ended. Access itself stays.",
    "plan-approved": "The approved rows were applied. What became of each is below.",
    "plan-rejected": "The rejected rows stay as they are until their facts in Entra change.",
    "same-person": "Decided: both are one person, and the history is one.",
    "sent-twice": "The form was sent twice; it was carried out once.",
}
"""By the value of `notice` in the address."""
