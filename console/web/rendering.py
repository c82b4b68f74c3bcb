"""Render the templates: compiled at start, escaped, and strict about names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console.documents.people import user_state
from console.documents.values import plural
from console.web.assets import assets
from console.web.wording import words

TEMPLATES = Path(__file__).with_name("templates")


@cache
def environment() -> Environment:
    """Return the templates, each compiled once."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters.update(
        name=words.name,
        number=words.number,
        moment=words.moment,
        clock=words.clock,
        duration=words.duration,
        tone=words.tone,
        words=words.words,
        user_state=user_state,
        shown_json=words.shown_json,
    )
    made.globals.update(
        plural=plural, step_names=words.STEP_NAMES, asset={n: a.path for n, a in assets().items()}
    )
    for template in made.list_templates(extensions=["html"]):
        made.get_template(template)
    return made


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return the page. Raises `UndefinedError` for a name that is missing."""
    return environment().get_template(template).render(values)
