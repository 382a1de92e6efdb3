"""completion: what a shell has to be told once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]  # typer offers it without a list

from imgflow_cli.output import emit

BASH = Path(__file__).with_name("completion.bash")  # typer's own neither quotes names nor knows s3://


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="bash|zsh|fish", help="The shell.")],
) -> None:
    """Print what makes bash, zsh or fish complete commands, flags and runs.

    For bash: `imgflow completion bash > ~/.local/share/bash-completion/completions/imgflow`. For zsh: write it as
    `_imgflow` into a folder of $fpath. For fish: `imgflow completion fish > ~/.config/fish/completions/imgflow.fish`.
    """
    if shell == "bash":
        emit(BASH.read_text().rstrip())
        return
    emit(get_completion_script(prog_name="imgflow", complete_var="_IMGFLOW_COMPLETE", shell=shell).rstrip())
