"""The API for people: the OpenAPI document as one page, and one page for each problem.

Plain HTML without script or style, so that the strictest content policy holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined

from console.api.contract import BASE
from console.api.problems import TYPES

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
DOCS = f"{BASE}/docs"
PROBLEMS = "/problems"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}{% endblock %}</title></head>
<body><main>{% block main %}{% endblock %}</main></body></html>
"""
_REFERENCE = """{% extends "page" %}
{% block title %}{{ document.info.title }}{% endblock %}
{% block main %}<h1>{{ document.info.title }}</h1>
<p>The same as <a href="{{ base }}/openapi.json">OpenAPI</a>. Refusals: <a href="{{ problems }}">problems</a>.</p>
<nav aria-label="Operations"><ul>{% for tag, operations in tags.items() %}
<li>{{ tag }}<ul>{% for each in operations %}<li><a href="#{{ each.operationId }}">{{ each.summary }}</a></li>
{% endfor %}</ul></li>{% endfor %}</ul></nav>
{% for tag, operations in tags.items() %}<section><h2>{{ tag }}</h2>{% for each in operations %}
<article id="{{ each.operationId }}"><h3>{{ each.summary }}</h3>
<p><code>{{ each.method }} {{ each.path }}</code></p>{% if each.description %}<p>{{ each.description }}</p>{% endif %}
{% if each.parameters %}<table><caption>Parameters</caption>
<tr><th scope="col">Name</th><th scope="col">In</th><th scope="col">Needed</th><th scope="col">Meaning</th></tr>
{% for given in each.parameters %}<tr><td><code>{{ given.name }}</code></td><td>{{ given.in }}</td>
<td>{{ "yes" if given.required else "no" }}</td><td>{{ given.description or "" }}</td></tr>{% endfor %}</table>{% endif %}
{% if each.body %}<p>Body: {{ schema(each.body) }}</p>{% endif %}
<p>Answers: {% for status, answer in each.answers %}{{ status }}{% if answer %} {{ schema(answer) }}{% endif -%}
{{ ", " if not loop.last }}{% endfor %}</p></article>{% endfor %}</section>{% endfor %}
<section><h2>Shapes</h2>{% for name, shape in shapes %}<article id="{{ name }}"><h3>{{ name }}</h3>
{% if shape.description %}<p>{{ shape.description }}</p>{% endif %}
{% if shape.properties %}<dl>{% for field, what in shape.properties.items() %}<dt><code>{{ field }}</code></dt>
<dd>{{ kind(what) }}{% if field in (shape.required or []) %}, always there{% endif %}
{% if what.description %}. {{ what.description }}{% endif %}</dd>{% endfor %}</dl>{% endif %}</article>{% endfor %}
</section>{% endblock %}
"""
_PROBLEM = """{% extends "page" %}
{% block title %}{{ row.title }}{% endblock %}
{% block main %}<h1>{{ row.title }}</h1><p>Problem <code>{{ problems }}/{{ name }}</code>, status {{ row.status }}.</p>
<h2>What to do</h2><p>{{ row.remedy }}</p><p><a href="{{ problems }}">All problems</a></p>{% endblock %}
"""
_ALL_PROBLEMS = """{% extends "page" %}
{% block title %}Problems{% endblock %}
{% block main %}<h1>Problems</h1><p>Every refusal of the <a href="{{ docs }}">admin API</a> is one of these
(RFC 9457).</p><dl>{% for name, row in types.items() %}<dt><a href="{{ problems }}/{{ name }}">{{ name }}</a>,
{{ row.status }}</dt><dd>{{ row.title }}. {{ row.remedy }}</dd>{% endfor %}</dl>{% endblock %}
"""
_TEMPLATES = Environment(
    loader=DictLoader(
        {"page": _PAGE, "reference": _REFERENCE, "problem": _PROBLEM, "problems": _ALL_PROBLEMS}
    ),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


def add_pages(app: web.Application, document: Mapping[str, Any]) -> None:
    """Serve the page of the document, and those of the problems."""
    reference = reference_page(document)

    async def show_reference(_request: web.Request) -> web.Response:
        return _html(reference)

    app.router.add_get(DOCS, show_reference)
    app.router.add_get(PROBLEMS, _show_problems)
    app.router.add_get(f"{PROBLEMS}/{{name}}", _show_problem)


def reference_page(document: Mapping[str, Any]) -> str:
    """Return the OpenAPI document as HTML."""
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append(_operation(method.upper(), path, operation))
    return _TEMPLATES.get_template("reference").render(
        document=document,
        tags=tags,
        shapes=sorted(map(_shape, document["components"]["schemas"].items())),
        schema=_name,
        kind=kind,
        base=BASE,
        problems=PROBLEMS,
    )


def kind(schema: Mapping[str, Any]) -> str:
    """Return in a few words what a value is."""
    if "$ref" in schema:
        return _name(schema)
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(map(kind, parts))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type", "any value"))


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [{"description": "", "required": False, **each} for each in operation["parameters"]]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answers = [(status, _answer_schema(answer)) for status, answer in operation["responses"].items()]
    return {
        "method": method,
        "path": path,
        "operationId": operation["operationId"],
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "parameters": parameters,
        "body": body,
        "answers": answers,
    }


def _answer_schema(answer: Mapping[str, Any]) -> Any:
    media: Mapping[str, Mapping[str, Any]] = answer.get("content", {})
    return next((each.get("schema") for each in media.values()), None)


def _shape(named: tuple[str, Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
    name, schema = named
    fields = {field: {"description": "", **what} for field, what in schema.get("properties", {}).items()}
    required = schema.get("required", [])
    return name, {
        "description": schema.get("description", ""),
        "properties": fields,
        "required": required,
    }


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else kind(schema)


async def _show_problems(_request: web.Request) -> web.Response:
    page = _TEMPLATES.get_template("problems").render(types=TYPES, problems=PROBLEMS, docs=DOCS)
    return _html(page)


async def _show_problem(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in TYPES:
        raise web.HTTPNotFound(headers=HEADERS)
    return _html(_TEMPLATES.get_template("problem").render(row=TYPES[name], name=name, problems=PROBLEMS))


def _html(page: str) -> web.Response:
    return web.Response(text=page, content_type="text/html", charset="utf-8", headers=HEADERS)
