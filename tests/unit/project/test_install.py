"""An installation is what the locks say, on any later day: nothing is resolved again, nothing unlocked comes in."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
LOCKS = ("runtime", "build", "dev")
INSTALLERS = ("Makefile", "Dockerfile")


def _locked(lock: str) -> dict[str, Requirement]:
    """Return the requirements of a lock by name; a line break inside a requirement is joined first."""
    text = (ROOT / f"locks/{lock}.txt").read_text().replace("\\\n", "")
    lines = [line.split("--hash")[0].strip() for line in text.splitlines() if re.match(r"\w", line)]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


@pytest.mark.parametrize("file", INSTALLERS)
def test_pip_never_resolves_so_a_newer_release_changes_nothing(file: str) -> None:
    """With dependencies, pip prefers a newer release than the lock's and refuses it for want of a hash."""
    lines = (ROOT / file).read_text().replace("\\\n", "").splitlines()
    installs = [
        line for line in lines if re.search(r"pip install|\$\(INSTALL\)", line) and "$(PIP)" not in line
    ]
    assert installs
    for line in installs:
        assert "--no-deps" in line or "$(INSTALL)" in line, line
        assert "--require-hashes" in line or " -r " not in line.split("&&")[0], line


@pytest.mark.parametrize("file", INSTALLERS)
def test_what_was_installed_is_checked_against_what_it_requires(file: str) -> None:
    """Without resolving, only `pip check` would tell that a lock lacks something."""
    text = (ROOT / file).read_text()
    assert "pip check" in text


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_of_a_lock_names_one_release(lock: str) -> None:
    """A range would be another program on another day."""
    for requirement in _locked(lock).values():
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement


@pytest.mark.parametrize(("smaller", "larger"), [("runtime", "dev"), ("build", "dev")])
def test_one_environment_holds_all_locks(smaller: str, larger: str) -> None:
    """`make test` adds the development lock to what `make setup` installed; two releases of one package collide."""
    theirs = {name: str(requirement) for name, requirement in _locked(larger).items()}
    ours = {name: str(requirement) for name, requirement in _locked(smaller).items()}
    assert {name: theirs.get(name) for name in ours} == ours


def test_the_runtime_lock_holds_whatever_leaver_needs_at_run_time() -> None:
    """A user installs no development lock: a dependency only found there would be missed by nobody here."""
    locked = _locked("runtime")
    waiting = ["leaver"]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name == "leaver" or name in locked, name
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            extras = ("", *_extras_of(locked, name))
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(_canonical(needed.name))


def _extras_of(locked: dict[str, Requirement], name: str) -> set[str]:
    return locked[name].extras if name in locked else set()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
