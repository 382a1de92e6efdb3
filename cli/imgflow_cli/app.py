"""The commands, as data. None is imported before it is used, so that `imgflow --help` answers at once."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
import typer.core

from imgflow_workflows.faults import MEANING, ExitCode, ImgflowError


class Command(NamedTuple):
    """A function in ``imgflow_cli.commands.<module>``, and what ``imgflow --help`` says of it."""

    module: str
    summary: str
    function: str = ""  # where it is not the command's name


COMMANDS = {
    "submit": Command("submit", "Run a municipality's photographs through the pipeline."),
    "plan": Command("submit", "Say what submit would do, and why, without doing it."),
    "retry": Command("submit", "Go on with a run: what failed or is missing is done again."),
    "render": Command("render", "Print the pipeline as YAML for `kubectl create -f`."),
    "ingest": Command("ingest", "Copy photographs into a municipality's dataset."),
    "process": Command(
        "fetch", "Take a folder of photographs through the pipeline into another folder, on any engine."
    ),
    "fetch": Command("fetch", "Copy a run's pictures into a folder, each checked by its SHA-256."),
    "export": Command("export", "Copy images or results out, with what is told of them."),
    "query": Command("query", "Ask with SQL what is known of photographs and results."),
    "ls": Command("runs", "List runs, newest first, or municipalities."),
    "get": Command("runs", "Show how one run stands."),
    "watch": Command("runs", "Follow a run until it ends."),
    "report": Command("runs", "Say where a run's report is, open it, or save it as one file."),
    "why": Command(
        "why", "Tell one image's story over all runs: listed, cached or computed and why, how it ended, what to do."
    ),
    "tune": Command("tune", "Propose shard size, layout and resources, from what a run took."),
    "diff": Command("diff", "Say which pictures two runs made otherwise, and by how much."),
    "logs": Command("engine", "Print the logs of a run's containers."),
    "stop": Command("engine", "End a run early; what is published stays."),
    "delete": Command("engine", "Forget a run; its results stay."),
    "prune": Command(
        "prune", "Say what old results, runs and leftovers cost in the store, and delete them with --yes."
    ),
    "lint": Command("lint", "Say what is wrong with a pipeline, and where."),
    "doctor": Command("doctor", "Say what is wrong, here or with a run, and what mends it."),
    "try": Command(
        "trial", "Take one photograph through some steps at once, and write before and after as one picture.", "try_"
    ),
    "steps": Command("about", "Show the steps and their parameters."),
    "config": Command("about", "Show every setting and where it comes from."),
    "version": Command("about", "Show versions."),
}

ABOUT = "Every photograph of a municipality through the same steps, here or on every node of a cluster."
EPILOG = "Exit codes: " + "; ".join(f"{code} {words}" for code, words in MEANING.items()) + "."


class Lazy(typer.core.TyperCommand):
    """A command of which only the name and the summary are known until it is used."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Whoever needs more than the summary begins here: the real command takes over."""
        before = {name: value for name, value in parent.params.items() if value} if parent else {}
        return load(str(self.name)).make_context(info_name, args, parent, default_map=before, **extra)


class Commands(typer.core.TyperGroup):
    """The command ``imgflow``, in which Ctrl-C is an error with words like any other; typer would end without one."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise ImgflowError("interrupted", code=ExitCode.INTERRUPTED) from None


def anywhere(
    context: Annotated[str | None, typer.Option(metavar="NAME", help="Named context of imgflow.yaml.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="Where steps run: processes here, containers here, or a cluster.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Where everything lies: a directory or s3://bucket[/prefix].")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Kubernetes namespace of the argo engine.")
    ] = None,
    kube_context: Annotated[
        str | None, typer.Option(help="Context of the kubeconfig; empty is its current one.")
    ] = None,
) -> None:
    """Flags that say where; they stand before a command or behind it, and mean the same."""


def load(name: str) -> Any:
    """Import a command."""
    module, _, function = COMMANDS[name]
    return _command(name, getattr(import_module(f"imgflow_cli.commands.{module}"), function or name))


def _command(name: str, function: Callable[..., None]) -> Any:
    one = typer.Typer(add_completion=False, rich_markup_mode=None)
    one.command(name)(function)
    return typer.main.get_command(one)


def group() -> Any:
    """The command ``imgflow`` itself."""
    return Commands(
        name="imgflow",
        commands={
            name: Lazy(name, short_help=command.summary, rich_markup_mode=None) for name, command in COMMANDS.items()
        },
        params=[*_command("imgflow", anywhere).params, *typer.main.get_install_completion_arguments()],
        no_args_is_help=True,
        help=ABOUT,
        epilog=EPILOG,
        rich_markup_mode=None,
    )
