"""Flags that several commands share; those of settings are derived from the settings themselves."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from imgflow_cli.output import Format
from imgflow_cli.templates import FORMATS, TEMPLATES, formats_like, read_format
from imgflow_steps.records.admission import Admission, admission
from imgflow_steps.store import Store
from imgflow_workflows.connect import located, opened
from imgflow_workflows.runs.state import LATEST, municipalities
from imgflow_workflows.settings import PLACES, Resolved, Settings, flag, resolve

Command = Callable[..., None]


def _runs_like(ctx: typer.Context, incomplete: str) -> list[str]:
    """Run ids for the shell's completion, from the store that flags and settings name; none when it cannot be asked."""
    runs = [LATEST, *_ask(ctx, lambda store: store.folders("runs/"))]
    return [name for name in runs if name.startswith(incomplete)]


def _municipalities_like(ctx: typer.Context, incomplete: str) -> list[str]:
    return [name for name in _ask(ctx, municipalities) if name.startswith(incomplete)]


def _ask(ctx: typer.Context, question: Callable[[Store], Iterable[str]]) -> list[str]:
    given = {name: ctx.params.get(name) or None for name in ("context", *PLACES)}
    with suppress(Exception), opened(located(resolve(given))) as store:  # a shell that completes must not be disturbed
        return list(question(store))
    return []


OutputFlag = Annotated[
    Format | None,
    typer.Option(
        "--output",
        "-o",
        metavar="|".join((*FORMATS, *(f"{name}=…" for name in TEMPLATES))),
        parser=read_format,
        autocompletion=formats_like,
        help="Output for programs, or more columns; jsonpath and custom-columns as in kubectl.",
    ),
]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="No messages and no progress, only data and errors.")]
MunicipalityFlag = Annotated[
    str,
    typer.Option(
        "--municipality",
        "-m",
        metavar="NAME",
        help="Municipality (dataset) to work on.",
        autocompletion=_municipalities_like,
    ),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, or @latest.", autocompletion=_runs_like)]
RunFlag = Annotated[
    str,
    typer.Option(
        "--run",
        metavar="RUN",
        help="Run id, or @latest.  [default: the newest of the municipality]",
        autocompletion=_runs_like,
    ),
]
WhereFlag = Annotated[
    str,
    typer.Option("--where", metavar="SQL", help='Only images whose catalog row matches, such as "year > 2012".'),
]
SampleFlag = Annotated[
    int, typer.Option("--sample", metavar="N", min=0, help="Only this number of images, drawn by --seed.")
]
SeedFlag = Annotated[int, typer.Option("--seed", metavar="N", help="Another seed draws another sample.")]
OnceFlag = Annotated[bool, typer.Option("--once", help="Skip near-duplicates. Images not hashed yet are hashed first.")]
TakeOverFlag = Annotated[
    bool, typer.Option("--take-over", help="Resume in place of a process that worked on the run and is dead or lost.")
]
IncludeFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--include", metavar="PATTERN", help="Only paths that match, as in .gitignore, such as '*.jpg'; repeatable."
    ),
]
ExcludeFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="PATTERN", help="No path that matches; repeatable. A file .imgflowignore does the same."
    ),
]
FollowFlag = Annotated[
    bool, typer.Option("--follow-links", help="Follow symbolic links that lead out of the folder, too.")
]
ChecksumFlag = Annotated[
    bool,
    typer.Option("--checksum", help="Recognize a folder's files by their content, not by size, times and inode."),
]
DelimiterFlag = Annotated[
    Literal["", ",", ";", "tab"],
    typer.Option(
        "--delimiter",
        metavar="CHARACTER",
        help="Write a CSV for Excel with this between columns: ; in most of Europe (with decimal commas), or , or tab.",
        callback=lambda value: "\t" if value == "tab" else value,
    ),
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

SHORT = {"namespace": "-n"}  # as kubectl and argo spell it


SourceFlag = Annotated[str, typer.Option(metavar="DIR|URL", help="Photographs that are stored elsewhere; only read.")]
EncodingFlag = Annotated[
    str, typer.Option(metavar="NAME", help="How a CSV is written, such as cp1252.  [default: found]")
]
SheetFlag = Annotated[str, typer.Option(metavar="NAME", help="Sheet of a workbook.  [default: the first with rows]")]
PipelineFlag = Annotated[Path | None, typer.Option(metavar="FILE", help="A pipeline of your own, as YAML or JSON.")]
StepsFlag = Annotated[
    str, typer.Option(metavar="STEPS|@FILE", help="Steps in short, such as 'scale:1024x768,blur:median', or a file.")
]
FormatFlag = Annotated[
    Literal["jpeg", "jpg", "png", "webp", "none"] | None,
    typer.Option("--format", help="What pictures are written as; none: findings only."),
]
SetFlag = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="STEP.NAME=VALUE", help="Change a parameter, such as scale.width=512; repeatable."),
]
RejectedFlag = Annotated[
    str, typer.Option(metavar="N|N%", help="How many images may be rejected before the run fails.")
]
RetryFlag = Annotated[
    Literal["failed", "rejected"] | None,
    typer.Option(help="What of earlier runs is tried again; rejected includes failed.  [default: failed]"),
]
NotifyFlag = Annotated[
    str,
    typer.Option(
        metavar="URL",
        help="Webhook that gets the summary when the run ends here; IMGFLOW_NOTIFY_URL keeps it out of the history.",
    ),
]
CUTS = ("nodes", "layout", "shard_size")


