"""What a write may make of a document; a limit never stands in the way of another change."""

from __future__ import annotations

from typing import Any

import pytest
from scim2_models import InvalidValueException

from scim.limits import ScimLimits
from scim.patch.document_limits import refuse_beyond

LIMITS = ScimLimits(max_values=3, max_document_bytes=4_096, max_attributes=20, max_name_length=64)
CUSTOM = "urn:ietf:params:scim:schemas:extension:contoso:2.0:User"


@pytest.mark.parametrize(
    ("large", "setting"),
    [
        ({"emails": [{"value": f"{n}"} for n in range(4)]}, "LEAVER_SCIM_MAX_VALUES"),
        ({CUSTOM: {"devices": list("abcd")}}, "LEAVER_SCIM_MAX_VALUES"),
        ({CUSTOM: {f"a{n}": 1 for n in range(21)}}, "LEAVER_SCIM_MAX_ATTRIBUTES"),
        ({CUSTOM: {"a" * 21: 1}}, "LEAVER_SCIM_MAX_ATTRIBUTES"),
        ({"title": "x" * 5_000}, "LEAVER_SCIM_MAX_DOCUMENT_BYTES"),
        ({"displayName": "x" * 65}, "LEAVER_SCIM_MAX_NAME_LENGTH"),
    ],
)
def test_what_is_too_large_is_refused_by_the_name_of_the_setting(large: dict[str, Any], setting: str) -> None:
    with pytest.raises(InvalidValueException, match=setting):
        refuse_beyond(LIMITS, {"userName": "ada"}, {"userName": "ada", **large})
    refuse_beyond(LIMITS, {**large, "active": True}, {**large, "active": False})


@pytest.mark.parametrize("name", ["userName", "displayName", "externalId"])
@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\x07", "\x9b"])
def test_a_name_with_a_hidden_character_is_refused_by_its_attribute(name: str, hidden: str) -> None:
    document = {"userName": "ada", name: f"ad{hidden}a"}
    with pytest.raises(InvalidValueException, match=rf"'{name}' holds U\+{ord(hidden):04X}"):
        refuse_beyond(LIMITS, {"userName": "ada"}, document)
    refuse_beyond(LIMITS, {**document, "active": True}, {**document, "active": False})
