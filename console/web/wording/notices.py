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
    "link-revoked": "The link opens nothing any more, and what it opened has ended.",
    "token-suspended": "The token is suspended: who uses it gets 403 until it is resumed.",
    "token-resumed": "The token works again.",
    "token-revoked": "The token is revoked for good.",
    "settings-saved": "The settings were saved.",
    "credential-saved": "The credential was tried at Entra and stored. The next cycle uses it.",
    "mode-enforce": "From the next cycle on drift is repaired, within the ceilings.",
    "mode-report": "From now on drift is reported, and nothing is changed.",
    "paused": "The connection is paused: pushes are answered with 503, and no cycle runs.",
    "resumed": "The connection works again; the next cycle is due at once.",
    "mapping-saved": "A new version of the mapping is in use. Check that it fits.",
    "mapping-imported": "The mapping of Entra's provisioning job was taken over.",
    "mapping-confirmed": "It is noted that the mapping fits.",
    "webhook-deleted": "Nothing more is sent to that webhook.",
    "webhook-replayed": "Events after the cursor are sent again.",
    "operator-removed": "The operator enters the console no more; every session has ended.",
    "connection-ended": "The connection was ended.",
    "sent-twice": "The form was sent twice; it was carried out once.",
}
"""By the value of `notice` in the address."""
