"""``-o jsonpath=…`` and ``-o custom-columns=…``: parts of a document, written as kubectl writes them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FORMATS = ("name", "json", "yaml", "wide")
TEMPLATES = ("jsonpath", "custom-columns")
NONE = "<none>"
QUOTED = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
BRACES = re.compile(rf"\{{((?:{QUOTED}|[^{{}}\"'])*)\}}")
COLUMN = re.compile(rf"([^:,]+):((?:{QUOTED}|\[[^\]]*\]|[^,])+)(?:,|$)")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Template(str):
    """Stands for ``json`` wherever a command asks which document is wanted, and says what is written of it."""

    __slots__ = ("kind", "text")

    kind: str
    text: str

    def __new__(cls, kind: str, text: str) -> Self:
        """Raises ValueError where the text is not a template of this kind."""
        made = super().__new__(cls, "json")
        made.kind, made.text = kind, text
        _ = columns(text) if kind == "custom-columns" else list(_nodes(_pieces(text)))
        return made

    def lines(self, data: Any) -> Iterator[str | list[str]]:
        """A text, or the rows of a table with its headers first."""
        if self.kind == "jsonpath":
            yield "".join(_written(_nodes(_pieces(self.text)), data))
            return
        chosen = columns(self.text)
        yield [header for header, _ in chosen]
        for one in data["items"] if isinstance(data, dict) and isinstance(data.get("items"), list) else [data]:
            yield [",".join(map(_plain, _values(path, one))) or NONE for _, path in chosen]


def read_format(value: str) -> str:
    """What ``-o`` may say. Raises BadParameter for anything else."""
    kind, is_template, text = value.partition("=")
    if kind in TEMPLATES and is_template:
        try:
            return Template(kind, text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    if value in FORMATS:
        return value
    also = "".join(f", {name}=…" for name in TEMPLATES)
    raise typer.BadParameter(f"{value!r} is not one of {', '.join(FORMATS)}{also}.")


def formats_like(incomplete: str) -> list[str]:
    """For the shell's completion."""
    return [name for name in (*FORMATS, *(f"{name}=" for name in TEMPLATES)) if name.startswith(incomplete)]


def columns(text: str) -> list[tuple[str, Any]]:
    """Headers and paths of ``NAME:.run,STATUS:.status``. Raises ValueError."""
    found, at = [], 0
    for match in COLUMN.finditer(text):
        if match.start() != at:
            break
        at = match.end()
        found.append((match[1].strip(), _path(match[2].strip())))
    if not found or at != len(text) or text.endswith(","):
        raise ValueError(f"custom-columns={text}: write NAME:.path,NAME:.path, such as RUN:.run,STATUS:.status")
    return found


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a template: ``text`` as it is, and what is in braces. A path alone needs no braces."""
    if "{" not in text and text[:1] in {".", "[", "$"}:
        text = f"{{{text}}}"
    at = 0
    for match in BRACES.finditer(text):
        yield "text", text[at : match.start()]
        yield "braces", match[1].strip()
        at = match.end()
    rest = text[at:]
    if not at or "{" in rest or "}" in rest:
        raise ValueError(f"jsonpath={text}: write paths in braces, such as '{{.run}}' or '{{.items[*].run}}'")
    yield "text", rest


def _nodes(pieces: Iterator[tuple[str, str]], *, inside: bool = False) -> list[Any]:
    """Texts, paths, and for each range a pair of its path and its own nodes. Raises ValueError."""
    nodes: list[Any] = []
    for kind, text in pieces:
        if kind == "text":
            nodes.append(text)
        elif re.fullmatch(QUOTED, text):
            nodes.append(re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), text[1:-1]))
        elif text == "end":
            if not inside:
                raise ValueError("jsonpath: there is an {end} without a {range}")
            return nodes
        elif text.split(None, 1)[:1] == ["range"]:
            nodes.append((_path(text.removeprefix("range").strip()), _nodes(pieces, inside=True)))
        else:
            nodes.append(_path(text))
    if inside:
        raise ValueError("jsonpath: there is a {range} without an {end}")
    return nodes


def _path(text: str) -> Any:
    from jsonpath_ng.exceptions import JSONPathError  # noqa: PLC0415 - rarely asked for
    from jsonpath_ng.ext.parser import parse  # noqa: PLC0415 - likewise

    bare = text.strip()
    if not bare or bare[0] not in ".[$@":
        raise ValueError(f"the path {text!r} does not begin with a dot, such as .run")
    whole = "$" + bare.lstrip("@$").removesuffix(".")
    try:
        return parse("$" if whole == "$" else whole)
    except JSONPathError as error:
        raise ValueError(f"the path {text!r} cannot be read: {' '.join(str(error).split())}") from None


def _written(nodes: Sequence[Any], data: Any) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, tuple):
            for one in _values(node[0], data):
                yield from _written(node[1], one)
        else:
            yield " ".join(map(_plain, _values(node, data)))


def _values(path: Any, data: Any) -> list[Any]:
    values = [match.value for match in path.find(data)]
    return [value for value in values if value is not None]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
