"""Data on standard output, messages on standard error, and nothing in either that a terminal would obey."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TextIO

from imgflow_cli.columns import folded
from imgflow_cli.templates import Template

Format = Literal["name", "json", "yaml", "wide"]

NBSP = "\N{NO-BREAK SPACE}"  # never in printable text
PLACES = ("Results", "Report", "Output", "Thumbnail")  # of a file, to be copied or clicked
CELL = 40  # characters of a cell where columns have to fit a terminal
BROKEN_PIPE = 141  # what a shell reports for a command that SIGPIPE ended


class ReaderGoneError(Exception):
    """Whoever read standard output has stopped; there is nobody left to tell."""


def printable(text: str, *, lines: bool = False) -> str:
    """Text with control characters, direction marks and lone surrogates spelt out; ``lines`` keeps line ends."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )


def emit(text: str) -> None:
    """Data, as a line of its own."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def document(data: Any, form: str) -> None:
    """Data for programs: one JSON or YAML document, ASCII only, or what a template takes of it."""
    if isinstance(form, Template):
        _template(data, form)
        return
    if form == "json":
        emit(json.dumps(data, indent=2))
        return
    import yaml  # noqa: PLC0415 - rarely asked for

    from imgflow_workflows.yaml_text import Dumper  # noqa: PLC0415 - likewise

    emit(yaml.dump(data, Dumper=Dumper, sort_keys=False).rstrip())


def _template(data: Any, form: Template) -> None:
    first, *rows = form.lines(data)
    if isinstance(first, list):
        table(first, rows)
    else:
        emit(printable(first, lines=True).removesuffix("\n"))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as kubectl prints them: capitals above, two spaces between; on a terminal as wide as that."""
    cells = [list(headers), *([printable(str(cell)) for cell in row] for row in rows)]
    for line in folded(cells, room()):
        emit(line)


def room(stream: TextIO | None = None) -> int:
    """Characters of a line of standard output or another stream; a pipe has any width."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else sys.maxsize


def wrapped(text: str, width: int) -> str:
    """Printable sentences in lines that break at spaces: a terminal breaks words.

    A command between backticks is one word, so that it can be copied. An indented line is a name of a list and stays.
    """
    return "\n".join(
        part for line in text.split("\n") for part in ([line] if line[:1].isspace() else _broken(line, width))
    )


def _broken(line: str, width: int, indent: str = "") -> list[str]:
    if len(line) <= width:
        return [line]
    whole = re.sub(r"`[^`]*`", lambda command: command[0].replace(" ", NBSP), line)
    parts = textwrap.wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [part.replace(NBSP, " ") for part in parts]


def fact(name: str, value: str) -> None:
    """A line that names a thing and says it; on a terminal its words continue below each other, but a place stays."""
    line = f"{name:<13} {printable(value)}"
    for part in [line] if name in PLACES else _broken(line, room(), " " * 14):
        emit(part)


def item(text: str) -> None:
    """An indented line of a list, likewise."""
    for part in _broken(f"  {printable(text)}", room(), " " * 4):
        emit(part)


def fitting(
    names: Sequence[str], rows: Sequence[Sequence[str]], width: int
) -> tuple[list[str], list[list[str]], list[str]]:
    """Columns that have room in ``width``, from the left, long cells cut; and the names of those that have none."""
    widths = [min(CELL, max(len(name), *(len(row[i]) for row in rows), 1)) for i, name in enumerate(names)]
    room, shown = width, 0
    for one in widths:
        if shown and one > room:
            break
        room, shown = room - one - 2, shown + 1
    cut = [[cell if len(cell) <= CELL else f"{cell[: CELL - 1]}…" for cell in row[:shown]] for row in rows]
    return list(names[:shown]), cut, list(names[shown:])


class Voice:
    """Messages for people, on standard error; silent when asked."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        """One message."""
        if not self.quiet:
            sys.stderr.write(printable(text, lines=True) + "\n")
            sys.stderr.flush()

    def note(self, text: str) -> None:
        """A message about something that may not be meant."""
        self.say(wrapped(printable(f"note: {text}", lines=True), room(sys.stderr)))

    @property
    def live(self) -> bool:
        """Whether a display may redraw itself."""
        return not self.quiet and sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
