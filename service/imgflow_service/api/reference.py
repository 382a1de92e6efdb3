"""The page at ``/docs``: every route with its parameters, bodies and answers, made of the OpenAPI document alone.

No script, and nothing from another host: it reads the same in a network that reaches nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Schema = Mapping[str, Any]

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
METHODS = ("get", "post", "put", "patch", "delete")
STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:0 auto;padding:1rem}
section{border-top:1px solid #8886;margin-top:1.5rem}
h2{font-size:1.1rem;overflow-wrap:anywhere}h3{font-size:.95rem;margin:1rem 0 .3rem}
code{background:#8882;border-radius:.25rem;padding:.1rem .3rem;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid #8884}
ul{padding-left:1.2rem}
"""


def page(document: Schema) -> str:
    """The document as a page for people."""
    routes = list(_routes(document))
    listed = "".join(f'<li><a href="#{anchor}">{escape(name)}</a>' for anchor, name, _ in routes)
    parts = "".join(_section(anchor, name, route, document) for anchor, name, route in routes)
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"{escape(document['info']['title'])} API"
    head = f"<!doctype html><html lang='en'>{meta}<title>{title}</title><style>{STYLE}</style>"
    links = '<p><a href="/">imgflow</a> · <a href="/openapi.json">openapi.json</a>, for programs</p>'
    return f"{head}<h1>{title}</h1>{links}<ul>{listed}</ul>{parts}</html>"


def _routes(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Anchor, ``METHOD /path`` and description of each route."""
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                name = f"{method.upper()} {path}"
                yield "".join(one if one.isalnum() else "-" for one in name.lower()), name, methods[method]


def _section(anchor: str, name: str, route: Schema, document: Schema) -> str:
    said = "".join(f"<p>{escape(part)}</p>" for part in str(route.get("description", "")).split("\n\n") if part)
    parameters = [_parameter(one, document) for one in route.get("parameters", ())]
    bodies = [_body(kind, told, document) for kind, told in route.get("requestBody", {}).get("content", {}).items()]
    answers = [_answer(status, told) for status, told in route.get("responses", {}).items()]
    return (
        f'<section id="{anchor}"><h2><code>{escape(name)}</code></h2>{said}'
        + _table("Parameters", ("Name", "Where", "Kind", "", "Example"), parameters)
        + _table("Body", ("Content-Type", "Kind", "Example"), bodies)
        + _table("Answers", ("Status", "", "Content-Type"), answers)
        + "</section>"
    )


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{column}" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows)
    return f'<h3>{title}</h3><div class="wide"><table><tr>{head}{body}</table></div>'


def _parameter(one: Schema, document: Schema) -> tuple[str, ...]:
    name = _code(one["name"]) + (" (required)" if one.get("required") else "")
    about = escape(str(one.get("description", "")))
    return name, escape(one["in"]), _kind(one.get("schema", {}), document), about, _example(one)


def _body(kind: str, told: Schema, document: Schema) -> tuple[str, ...]:
    return _code(kind), _kind(told.get("schema", {}), document), _example(told)


def _answer(status: str, told: Schema) -> tuple[str, ...]:
    kinds = ", ".join(_code(kind) for kind in told.get("content", {}))
    return _code(status), escape(str(told.get("description", ""))), kinds


def _kind(schema: Schema, document: Schema) -> str:
    """A schema in few words, as HTML."""
    schema = _resolved(schema, document)
    if choices := schema.get("enum"):
        return " | ".join(_code(str(choice)) for choice in choices)
    if several := schema.get("anyOf"):
        return " or ".join(_kind(one, document) for one in several)
    if schema.get("format") == "binary":
        return "bytes"
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"several: {_kind(schema.get('items', {}), document)}"
    if properties := schema.get("properties"):
        needed = schema.get("required", ())
        fields = (f"{_code(name)}: {_kind(one, document)}" for name, one in properties.items() if name in needed)
        return "; ".join(fields) or kind
    least, most = schema.get("minimum"), schema.get("maximum")
    return escape(kind if least is None or most is None else f"{kind}, {least} to {most}")


def _resolved(schema: Schema, document: Schema) -> Schema:
    """A schema itself, where another place of the document has it."""
    if not (reference := schema.get("$ref")):
        return schema
    found: Any = document
    for part in str(reference).removeprefix("#/").split("/"):
        found = found[part]
    return _resolved(found, document)


def _example(told: Schema) -> str:
    if "example" not in told:
        return ""
    example = told["example"]
    return _code(example if isinstance(example, str) else json.dumps(example))


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
