"""lint: what is wrong with a pipeline, and where, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from imgflow_cli.flags import OutputFlag, StepsFlag
from imgflow_cli.output import document, emit, printable
from imgflow_steps.contract.sample import Apply
from imgflow_steps.contract.step import BadParametersError, file_fields
from imgflow_steps.pipeline.lint import doubts
from imgflow_steps.pipeline.model import Fault, Pipeline
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.submit import openable, pipeline_file
from imgflow_workflows.submit.patience import patiently
from imgflow_workflows.submit.pipeline_file import LocatedFault, Written


def lint(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A pipeline as YAML or JSON.")] = None,
    steps: StepsFlag = "",
    output: OutputFlag = None,
) -> None:
    """Check a pipeline, and show where each fault is.

    Besides what submit would refuse it finds steps without effect and models that do not match. Exits with 0 if it
    finds nothing.
    """
    if (file is None) == (not steps):
        raise ImgflowError("which pipeline? give FILE or --steps", "such as `imgflow lint pipeline.yaml`")
    written = pipeline_file.read(file, flag="") if file else pipeline_file.short(steps)
    found = written.faults() or [written.located(fault) for fault in _doubts(written.pipeline(), written.folder)]
    found.sort(key=lambda one: (one.line, one.column))
    if output in {"json", "yaml"}:
        document(_document(written, found), output)
    elif found:
        emit("\n".join(printable(written.worded(one), lines=True) for one in found))
    else:
        pipeline = written.pipeline()
        emit(f"{printable(written.where)}: {' → '.join([*pipeline.labels, pipeline.output.format])}")
    raise typer.Exit(ExitCode.USAGE if found else ExitCode.DONE)


def _doubts(pipeline: Pipeline, folder: Path) -> Iterator[Fault]:
    yield from doubts(pipeline)
    opened: list[Apply] = []
    for i, call in enumerate(pipeline.steps):
        files = {name: getattr(call.params, name) for name in file_fields(call.params)}
        paths = {name: pipeline_file.file_of(value, folder) for name, value in files.items()}
        missing = [name for name, path in paths.items() if path is None]
        for name in missing:
            if not files[name].startswith("models/"):  # a key of a store, of which nothing is known here
                yield Fault(("steps", i, call.name, name), f"there is no file {files[name]!r}")
        if missing:
            continue
        try:
            here = openable.without_card(call.params).model_copy(update={n: str(path) for n, path in paths.items()})
            opened.append(patiently(partial(call.step.build, here), pipeline.limits))
        except BadParametersError as error:
            yield Fault(("steps", i, call.name), str(error))
    if len(opened) == len(pipeline.steps):
        from imgflow_steps.pipeline.apply import starved, uncoverable  # noqa: PLC0415 - loads numpy, as opened steps have

        for i, text in (*uncoverable(pipeline.steps, opened, marked=True), *starved(pipeline.steps, opened)):
            yield Fault(("steps", i, pipeline.steps[i].name), text)


def _document(written: Written, found: list[LocatedFault]) -> dict[str, Any]:
    problems = [{"line": one.line, "column": one.column, "message": str(one.fault)} for one in found]
    return {"pipeline": written.where, "problems": problems}
