"""What a bench leaves behind: figures (JSON), tables (Markdown), a chart (SVG) and, of a whole one, README's part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import Line

from bench import chart, table

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).with_name("figures")
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- written by: make bench -->\n", "<!-- end of what make bench writes -->\n"
DIGITS = 5  # of seconds and ratios, behind the point


def write(folder: Path, lines: Sequence[Line], about: Mapping[str, Any]) -> None:
    """All three files, into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {**about, "lines": [{**_rounded(asdict(line)), "reached": line.reached} for line in lines]}
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    (folder / "results.md").write_text(f"{table.about(about)}\n{table.markdown(lines)}", encoding="utf-8")
    (folder / "chart.svg").write_text(chart.chart(lines) + "\n", encoding="utf-8")


def read(folder: Path = FOLDER) -> tuple[list[Line], dict[str, Any]]:
    """The lines that were written, and what was said about them."""
    document = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    lines = [Line(**{key: value for key, value in line.items() if key != "reached"}) for line in document.pop("lines")]
    return lines, document


def together(
    modules: Sequence[str], lines: Sequence[Line], about: Mapping[str, Any], folder: Path = FOLDER
) -> tuple[list[Line], dict[str, Any]]:
    """New lines in the place of those that the same modules measured before, in the order of ``modules``.

    Raises ValueError when the others were measured on another machine or with other versions.
    """
    before, told = read(folder)
    for what in ("machine", "versions"):
        if told[what] != about[what]:
            raise ValueError(f"{folder} was measured on another machine or with other versions; measure all anew")
    new = {line.module for line in lines}
    both = [*(line for line in before if line.module not in new), *lines]
    return sorted(both, key=lambda line: modules.index(line.module)), {**told, "made": about["made"]}


def retell(readme: str, lines: Sequence[Line], about: Mapping[str, Any], apart: str = "") -> str:
    """README's text with these figures between the marks; ``apart`` is a section that is told of by itself.

    Raises ValueError when it has no marks.
    """
    marks = [
        mark.replace("make bench", f"make bench --only {apart}" if apart else "make bench") for mark in (BEGIN, END)
    ]
    head, begin, rest = readme.partition(marks[0])
    _, end, tail = rest.partition(marks[1])
    if not (begin and end):
        raise ValueError(f"README has no part between {marks[0].strip()} and {marks[1].strip()}")
    return head + begin + table.short(lines, about, apart) + end + tail


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, (list, tuple)) else value
