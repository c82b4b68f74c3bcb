"""The `LEAVER_…` variables of a process: which are settings, and secrets in files.

pydantic-settings reads a variable or a folder of secrets. What it has no word for is
here: `LEAVER_X_FILE`, by which containers hand a secret over, and variables that are
empty or that nothing reads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from config.errors import SettingsError

PREFIX = "LEAVER_"
FILE = "_FILE"

_OF_THE_PLATFORM = re.compile(r"LEAVER_(SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP).*)")
"""Kubernetes sets these in every container beside a service that is called `leaver`."""
_OF_COMPOSE = "LEAVER_MEMORY"


def variable_of(field: str) -> str:
    """Return the variable of a setting."""
    return f"{PREFIX}{field.upper()}"


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting is or may hold a secret: it then has a `_FILE` twin."""
    return "SecretStr" in repr(field.annotation) or not field.repr


class SecretFiles(PydanticBaseSettingsSource):
    """Reads secret settings from the files that `LEAVER_X_FILE` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(variable_of(field_name) + FILE) if is_secret(field) else None
        return (None if not path else _content(Path(path), field_name)), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the settings whose files are named. Raises `SettingsError`."""
        fields: dict[str, FieldInfo] = self.settings_cls.model_fields
        values = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def _content(path: Path, field: str) -> str:
    variable = variable_of(field) + FILE
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(f"{variable} is wrong: the file {path} cannot be read ({why})") from None
    if not text:
        raise SettingsError(f"{variable} is wrong: the file {path} is empty")
    return text


def refuse_contradictions(settings: type[BaseSettings], environ: Mapping[str, str]) -> None:
    """Refuse a variable that is set and empty, and a secret that is given twice.

    An empty one is most often a shell variable that was not set, and the default in its
    place would be another database or another key. Raises `SettingsError`.
    """
    for variable in sorted(_known(settings)):
        if environ.get(variable) == "":
            raise SettingsError(f"{variable} is empty: give it a value, or unset it")
        if variable.endswith(FILE) and environ.get(variable) and variable.removesuffix(FILE) in environ:
            both = f"{variable.removesuffix(FILE)} and {variable}"
            raise SettingsError(f"{both} are both set: keep one of them")


def unknown_variables(settings: type[BaseSettings], environ: Mapping[str, str]) -> list[str]:
    """Return a line about each `LEAVER_` variable that no setting reads."""
    known = _known(settings)
    strange = (name for name in sorted(environ) if name.startswith(PREFIX) and name not in known)
    return [_unread(name, known) for name in strange if not _OF_THE_PLATFORM.fullmatch(name)]


def _unread(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"{name} is no setting and has no effect" + (f"; did you mean {near[0]}?" if near else "")


def _known(settings: type[BaseSettings]) -> set[str]:
    fields: dict[str, FieldInfo] = settings.model_fields
    twins = {variable_of(name) + FILE for name, field in fields.items() if is_secret(field)}
    return {_OF_COMPOSE, *map(variable_of, fields), *twins}
