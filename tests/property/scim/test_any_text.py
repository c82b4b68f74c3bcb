"""Any Unicode text in a filter, a path or a value is understood or refused: never a failure of ours."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from scim2_models import SCIMException

from scim.json_body import read_json
from scim.limits import ScimLimits
from scim.patch.apply import apply, read_resource
from scim.patch.document_limits import refuse_beyond
from scim.patch.operations import read_patch
from scim.schema.definitions import ENTERPRISE_URN, user_shape
from scim.schema.filters import read_filter, read_order
from store.directory.documents import user_columns
from store.errors import InvalidRecord
from tests.builders.examples import examples

CUSTOM = "urn:ietf:params:scim:schemas:extension:contoso:2.0:User"
TOKENS = [
    "userName", "emails", "externalId", "meta.created", "members", "active", CUSTOM, ENTERPRISE_URN, "manager", "eq",
    "co", "pr", "and", "not", "(", ")", "[", "]", '"', '"x"', "\\ud800", "\\u0000", "\x00", "\ud800", ":", ".", " ", "1e999",
    "true", "null", "value", "type", "é", "e\u0301", "𝒳", "\u202e", "İ",
]  # fmt: skip
texts = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join))
paths = st.one_of(texts, st.lists(st.sampled_from(TOKENS), max_size=6).map("".join))
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["value", "type", "primary", "display"]), paths), inner, max_size=3
        ),
    ),
    max_leaves=6,
)
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove", "move"])},
    optional={"path": paths, "value": values},
)
START: dict[str, Any] = {
    "userName": "ada",
    "active": True,
    "emails": [
        {"type": "work", "value": "ada@example.com", "primary": True},
        {"type": "home", "value": "a@b.c"},
    ],
    "roles": [{"value": "Admin"}],
    ENTERPRISE_URN: {"manager": {"value": "m1"}},
    CUSTOM: {"devices": ["D1"], "level": 1},
}


@settings(max_examples=examples(300), deadline=None)
@given(texts)
@example('İ eq "a"')  # i, k and s have other letters beside them where case does not count
@example('userNaKme eq "a"'.replace("K", "\u212a"))
@example('\u017fchemas co "a"')
def test_any_text_as_a_filter(text: str) -> None:
    with suppress(SCIMException):
        read_filter(user_shape(), text)
    with suppress(SCIMException):
        read_order(user_shape(), text, text)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(operations, max_size=3))
def test_any_patch_is_applied_or_refused(asked: list[dict[str, Any]]) -> None:
    """What it makes can be stored, or the store says that it cannot."""
    with suppress(SCIMException, InvalidRecord):
        patch = read_patch(user_shape(), {"Operations": asked})
        after = apply(user_shape(), START, patch.operations)
        refuse_beyond(ScimLimits(), START, after)
        user_columns(after)
        assert apply(user_shape(), START, ()) == START


@settings(max_examples=examples(200), deadline=None)
@given(
    st.dictionaries(
        st.one_of(st.sampled_from(["userName", "emails", "name", CUSTOM]), paths), values, max_size=4
    )
)
def test_any_resource_is_read_or_refused(body: dict[str, Any]) -> None:
    with suppress(SCIMException, InvalidRecord):
        document, _ = read_resource(user_shape(), body)
        refuse_beyond(ScimLimits(), {}, document)
        user_columns(document)


@settings(max_examples=examples(200), deadline=None)
@given(st.one_of(st.binary(max_size=40), texts.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_bytes_are_json_or_refused(body: bytes) -> None:
    with suppress(SCIMException):
        read_json(body, 24)
