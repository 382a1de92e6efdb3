"""The commands, as data. None is imported before it is used, so that `imgflow --help` answers at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
import typer.core

from imgflow_cli.examples import epilog
from imgflow_cli.streams import Stream
from imgflow_workflows.errors import MEANING, ExitCode, ImgflowError


class Command(NamedTuple):
    """A function in ``imgflow_cli.commands.<module>``, and what ``imgflow --help`` says of it."""

    module: str
    summary: str
    function: str = ""  # where it is not the command's name
    works: bool = False  # does more than print, so goes on where standard output cannot be written


COMMANDS = {
    "submit": Command("submit", "Run a municipality's photographs through the pipeline.", works=True),
    "plan": Command("submit", "Show what submit would do, and why, without doing it."),
    "retry": Command("submit", "Resume a run: compute what failed or is missing.", works=True),
    "render": Command("render", "Print the pipeline as YAML for `kubectl create -f`."),
    "ingest": Command("ingest", "Copy photographs into a municipality's dataset.", works=True),
    "boxes": Command("boxes", "Give boxes by hand, which redact covers as well as what a model finds.", works=True),
    "process": Command(
        "process", "Take a folder of photographs through the pipeline into another folder, on any engine.", works=True
    ),
    "fetch": Command("fetch", "Copy a run's pictures into a folder, each checked by its SHA-256.", works=True),
    "view": Command("view", "Look at all images of a store in a browser: filter, sort, map, tags.", works=True),
    "export": Command("export", "Export images or results with their catalog rows.", works=True),
    "query": Command("query", "Ask questions in SQL about photographs and results."),
    "evaluate": Command(
        "evaluate",
        "Compare what a run found with what is there: precision, recall, average precision, misses by size.",
    ),
    "similar": Command("similar", "List the images that are most like one, the nearest first."),
    "ls": Command("runs", "List runs, newest first, or municipalities."),
    "get": Command("runs", "Show the status of one run."),
    "watch": Command("runs", "Follow a run until it ends.", works=True),
    "report": Command("runs", "Print where a run's report is, open it, or save it as one file."),
    "why": Command(
        "why", "Tell one image's story over all runs: listed, cached or computed and why, how it ended, what to do."
    ),
    "tune": Command("tune", "Propose shard size, layout and resources, from what a run took."),
    "diff": Command("diff", "Compare the results of two runs, picture by picture."),
    "verify": Command(
        "verify",
        "Make a run's pictures again from sources, rows and parameters, without its models, and list what differs.",
    ),
    "logs": Command("engine", "Print the logs of a run's containers."),
    "stop": Command("engine", "End a run early; what is published stays.", works=True),
    "delete": Command("engine", "Forget a run; its results stay.", works=True),
    "prune": Command(
        "prune", "Show what old results, runs and leftovers cost in the store, and delete them with --yes.", works=True
    ),
    "lint": Command("lint", "Check a pipeline, and show where each fault is."),
    "doctor": Command("doctor", "Show what is wrong, here or with a run, and what fixes it."),
    "try": Command(
        "try_",
        "Take one photograph through some steps at once, and write before and after as one picture.",
        "try_",
        works=True,
    ),
    "serve": Command("serve", "Serve pictures over HTTP and gRPC on this machine.", works=True),
    "send": Command("send", "Send one photograph to an image service, and write what it makes of it.", works=True),
    "steps": Command("info", "Show the steps and their parameters."),
    "config": Command("info", "Show every setting and where it comes from."),
    "completion": Command("completion", "Print what makes bash, zsh or fish complete commands, flags and runs."),
    "version": Command("info", "Show versions."),
}
GROUPS = {  # of the help; every command stands in one of them
    "Run": ("submit", "plan", "retry", "process", "try", "render"),
    "Look at runs": (
        *("ls", "get", "watch", "report", "view", "why", "diff", "verify", "query", "similar", "evaluate", "logs"),
    ),
    "Bring in and take out": ("ingest", "boxes", "fetch", "export"),
    "Keep in order": ("stop", "delete", "prune", "tune", "doctor"),
    "Serve": ("serve", "send"),
    "About": ("steps", "lint", "config", "completion", "version"),
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

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's interface
        """The commands in groups."""
        room = formatter.width - 6 - max(map(len, COMMANDS))
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(room)) for name in names])

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise ImgflowError("interrupted", code=ExitCode.INTERRUPTED) from None


def _version(asked: bool) -> None:
    if asked:
        load("version").main([], prog_name="imgflow version", standalone_mode=False)
        raise typer.Exit


def anywhere(
    context: Annotated[str | None, typer.Option(metavar="NAME", help="Named context of imgflow.yaml.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="Where steps run: processes here, containers here, or a cluster.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Where everything is stored: a directory or s3://bucket[/prefix].")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Kubernetes namespace of the argo engine.")
    ] = None,
    kube_context: Annotated[
        str | None, typer.Option(help="Context of the kubeconfig; empty is its current one.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version and end.")
    ] = False,
) -> None:
    """Flags that say where; they stand before a command or behind it, and mean the same."""


def load(name: str) -> Any:
    """Import a command."""
    module, _, function, works = COMMANDS[name]
    if works and isinstance(sys.stdout, Stream):
        sys.stdout.forgiving = True
    return _command(name, getattr(import_module(f"imgflow_cli.commands.{module}"), function or name))


def _command(name: str, function: Callable[..., None]) -> Any:
    one = typer.Typer(add_completion=False, rich_markup_mode=None)
    one.command(name, epilog=epilog(name))(function)
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
        context_settings={"help_option_names": ["-h", "--help"]},
        help=ABOUT,
        epilog=EPILOG,
        rich_markup_mode=None,
    )
