#!/usr/bin/env python3
"""Write the pages of ``docs/reference`` from declarations; a test compares them with what is committed.

make reference
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from imgflow_cli import app
from imgflow_cli.commands.info import markdown
from imgflow_cli.examples import EXAMPLES
from imgflow_service.api.telemetry import Telemetry as Api
from imgflow_service.jobs.telemetry import Telemetry as Jobs
from imgflow_service.processor.telemetry import Telemetry as Processor
from imgflow_service.settings import ServiceSettings
from imgflow_steps.contract.options import Encoding, Limits
from imgflow_steps.pipeline.registry import STEPS
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.prediction import Prediction
from imgflow_steps.records.row import Row
from imgflow_steps.records.run import Run
from imgflow_steps.records.summary import Summary
from imgflow_workflows.argo import metrics
from imgflow_workflows.errors import MEANING, ExitCode
from imgflow_workflows.runs.document import ErrorDocument, RunDocument
from imgflow_workflows.settings import FLAGS, Settings, flag, variable

FOLDER = Path(__file__).with_name("reference")
MARK = "<!-- written by: make reference -->\n\n"
DOCUMENTS: dict[str, tuple[type[BaseModel], str]] = {
    "run": (RunDocument, "`-o json` of `submit`, `retry`, `get`, `watch`, and each item of `ls`"),
    "error": (ErrorDocument, "`-o json` of every command that goes wrong"),
    "summary": (Summary, "`runs/RUN/summary.json` in the store, and what a webhook receives, there with `text`"),
    "result": (Row, "a line of `runs/RUN/results.jsonl`, the verdict on one listed image"),
    "run.json": (Run, "`runs/RUN/run.json` in the store: what was requested"),
    "listing": (Listing, "`runs/RUN/listing.json` in the store: what was found"),
    "prediction": (Prediction, "`prediction` in `plan -o json`, and `runs/RUN/prediction.json`"),
}
FAULT = {
    ExitCode.DONE: "Every listed image has a result, or was rejected within what `--max-rejected` allows.",
    ExitCode.FAILED: "Images failed, a check found something wrong, a folder could not be read, or a disk, a quota or the store is full. "
    "`imgflow retry` resumes.",
    ExitCode.USAGE: "The command, a file or a setting is wrong. Nothing was started.",
    ExitCode.TOO_MANY_REJECTED: "The photographs are at fault. The report lists them by reason.",
    ExitCode.UNREACHABLE: "Nothing is lost. Run the same command again when it is back.",
    ExitCode.INTERRUPTED: "By Ctrl-C. Run the same command again to resume.",
}


def commands() -> str:
    """Every command with its flags and examples."""
    parts = [
        "# Commands\n\nFlags that say where (`--engine`, `--store`, `--namespace`, `--kube-context`, `--context`) may be given "
        "before or after the command. A shell completes commands, flags and runs with `imgflow completion`.\n"
    ]
    for title, names in app.GROUPS.items():
        parts.append(f"## {title}\n")
        for name in names:
            command = app.load(name)
            context = typer.Context(command, info_name=f"imgflow {name}", terminal_width=200, max_content_width=200)
            usage = command.get_usage(context).removeprefix("Usage: ")
            body = re.sub(r"\n(?!\n)", " ", command.help.replace("\n\n", "\0")).replace("\0", "\n\n")
            body = _prose(body)
            rows = [_row(*p.get_help_record(context)) for p in command.params]
            examples = "\n".join(EXAMPLES[name])
            parts.append(
                f"### imgflow {name}\n\n{body}\n\n```\n{usage}\n```\n\n"
                f"| | Default | |\n|---|---|---|\n" + "\n".join(rows) + f"\n\n```sh\n{examples}\n```\n"
            )
    return "\n".join(parts)


def _prose(text: str) -> str:
    return re.sub(r"(?<![`\w])(--[a-z-]+|@latest|IMGFLOW_\w+\*?)", r"`\1`", text)


def _row(names: str, text: str) -> str:
    text, _, default = text.partition("  [")
    default = default.removesuffix("]").replace("default: ", "")
    if names.startswith("--workers"):
        default = "number of cores"
    return f"| `{_cell(names)}` | {_cell(default)} | {_cell(_prose(text))} |"


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def steps() -> str:
    """The table of steps, and the parameters of each; output and limits of a pipeline behind them."""
    parts = ["# Steps\n\n" + markdown(list(STEPS.values())) + "\n"]
    for step in STEPS.values():
        fields = step.params.model_fields
        parts.append(f"## {step.name}\n\n{step.summary} Version {step.version}; container image `{step.home}`.\n")
        if fields:
            parts.append(_fields(step.params))
    parts.append("## output\n\nHow pictures are written: `output: {format: webp}`, or `--set output.format=webp`.\n")
    parts.append(_fields(Encoding))
    parts.append("## limits\n\nWhat one image may cost: `limits: {seconds: 30}`, or `--set limits.seconds=30`.\n")
    parts.append(_fields(Limits))
    return "\n".join(parts)


def _fields(model: type[BaseModel]) -> str:
    """A model's fields: name, values, default, description."""
    properties = model.model_json_schema()["properties"]
    rows = ["| Parameter | Values | Default | |", "|---|---|---|---|"]
    for name, schema in properties.items():
        default = json.dumps(schema.get("default"), ensure_ascii=False)
        rows.append(f"| `{name}` | {_cell(_values(schema))} | `{default}` | {_cell(schema.get('description', ''))} |")
    return "\n".join(rows) + "\n"


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_values(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("type", "any")).replace("null", "none")
    if kind == "array":
        items = schema.get("items") or {}
        return f"list of {_values(items)}" if items else "list"
    low, high = (
        schema.get("minimum", schema.get("exclusiveMinimum")),
        schema.get("maximum", schema.get("exclusiveMaximum")),
    )
    bounds = [f"{'>' if 'exclusiveMinimum' in schema else '≥'} {low}"] if low is not None else []
    bounds += [f"{'<' if 'exclusiveMaximum' in schema else '≤'} {high}"] if high is not None else []
    return " ".join([kind, ", ".join(bounds)]).strip()


