"""How many examples hypothesis makes for a property: few in every run, as many as one wants by `tests.properties`."""

from __future__ import annotations

import os


def examples(few: int) -> int:
    """Return the number of examples, `few` unless LEAVER_TEST_EXAMPLES says more."""
    return max(few, int(os.environ.get("LEAVER_TEST_EXAMPLES", "0")))
