"""Bodies anybody may send: what is odd is refused as invalid syntax, and nothing ever breaks."""

from __future__ import annotations

import pytest
from scim2_models import InvalidSyntaxException

from scim.json_body import read_json


def test_json_is_read() -> None:
    assert read_json('{"a": [1, 1.5, true, null, "é"], "b": {"a": {}}}'.encode(), 5) == {
        "a": [1, 1.5, True, None, "é"],
        "b": {"a": {}},
    }


def test_a_byte_order_mark_is_ignored() -> None:
    """RFC 8259 §8.1 allows it; the UTF-8 encoder of .NET writes one."""
    assert read_json(b'\xef\xbb\xbf{"a": 1}', 5) == {"a": 1}


def test_text_that_looks_like_a_key_is_text() -> None:
    assert read_json(b'{"a": "x\\": \\"y\\":", "b": 1}', 5) == {"a": 'x": "y":', "b": 1}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": 1} x', id="trailing"),
        pytest.param(b'{"a": 1, "a": 2}', id="repeated key"),
        pytest.param(b'{"b": {"a": 1, "a": 1}, "c": "\\":"}', id="repeated key inside"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"[" * 30 + b"]" * 30, id="deeper than allowed"),
        pytest.param(b'{"a":' * 30 + b"1" + b"}" * 30, id="objects deeper than allowed"),
        pytest.param(b'{"a": 1e999}', id="infinite number"),
        pytest.param(b'{"a": 123456789012345678901234567890}', id="huge number"),
        pytest.param(b'{"a": "\xff"}', id="not UTF-8"),
        pytest.param(b'{"a": "\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"a": "x\\u0000"}', id="NUL"),
        pytest.param(b'{"a\\u0000": 1}', id="NUL in a key"),
    ],
)
def test_hostile_bodies_are_refused(body: bytes) -> None:
    """RFC 7644 §3.12: invalidSyntax, 400; never a crash."""
    with pytest.raises(InvalidSyntaxException):
        read_json(body, 24)
