"""Data on standard output, messages on standard error, and nothing in either that a terminal would obey."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal

Format = Literal["name", "json", "yaml", "wide"]

BROKEN_PIPE = 141  # what a shell reports for a command that SIGPIPE ended


class ReaderGoneError(Exception):
    """Whoever read standard output has stopped; there is nobody left to tell."""


def printable(text: str, *, lines: bool = False) -> str:
    """Text with control characters, direction marks and lone surrogates spelt out; ``lines`` keeps line ends."""
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )


def emit(text: str) -> None:
    """Data, as a line of its own."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains again when it flushes at its end
        raise ReaderGoneError from None


def document(data: Any, form: str) -> None:
    """Data for programs: one JSON or YAML document, ASCII only."""
    if form == "json":
        emit(json.dumps(data, indent=2))
        return
    import yaml  # noqa: PLC0415 - rarely asked for

    emit(yaml.safe_dump(data, sort_keys=False).rstrip())


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as kubectl prints them: capitals above, two spaces between, the last one as long as it is."""
    cells = [list(headers), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    for row in cells:
        emit("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class Voice:
    """Messages for people, on standard error; silent when asked."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        """One message."""
        if not self.quiet:
            sys.stderr.write(printable(text, lines=True) + "\n")
            sys.stderr.flush()

    @property
    def live(self) -> bool:
        """Whether a display may redraw itself."""
        return not self.quiet and sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
