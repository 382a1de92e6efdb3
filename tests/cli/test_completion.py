from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from imgflow_cli.commands.completion import BASH
from imgflow_steps.records import keys
from imgflow_steps.store import open_store

NAME = "Bad Homburg v. d. Höhe"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store ``a:store`` in which the municipality is, and an imgflow that says how it was called."""
    store = open_store(str(tmp_path / "a:store"))
    store.write(keys.images(NAME) + "a.jpg", b"")
    store.write("runs/bad-homburg-1/run.json", b"{}")
    command = tmp_path / "bin" / "imgflow"
    command.parent.mkdir()
    real = f"exec {shlex.quote(sys.executable)} -m imgflow_cli"
    said = f"printf '%s\\n' \"$@\" > {shlex.quote(str(tmp_path / 'called'))}"
    command.write_text(f'#!/bin/sh\nif [ -n "$_IMGFLOW_COMPLETE" ]; then {real}; fi\n{said}\n')
    command.chmod(0o755)
    return tmp_path


def typed(folder: Path, line: str) -> list[str]:
    """The words with which bash calls imgflow where somebody types a line, tabulators and all, at its prompt."""
    bash = shutil.which("bash")
    assert bash
    (folder / "rc").write_text(f"PS1='> '\nbind 'set enable-bracketed-paste off'\n{BASH.read_text()}")
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "HISTFILE": "",
    }
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [bash, "--rcfile", str(folder / "rc"), "-i"],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=folder,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        limit = threading.Timer(60, process.kill)  # where a quote stays open, bash waits for more
        limit.start()
        os.write(ours, f"{line}\nexit\n".encode())
        try:
            while os.read(ours, 4096):
                pass
        except OSError:  # the end of a terminal
            pass
        process.wait()
        limit.cancel()
    os.close(ours)
    return (folder / "called").read_text().splitlines()


@pytest.mark.parametrize("begun", ["Bad", r"Bad\ Hom", '"Bad Hom', "'Bad Hom"])
def test_bash_completes_a_name_with_spaces(folder: Path, begun: str) -> None:
    assert typed(folder, f"imgflow submit --store ./a:store -m {begun}\t") == [
        "submit",
        "--store",
        "./a:store",
        "-m",
        NAME,
    ]


def test_bash_completes_a_run_from_the_store_that_is_named_with_an_equals_sign(folder: Path) -> None:
    assert typed(folder, "imgflow get --store=./a:store bad\t") == ["get", "--store=./a:store", "bad-homburg-1"]


def test_bash_completes_what_begins_where_it_cuts_words(folder: Path) -> None:
    assert typed(folder, "imgflow get --store ./a:store @la\t")[-1] == "@latest"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "found"),
    [
        (r"imgflow submit --store ./a:store -m Bad\ Hom", NAME),
        ("imgflow submit --store ./a:store -m 'Bad Hom", NAME),
        ("imgflow get --store=./a:store bad", "bad-homburg-1"),
        ("imgflow get --context city bad", "bad-homburg-1"),
    ],
)
def test_zsh_and_fish_are_told_names_from_the_store_that_the_line_names(
    folder: Path, shell: str, line: str, found: str
) -> None:
    """What imgflow answers these shells; the shells themselves are not asked."""
    (folder / "imgflow.yaml").write_text("contexts: {city: {store: './a:store'}}\n")
    asked = {"_IMGFLOW_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    done = subprocess.run(
        [folder / "bin/imgflow"],
        env={**os.environ, **asked, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == (found if shell == "fish" else f"""_arguments '*: :(("{found}"))'""")
