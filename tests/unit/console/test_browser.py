"""What a browser may send and where it may go afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.admin.sessions.errors import SignInProblem
from console.browser import keeps_cookies, return_path
from console.signin.pages import PROBLEMS, problem


@pytest.mark.parametrize("path", ["/", "/reports", "/a/b?c=d&e=%2F", "/@me", "/a//b"])
def test_a_path_of_this_host_is_kept(path: str) -> None:
    assert return_path(path) == path


@pytest.mark.parametrize(
    "target",
    ["", "//evil", "///evil", "/\\evil", "\\\\evil", "/\tevil", "/ evil", "/\n", "https://evil", "evil", "?x", "#x",
     "/\u2028", "/ü", "/" + "a" * 2000],
)  # fmt: skip
def test_anything_else_is_dropped(target: str) -> None:
    assert return_path(target) is None


@given(st.text(alphabet="/\\:.@?#%&a\t\n evil", max_size=12))
def test_no_text_leads_to_another_host(text: str) -> None:
    """A kept path never begins with what a browser takes for a host."""
    kept = return_path(text)
    assert kept is None or (kept == text and kept[0] == "/" and kept[1:2] not in ("/", "\\"))


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://leaver.example.com", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://leaver.example.com", False),
        ("http://127.0.0.1.evil.example", False),
    ],
)
def test_sign_in_needs_https_but_on_this_machine(url: str, *, kept: bool) -> None:
    """Browsers drop `__Host-` cookies of plain http."""
    assert keeps_cookies(url) is kept


@pytest.mark.parametrize("reason", SignInProblem)
def test_every_refusal_has_a_page_that_says_what_to_do(reason: SignInProblem) -> None:
    """Issue 11: "refused with a page that says what to do"."""
    assert reason in PROBLEMS
    page = problem(reason, again="/login?a=<b>", detail="<script>")
    assert page.status >= 400
    assert "<script>" not in str(page.text)
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
