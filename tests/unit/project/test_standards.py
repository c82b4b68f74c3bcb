"""docs/standards.md claims nothing that no test shows (issue 11)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "standards.md").read_text()
ROW = re.compile(r"^\| (?P<what>.+?) \| (?P<state>[a-z ]+) \| (?P<shown>.+) \|$", re.MULTILINE)
STANDARDS = (
    *("RFC 7643", "RFC 7644", "RFC 9865", "RFC 9967", "OpenID Connect", "RFC 7662", "RFC 8417"),
    *("RFC 8935", "RFC 8936", "CAEP", "RISC", "SSF", "AL1", "AL2"),
)


@cache
def known_tests() -> frozenset[str]:
    found: set[str] = set()
    for module in (ROOT / "tests").rglob("test_*.py"):
        found.update(re.findall(r"^(?:async )?def (test_\w+)\(", module.read_text(), re.MULTILINE))
    return frozenset(found)


def test_every_test_that_the_table_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert sorted(named - known_tests()) == []
    assert len(named) > 60


def test_no_line_is_met_without_a_test_and_none_is_open_without_a_reason() -> None:
    rows = [each for each in ROW.finditer(PAGE) if each["state"] != "state"]
    assert {each["state"] for each in rows} == {"met", "partly", "not met"}
    for each in rows:
        names = re.findall(r"`test_\w+`", each["shown"])
        assert names or each["state"] != "met", each["what"]
        assert each["state"] == "met" or len(re.sub(r"`test_\w+`", "", each["shown"])) > 15, each["what"]


def test_every_standard_of_the_issue_has_its_table() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    for standard in STANDARDS:
        assert any(standard in heading for heading in headings), standard
