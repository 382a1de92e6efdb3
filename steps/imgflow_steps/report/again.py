"""The command line that repeats a run, made of its records alone, and what these do not hold."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.redaction import redacted
from imgflow_steps.contract.step import file_fields
from imgflow_steps.pipeline.model import BadPipelineError, parse
from imgflow_steps.pipeline.notation import FIELD
from imgflow_steps.report.markup import Content, Markup, prose, section, tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from imgflow_steps.pipeline.model import Pipeline, StepCall
    from imgflow_steps.records.run import Run
    from imgflow_steps.report.data import Facts

FILE = "pipeline.json"
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")  # a page shows an escape of


def repeated(facts: Facts) -> Markup:
    """The section: what to type, and what has to be known before."""
    lines = commands(facts.run, facts.store)
    blocks: list[Content] = [tag("p", tag("code", line), class_="command") for line in lines]
    told = [tag("li", prose(note)) for note in notes(facts)]
    return section("again", "Run it again", blocks, tag("ul", told, class_="notes"))


def commands(run: Run, store: str) -> list[str]:
    """What to type in a shell: the pipeline as a file where ``--steps`` cannot say it, then ``imgflow submit``.

    On a cluster the namespace tells where the store is.
    """
    short = in_short(run.pipeline)
    words = ["imgflow", "submit", "--municipality", run.municipality]
    words += ["--source", run.source] if run.source else []
    if short:
        words += ["--steps", short, *_changed("output", run.pipeline.output), *_changed("limits", run.pipeline.limits)]
    else:
        words += ["--pipeline", FILE]
    words += [*_changed("list", run.list), *_changed("collect", run.collect)]
    words += ["--engine", run.engine] if run.engine else []
    words += ["--namespace", run.namespace] if run.namespace else []
    words += ["--store", store] if store and run.engine != "argo" else []
    written = [] if short else [f"printf '%s\\n' {shlex.quote(_document(run.pipeline))} > {FILE}"]
    return [redacted(line) for line in [*written, shlex.join(words)]]


def in_short(pipeline: Pipeline) -> str:
    """The steps as ``--steps`` takes them; "" where their short forms do not say all parameters."""
    text = ",".join(map(_short, pipeline.steps))
    try:
        read = parse({"steps": [part.strip() for part in text.split(",")]})
    except BadPipelineError:
        return ""
    return text if read.steps == pipeline.steps else ""


def _short(call: StepCall) -> str:
    """The first short form whose parameters are all that the step was given; else its name alone."""
    values = {name: "" if value is None else str(value) for name, value in call.params.model_dump().items()}
    given = set(call.params.model_dump(exclude_defaults=True))
    for form, fixed in call.step.short.items():
        named = set(FIELD.findall(form))
        same = all(values.get(name) == str(value) for name, value in fixed.items())
        if given and same and given <= named | set(fixed) and all(values[name] for name in named):
            return f"{call.name}:" + FIELD.sub(lambda match: values[match[1]], form)
    return call.name


def _document(pipeline: Pipeline) -> str:
    """Every parameter, those too that were not given: another version may have other defaults."""
    return json.dumps(pipeline.model_dump(mode="json"), ensure_ascii=False)


def _changed(target: str, given: BaseModel) -> Iterator[str]:
    """``--set`` for everything that is not as it is by default."""
    for name, value in given.model_dump(exclude_defaults=True).items():
        yield from ("--set", f"{target}.{name}={_text(value)}")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def notes(facts: Facts) -> Iterator[str]:
    """What the command relies on, and what it cannot bring back."""
    run = facts.run
    yield (
        "It starts a new run over the photographs that are there then. Images that have results are not computed "
        f"again. `imgflow retry {run.id}` resumes this run instead."
    )
    if not in_short(run.pipeline):
        yield (
            "`--steps` cannot say every parameter, so the first command writes the pipeline to a file. A file that "
            "this run was started with is not stored: its parameters are, its comments are not."
        )
    if files := [getattr(call.params, name) for call in run.pipeline.steps for name in file_fields(call.params)]:
        named = ", ".join(f"`{key}`" for key in files)
        yield f"The command finds {named} in the store, and fails where that was deleted."
    if run.source.startswith("file:"):
        yield "The source is a directory of the machine that this run was started on."
    if run.selection:
        yield (
            f"This run was about some images, those in `runs/{run.id}/selection.jsonl`. The `--where`, `--sample` or "
            "`--once` that chose them is not recorded; without it the command is about all images."
        )
    if run.version:
        yield f"This run was made by imgflow {run.version}. Another version may make other pictures."
    yield from _unfit(commands(run, facts.store))


def _unfit(lines: list[str]) -> Iterator[str]:
    if any("***" in line for line in lines):
        yield "`***` stands for a secret, which you have to fill in."
    if any(UNSEEN.search(line) for line in lines):
        yield "The command has a character that cannot be shown, so it cannot be copied from here; see `run.json`."
