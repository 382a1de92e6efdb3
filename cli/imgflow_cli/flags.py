"""Flags that several commands share; those of settings are derived from the settings themselves."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Annotated, Any

import typer

from imgflow_cli.output import Format
from imgflow_steps.store import Store
from imgflow_workflows.opening import located, opened
from imgflow_workflows.runs import LATEST, municipalities
from imgflow_workflows.settings import Resolved, Settings, flag, resolve

Command = Callable[..., None]


def _runs_like(incomplete: str) -> list[str]:
    """Run ids for the shell's completion, from the store that settings name; none when it cannot be asked."""
    return [name for name in [LATEST, *_ask(lambda store: store.folders("runs/"))] if name.startswith(incomplete)]


def _municipalities_like(incomplete: str) -> list[str]:
    return [name for name in _ask(municipalities) if name.startswith(incomplete)]


def _ask(question: Callable[[Store], Iterable[str]]) -> list[str]:
    with suppress(Exception), opened(located(resolve({}))) as store:  # a shell that completes must not be disturbed
        return list(question(store))
    return []


OutputFlag = Annotated[Format | None, typer.Option("--output", "-o", help="Output for programs, or more columns.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="No messages and no progress, only data and errors.")]
MunicipalityFlag = Annotated[
    str,
    typer.Option(
        "--municipality", "-m", metavar="NAME", help="Whose photographs.", autocompletion=_municipalities_like
    ),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, or @latest.", autocompletion=_runs_like)]
WhereFlag = Annotated[
    str,
    typer.Option("--where", metavar="SQL", help='Only images whose row in the catalog fits, such as "year > 2012".'),
]
SampleFlag = Annotated[int, typer.Option("--sample", metavar="N", min=0, help="Only so many of them, drawn by --seed.")]
SeedFlag = Annotated[int, typer.Option("--seed", metavar="N", help="Another seed draws another sample.")]
OnceFlag = Annotated[
    bool, typer.Option("--once", help="Leave out near-duplicates of other images; what no run has seen is seen first.")
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

SHORT = {"namespace": "-n"}  # as kubectl and argo spell it


def takes_settings(*names: str, ask: bool = True) -> Callable[[Command], Command]:
    """Give a command a flag for each named setting, and ``--context``.

    Where the command declares a parameter of type Resolved or Store it gets the settings, or their store opened.
    Only a command with the setting ``store`` asks a cluster where it is, unless it would rather do so itself.
    """

    def wrap(command: Command) -> Command:
        parameters = inspect.signature(command, eval_str=True).parameters.values()
        wanted = {parameter.annotation: parameter.name for parameter in parameters}

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
                command(**given)

        own = [parameter for parameter in parameters if parameter.annotation not in {Resolved, Store}]
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = inspect.Signature([*own, *map(_parameter, names), _CONTEXT])  # type: ignore[attr-defined]  # what typer reads
        return run

    return wrap


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
