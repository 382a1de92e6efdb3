"""boxes: what people mark in a municipality's photographs, for redact to cover as well."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from imgflow_cli.flags import EncodingFlag, MunicipalityFlag, QuietFlag, SheetFlag, SourceFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_steps.records import boxes as records
from imgflow_steps.records import keys
from imgflow_steps.records.results import harmless
from imgflow_steps.store import Store
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.connect import where
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.ingest.boxes import CORNERS, bring, shown
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import counted


@takes_settings(*PLACES)
def boxes(
    resolved: Resolved,
    store: Store,
    given: Annotated[
        Path | None,
        typer.Argument(metavar="TABLE", help="A CSV, Excel or Parquet table; omit it to print what is there."),
    ] = None,
    *,
    municipality: MunicipalityFlag,
    source: SourceFlag = "",
    ahead: Annotated[bool, typer.Option("--ahead", help="Accept images that are not there yet.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the table: nothing is covered by it then.")] = False,
    encoding: EncodingFlag = "",
    sheet: SheetFlag = "",
    output: Annotated[
        Literal["table", "csv", "json", "yaml"],
        typer.Option("--output", "-o", help="How the table, or what was done with it, is printed."),
    ] = "table",
    quiet: QuietFlag = False,
) -> None:
    """Give boxes by hand, which redact covers as well as what a model finds.

    A row is a box: image, x0, y0, x1, y1 in pixels of the upright photograph, and label if there is one. A row with an
    image alone says that nothing is to be covered in it. The table replaces the one before, as a whole; the next run
    computes only the images anew whose boxes differ.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    name = keys.decode(keys.encode(municipality))
    if remove and given:
        raise ImgflowError("--remove takes no table", "give a table without --remove to replace the one that is there")
    next_command = f"next: {resolved.command} submit --municipality {shlex.quote(name)}"
    if remove:
        there = store.stat(keys.boxes(name)) is not None
        store.delete([keys.boxes(name)])
        said = "boxes removed" if there else "there were no boxes"
        _tell(name, said, {"removed": there}, output)
        return
    if given is None and output == "table" and store.stat(keys.boxes(name)) is None:
        voice.say(f"no boxes are given for {name} yet; `{resolved.command} boxes --help` shows how a table gives some")
        return
    if given is None:
        _print(store, name, output)
        return
    head = bring(given, store, name, source=source, say=voice.say, ahead=ahead, encoding=encoding, sheet=sheet)
    said = f"{counted(head.boxes, 'box')} in {counted(head.images, 'image')}"
    _tell(name, said, {"images": head.images, "boxes": head.boxes}, output)
    voice.say(next_command)


def _tell(municipality: str, said: str, facts: dict[str, Any], output: str) -> None:
    """What was done, for people or programs."""
    if output in {"json", "yaml"}:
        document({"municipality": municipality, **facts}, output)
    else:
        emit(f"{printable(municipality)}: {said}")


def _print(store: Store, municipality: str, output: str) -> None:
    """The table as it is in the store, in the form in which it may be given again."""
    names = ("image", "label", *CORNERS)
    with temporary() as folder:
        there = records.download(store, municipality, path := Path(folder, "boxes.jsonl"))
        rows = _rows(path) if there else iter(())
        match output:
            case "csv":
                out = io.StringIO()
                csv.writer(out, lineterminator="\n").writerows([names, *(map(harmless, _cells(row)) for row in rows)])
                emit(out.getvalue().rstrip("\n"))
            case "table":
                table([name.upper() for name in names], map(_cells, rows))
            case _:
                document([dict(zip(names, row, strict=True)) for row in rows], output)


def _cells(row: list[Any]) -> list[Any]:
    """Empty where there is nothing, and numbers as short as they can be written."""
    return ["" if cell is None else f"{cell:.12g}" if isinstance(cell, float) else cell for cell in row]


def _rows(path: Path) -> Iterator[list[Any]]:
    for image, box in shown(path):
        yield [image, *box] if box else [image, *[None] * 5]
