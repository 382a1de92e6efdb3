"""lint: what is wrong with a pipeline, and where, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from imgflow_cli.commands.submit import StepsFlag
from imgflow_cli.flags import OutputFlag
from imgflow_cli.output import document, emit, printable
from imgflow_steps.contract import BadParametersError, file_fields
from imgflow_steps.lint import doubts
from imgflow_steps.pipeline import Fault, Pipeline
from imgflow_workflows import documents
from imgflow_workflows.documents import Found, Written
from imgflow_workflows.faults import ExitCode, ImgflowError


def lint(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A pipeline as YAML or JSON.")] = None,
    steps: StepsFlag = "",
    output: OutputFlag = None,
) -> None:
    """Say what is wrong with a pipeline, and where.

    Besides what submit would refuse: steps that do nothing where they stand, and models that do not fit. Ends with 0
    when there is nothing to say.
    """
    if (file is None) == (not steps):
        raise ImgflowError("which pipeline? give FILE or --steps", "such as `imgflow lint pipeline.yaml`")
    written = documents.read(file, flag="") if file else documents.short(steps)
    folder = Path(written.where).parent if written.node else Path()
    found = written.faults() or [written.found(fault) for fault in _doubts(written.pipeline(), folder)]
    found.sort(key=lambda one: (one.line, one.column))
    if output in {"json", "yaml"}:
        document(_document(written, found), output)
    elif found:
        emit("\n".join(printable(written.told(one), lines=True) for one in found))
    else:
        pipeline = written.pipeline()
        emit(f"{printable(written.where)}: {' → '.join([*pipeline.labels, pipeline.output.format])}")
    raise typer.Exit(ExitCode.USAGE if found else ExitCode.DONE)


def _doubts(pipeline: Pipeline, folder: Path) -> Iterator[Fault]:
    yield from doubts(pipeline)
    for i, call in enumerate(pipeline.steps):
        files = {name: getattr(call.params, name) for name in file_fields(call.params)}
        paths = {name: folder / Path(value).expanduser() for name, value in files.items()}
        missing = [name for name, path in paths.items() if not path.is_file()]
        for name in missing:
            if not files[name].startswith("models/"):  # a key of a store, of which nothing is known here
                yield Fault(("steps", i, call.name, name), f"there is no file {files[name]!r}")
        if missing:
            continue
        try:
            call.step.build(call.params.model_copy(update={name: str(path) for name, path in paths.items()}))
        except BadParametersError as error:
            yield Fault(("steps", i, call.name), str(error))


def _document(written: Written, found: list[Found]) -> dict[str, Any]:
    problems = [{"line": one.line, "column": one.column, "message": str(one.fault)} for one in found]
    return {"pipeline": written.where, "problems": problems}
