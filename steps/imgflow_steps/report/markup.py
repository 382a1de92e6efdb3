"""HTML that cannot be injected into: every string is escaped unless ``tag`` itself made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

VOID = frozenset({"br", "img", "link", "meta"})

# What cannot stand in HTML, or would be invisible or turn a name's direction, is written as an escape.
ESCAPES: dict[int, str] = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{
        code: f"\\u{code:04x}"
        for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000), 0xFEFF)
    },
    **{ord(char): escaped for char, escaped in (("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t"))},
    **{ord(char): f"&#{ord(char)};" for char in "&<>\"'"},
}


class Markup(str):
    """Text that is markup already, and safe."""

    __slots__ = ()


Content: TypeAlias = "Markup | str | int | Iterable[Content] | None"


def escape(text: str) -> Markup:
    """Text as markup, whatever it holds."""
    return Markup(text.translate(ESCAPES))


def tag(element: str, /, *content: Content, **attributes: str | int | None) -> Markup:
    """An element; ``class_`` is the attribute class, ``aria_label`` is aria-label, None leaves an attribute out."""
    head = element + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{head}>" if element in VOID else f"<{head}>{render(content)}</{element}>")


def render(content: Content) -> Markup:
    """Content laid end to end."""
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup()
    if isinstance(content, (str, int)):
        return escape(str(content))
    return Markup("".join(map(render, content)))


def prose(text: str) -> Markup:
    """A message, with what stands between backticks as code."""
    return render([tag("code", part) if i % 2 else part for i, part in enumerate(text.split("`"))])


def table(class_: str, heads: Iterable[tuple[str, str | None]], rows: Iterable[Markup], foot: Content = None) -> Markup:
    """A table; each column's head comes with its class."""
    head = tag("thead", tag("tr", [tag("th", text, scope="col", class_=css) for text, css in heads]))
    return tag("table", head, tag("tbody", rows), tag("tfoot", foot) if foot else None, class_=class_)


def lines(pairs: Mapping[str, Content]) -> Markup:
    """Names and what they stand for, one a line."""
    return tag("dl", [tag("div", tag("dt", key), tag("dd", value)) for key, value in pairs.items()], class_="lines")


def section(name: str, title: str, *content: Content) -> Markup:
    """A part of the page that can be pointed at."""
    return tag("section", tag("h2", title, id=f"{name}-title"), content, id=name, aria_labelledby=f"{name}-title")


def document(title: str, *body: Content) -> bytes:
    """A whole page beside ``style.css``, as UTF-8."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", title),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="stylesheet", href="style.css"),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *body), lang='en')}\n".encode()
