"""The actor at a shell, and the words for every error of a use case."""

from __future__ import annotations

import os
import pwd
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest

from console.admin import errors
from console.admin.checks.check import Advice, Check, CheckStatus, Remedy
from console.admin.connections.errors import UrlProblem, UrlRole
from console.admin.errors import Noun, UseCaseError
from console.cli import session
from console.cli.error_messages import worded
from console.cli.views import checks
from console.errors import CommandError


@pytest.mark.parametrize("variable", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_the_actor_at_a_shell_is_the_user_of_the_process(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """issue 8: "the operating system's user by uid, not `LOGNAME`", which anyone can set."""
    monkeypatch.setenv(variable, "the-auditor")
    actor = session.shell_actor()
    assert actor.label == f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    assert actor.tenant is None


def test_a_user_without_a_name_is_known_by_the_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run under a number without a name."""

    def unknown(_uid: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert session.shell_actor().label == "cli:uid:4711"


VALUES: dict[str, Any] = {
    "role": UrlRole.GRAPH,
    "problem": UrlProblem.PLAIN_HTTP,
    "matches": 2,
    "fewest_characters": 8,
    "known": {"admin:user": ("read",)},
    "value": 1000.0,
    "until": datetime(2026, 1, 2, tzinfo=UTC),
    "deleted_at": datetime(2026, 1, 2, tzinfo=UTC),
    "refusal": errors.JoinProblem.NOT_JOINED,
    "least": 1,
    "most": 100,
}


def _examples(kind: Any) -> list[UseCaseError]:
    """Return an error of this type, one for each noun where it has one."""
    if not hasattr(kind, "__dataclass_fields__"):
        return [kind()]
    required = [field.name for field in fields(kind) if field.default is MISSING]
    nouns = {
        errors.AmbiguousReference: [Noun.CONNECTION, Noun.TOKEN],
        errors.ReferenceTooShort: [Noun.PLAN],
        errors.NameTaken: [Noun.TENANT, Noun.CONNECTION, Noun.OPERATOR],
    }.get(kind, list(Noun))
    rest = {name: VALUES.get(name, f"some-{name}") for name in required if name != "noun"}
    if "noun" not in required:
        return [kind(**rest)]
    return [kind(noun=noun, **rest) for noun in nouns]


@pytest.mark.parametrize("kind", UseCaseError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_error_of_a_use_case_has_words(kind: type[UseCaseError]) -> None:
    """A new error needs words, or a person would read the name of a class."""
    for error in _examples(kind):
        assert isinstance(worded(error), CommandError), kind


def test_other_errors_are_left_as_they_are() -> None:
    error = KeyError("x")
    assert worded(error) is error


def test_every_remedy_can_be_typed() -> None:
    """The doctor's remedies are commands; names with spaces are quoted for the shell."""
    names = ("login_url", "token_id", "successor_id", "successor_prefix")
    values = {"connection": "contoso/my entra", **dict.fromkeys(names, "x")}
    for remedy in Remedy:
        check = Check("A", "b", CheckStatus.WARNING, "c", Advice(remedy, values))
        words = checks.remedy_of(check)
        assert words
        assert "{" not in words
        assert "contoso/my entra" not in words.replace("'contoso/my entra'", "")