def settings() -> str:
    """Settings of the command line, of the environment, and of the service."""
    rows = []
    for name, field in Settings.model_fields.items():
        flagged = f"`{flag(name)}`" if name in FLAGS else "none"
        rows.append(f"| `{name}` | {flagged} | `{variable(name)}` | {field.description} |")
    return (
        "# Settings\n\nPrecedence, highest first:\n\n1. a flag\n2. an `IMGFLOW_*` variable\n3. the active context\n"
        "4. `./imgflow.yaml`\n5. `imgflow/config.yaml` in the user's configuration folder, `~/.config` as a rule\n6. the default\n\n"
        "`imgflow config` shows every setting and where it comes from.\n\n"
        "```yaml\ncontext: laptop            # used unless --context or IMGFLOW_CONTEXT names another\ncontexts:\n"
        "  laptop: {store: ./.imgflow, workers: 4}\n"
        "  city: {engine: argo, namespace: imgflow, nodes: 8}     # with the store of the chart\n"
        '  archive: {store: s3://archive/photos, endpoint: "http://localhost:9000"}\n```\n\n'
        "| Setting | Flag | Variable | What it is |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "[The store](../store.md#s3) describes credentials and other variables of S3.\n\n"
        "## The image service\n\nA key below `serve:` in `imgflow.yaml`, or a variable.\n\n"
        "| Setting | Variable | Values | Default | What it is |\n|---|---|---|---|---|\n" + "\n".join(_serve()) + "\n"
    )


def _serve() -> Iterator[str]:
    schema = ServiceSettings.model_json_schema()
    parts = schema["$defs"]

    def walk(properties: dict[str, Any], prefix: str = "") -> Iterator[str]:
        for name, field in properties.items():
            part = parts.get(str(field.get("$ref", "")).rpartition("/")[2], {})
            if "properties" in part:
                yield from walk(part["properties"], f"{prefix}{name}.")
                continue
            default = json.dumps(field.get("default"), ensure_ascii=False)
            named = f"IMGFLOW_SERVE_{(prefix + name).upper().replace('.', '_')}"
            values, text = _cell(_values(field)), _cell(field.get("description", ""))
            yield f"| `{prefix}{name}` | `{named}` | {values} | `{_cell(default)}` | {text} |"

    yield from walk(schema["properties"])


def exit_codes() -> str:
    """How commands end."""
    rows = [f"| {int(code)} | {words} | {FAULT[code]} |" for code, words in MEANING.items()]
    return (
        "# Exit codes\n\n| Code | Meaning | What it tells |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "A container of a run exits with 75 when the store cannot be reached, which is tried again.\n"
    )


def documents() -> str:
    """JSON documents, each with its fields; the schemas lie beside the page."""
    parts = [
        "# JSON documents\n\nKeys are only ever added: a program ignores those that it does not know. Times are seconds since "
        "1970 in UTC. Each document has a JSON Schema (draft 2020-12) beside this page.\n"
    ]
    for name, (model, where) in DOCUMENTS.items():
        parts.append(f"## {name}\n\n{where[0].upper()}{where[1:]}. Schema: [{name}](schemas/{_file(name)}).\n")
        parts.append(_keys(model))
    return "\n".join(parts)


def _keys(model: type[BaseModel]) -> str:
    rows = ["| Key | Value | |", "|---|---|---|"]
    for name, schema in model.model_json_schema(mode="serialization")["properties"].items():
        rows.append(f"| `{name}` | {_cell(_values(schema))} | {_cell(schema.get('description', ''))} |")
    return "\n".join(rows) + "\n"


def _file(name: str) -> str:
    return f"{name.removesuffix('.json')}-request.json" if name.endswith(".json") else f"{name}.json"


def schema(model: type[BaseModel]) -> str:
    """A model as JSON Schema."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(mode="serialization")}
    return json.dumps(made, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def figures() -> str:
    """Metrics of runs and of the service."""
    declared = {m.name: m for m in [*metrics.of_run(), *metrics.of_pods("scale"), *metrics.of_images()]}
    runs = [
        f"| `argo_workflows_{m.name}` | {type(m).__name__.lower()} | "
        f"{', '.join(f'`{label.key}`' for label in m.labels)} | {_cell(m.help)} |"
        for m in declared.values()
    ]
    parts = [
        "# Metrics\n\n## Runs\n\nCounted by Argo's controller, at `https://POD:9090/metrics`. [Operations](../operations.md#what-to-watch) "
        "describes how to scrape them, the alerts and the dashboard.\n",
        _metrics(runs),
    ]
    for title, registry in (("api", Api().registry), ("processor", Processor().registry), ("jobs", Jobs().registry)):
        rows = []
        for family in registry.collect():
            labels = {k for sample in family.samples for k in sample.labels} - {"le"}
            collector = registry._names_to_collectors[family.name]  # noqa: SLF001 - label names of what has no sample yet
            names = sorted(labels | set(getattr(collector, "_labelnames", ())))
            ending = "_total" if family.type == "counter" else ""
            shown = ", ".join(f"`{label}`" for label in names)
            rows.append(f"| `{family.name}{ending}` | {family.type} | {shown} | {_cell(family.documentation)} |")
        parts += [
            f"## Image service: {title}\n\nAt `/metrics` of the metrics port, 5001 by default.\n",
            _metrics(sorted(rows)),
        ]
    return "\n".join(parts)


def _metrics(rows: list[str]) -> str:
    return "| Metric | Type | Labels | What it counts |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "steps.md": steps,
    "settings.md": settings,
    "exit-codes.md": exit_codes,
    "documents.md": documents,
    "metrics.md": figures,
}


def pages() -> dict[str, str]:
    """Every file of the folder by its name, with what belongs into it."""
    made = {name: MARK + write() for name, write in PAGES.items()}
    return made | {f"schemas/{_file(name)}": schema(model) for name, (model, _) in DOCUMENTS.items()}


if __name__ == "__main__":
    for name, text in pages().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in FOLDER.rglob("*"):
        if path.is_file() and path.relative_to(FOLDER).as_posix() not in pages():
            path.unlink()