class Flags:
    """Flags that stand together in several commands: a parameter of such a type stands for a flag per field."""


@dataclass(frozen=True, slots=True)
class MakingFlags(Flags):
    """How pictures are made, and when a run counts as failed or tries again."""

    pipeline: PipelineFlag = None
    steps: StepsFlag = ""
    form: FormatFlag = None
    changes: SetFlag = None
    max_rejected: RejectedFlag = ""
    retry: RetryFlag = None

    def wishes(self) -> dict[str, Any]:
        """As ``Submission`` names them."""
        return {
            "pipeline": self.pipeline,
            "steps": self.steps,
            "format": self.form or "",
            "changes": self.changes or (),
            "max_rejected": self.max_rejected,
            "retry": self.retry or "",
        }


@dataclass(frozen=True, slots=True)
class ChoiceFlags(Flags):
    """Which images of a dataset."""

    condition: WhereFlag = ""
    sample: SampleFlag = 0
    seed: SeedFlag = 0
    once: OnceFlag = False

    def wishes(self) -> dict[str, Any]:
        """As ``Submission`` names them."""
        from imgflow_workflows.catalog.choice import Choice  # noqa: PLC0415 - what asks catalogs is not loaded for help

        return {"choice": Choice(self.condition, self.sample, self.seed), "once": self.once}


@dataclass(frozen=True, slots=True)
class ListingFlags(Flags):
    """Which files of a folder, and how they are known again."""

    include: IncludeFlag = None
    exclude: ExcludeFlag = None
    follow: FollowFlag = False
    checksum: ChecksumFlag = False

    @property
    def rules(self) -> Admission:
        """What is listed."""
        return admission(self.include or (), self.exclude or ())

    def wishes(self) -> dict[str, Any]:
        """As ``Submission`` names them."""
        return {
            "include": self.include or (),
            "exclude": self.exclude or (),
            "follow": self.follow,
            "checksum": self.checksum,
        }


def takes_settings(*names: str, ask: bool = True) -> Callable[[Command], Command]:
    """Give a command a flag for each named setting, and ``--context``.

    Where the command declares a parameter of type Resolved or Store it gets the settings, or their store opened; one
    of a kind of Flags gets what its flags say.
    Only a command with the setting ``store`` asks a cluster where it is, unless it would rather do so itself.
    """

    def wrap(command: Command) -> Command:
        parameters = inspect.signature(command, eval_str=True).parameters.values()
        wanted = {parameter.annotation: parameter.name for parameter in parameters}
        groups = {kind: name for kind, name in wanted.items() if isinstance(kind, type) and issubclass(kind, Flags)}

        @functools.wraps(command)
        def run(**given: Any) -> None:
            resolved = resolve({name: given.pop(name) for name in ("context", *names)})
            if ask and "store" in names:
                resolved = located(resolved)
            with ExitStack() as stack:
                if Resolved in wanted:
                    given[wanted[Resolved]] = resolved
                if Store in wanted:
                    given[wanted[Store]] = stack.enter_context(opened(resolved))
                for kind, name in groups.items():
                    given[name] = kind(**{flag: given.pop(flag) for flag in get_type_hints(kind)})
                command(**given)

        own = [flag for parameter in parameters for flag in _flags(parameter)]
        run.__signature__ = inspect.Signature([*own, *map(_parameter, names), _CONTEXT])  # type: ignore[attr-defined]  # what typer reads
        return run

    return wrap


def _flags(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """What typer is to see of a command's parameter."""
    kind = parameter.annotation
    if isinstance(kind, type) and issubclass(kind, Flags):
        hints = get_type_hints(kind, include_extras=True)
        for name, flag in inspect.signature(kind).parameters.items():
            yield flag.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
    elif kind not in {Resolved, Store}:
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _parameter(name: str) -> inspect.Parameter:
    info = Settings.model_fields[name]
    default = f"default: {info.default}" if info.default not in {"", 0} else ""
    text = f"{info.description}  [{default}]" if default else str(info.description)
    declared = [flag(name), SHORT[name]] if name in SHORT else [flag(name)]
    option = typer.Option(*declared, help=text)
    kind: Any = Annotated[info.annotation | None, option]  # type: ignore[operator]  # a field's annotation is a type
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


_CONTEXT = inspect.Parameter(
    "context",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[str | None, typer.Option("--context", metavar="NAME", help="Named context of imgflow.yaml.")],
)
