"""What the help says can be done: every example in it is run, or at least parsed where it needs a cluster."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs

from imgflow_cli.__main__ import main
from imgflow_cli.app import COMMANDS, GROUPS, load
from imgflow_cli.examples import EXAMPLES
from imgflow_steps.records.summary import Phase
from imgflow_steps.store import Store, open_store
from imgflow_workflows.runs import state

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

# need a cluster, a service or a model, or end only when they are told to
ELSEWHERE = {"logs", "stop", "serve", "send", "view", "evaluate"}
LINES = [  # the first of each; others are more of the same
    pytest.param(name, line, id=line, marks=[pytest.mark.thorough] if line != lines[0] else [])
    for name, lines in EXAMPLES.items()
    for line in lines
]


@pytest.fixture
def prepared(imgflow: Cli, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder of photographs, the municipality Delft with a column year, and two runs; made once."""
    made = tmp_path_factory.getbasetemp() / "examples"
    if not made.exists():
        photos = tmp_path / "photos"
        photos.mkdir()
        for number in range(3):
            (photos / f"{number:03}.jpg").write_bytes(photographs.jpeg(number))
        (tmp_path / "table.csv").write_text(
            "path,year\n" + "".join(f"photos/{n:03}.jpg,{2012 + n}\n" for n in range(3))
        )
        (tmp_path / "boxes.csv").write_text("image,x0,y0,x1,y1\nphotos/000.jpg,1,1,9,9\n")
        assert imgflow("ingest", "table.csv", "-m", "Delft", "--path", "path").code == 0
        for run, steps in (("first", "scale:50%"), ("second", "scale:50%,grayscale")):
            words = ("submit", "-m", "Delft", "--steps", steps, "--run", run, "--workers", "1")
            assert imgflow(*words).code == 0
        shutil.copytree(tmp_path, made)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def test_every_command_stands_in_one_group_and_has_examples(imgflow: Cli) -> None:
    shown = imgflow("-h").out

    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS) == sorted(EXAMPLES)
    assert all(f"\n{title}:\n" in shown for title in GROUPS)
    assert "--version" in shown
    assert "-h, --help" in shown


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_a_command_ends_with_its_examples_each_on_one_line(imgflow: Cli, name: str) -> None:
    shown = imgflow(name, "-h")

    assert shown.code == 0
    assert shown.out == imgflow(name, "--help").out
    for line in EXAMPLES[name]:
        assert f"\n    {line}\n" in shown.out


@pytest.mark.parametrize(("name", "line"), LINES)
@pytest.mark.usefixtures("prepared")
def test_every_example_does_what_it_says(imgflow: Cli, monkeypatch: pytest.MonkeyPatch, name: str, line: str) -> None:
    before, _, line = line.rpartition(" | ")
    if before:
        listed = subprocess.run(before, shell=True, capture_output=True, check=True).stdout
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(listed)))
    words = shlex.split(re.sub(r" > \S+$", "", line))[1:]
    assert words[0] == name
    monkeypatch.setenv("IMGFLOW_WORKERS", "1")
    if name in ELSEWHERE:
        assert load(name).make_context(name, words[1:])
        return
    done = imgflow(*words)

    assert done.code == 0, done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_every_shell(imgflow: Cli, shell: str) -> None:
    done = imgflow("completion", shell)

    assert done.code == 0
    assert "_IMGFLOW_COMPLETE" in done.out
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.out, text=True, check=True)


@pytest.mark.parametrize(
    "words",
    [("imgflow", "--store", "STORE", "get", ""), ("imgflow", "get", "--store", "STORE", ""), ("imgflow", "get", "")],
)
def test_the_shell_completes_from_the_store_that_flags_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    place = str(tmp_path / "a folder")
    open_store(place).write("runs/theirs/run.json", b"{}")
    line = " ".join(shlex.quote(place) if word == "STORE" else word for word in words)
    monkeypatch.setenv("_IMGFLOW_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))

    with pytest.raises(SystemExit):
        main([])

    assert ("theirs" in capfd.readouterr().out.split()) == ("STORE" in words)


def test_the_version_is_a_flag_beside_others_too(imgflow: Cli) -> None:
    assert imgflow("--store", "x", "--version").out == imgflow("version").out == imgflow("--version").out


@pytest.mark.usefixtures("prepared")
def test_runs_are_listed_by_status_and_only_the_newest(imgflow: Cli) -> None:
    assert imgflow("ls", "-o", "name").out.split() == ["second", "first"]
    assert imgflow("ls", "-l", "1", "-o", "name").out.split() == ["second"]
    assert imgflow("ls", "--status", "succeeded", "--limit", "1", "-o", "name").out.split() == ["second"]
    assert imgflow("ls", "--status", "failed", "-o", "name").out == ""
    nothing = imgflow("ls", "--status", "failed")
    assert (nothing.out, nothing.err.partition(" in ")[0]) == ("", "No runs are failed")
    assert imgflow("ls", "--status", "wrong").code == 2


@pytest.mark.usefixtures("prepared")
def test_a_list_that_is_watched_has_a_line_for_each_change_and_ends_with_the_runs(
    imgflow: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path / ".imgflow"))
    summary = store.read("runs/second/summary.json")
    store.delete(["runs/second/summary.json"])
    monkeypatch.setattr("imgflow_cli.commands.runs.AGAIN", 0.0)
    looks = []

    def every(given: Store, municipality: str, **rest: Any) -> list[state.RunState]:
        looks.append(municipality)
        if len(looks) == 3:
            store.write("runs/second/summary.json", summary)
        return real(given, municipality, **rest)

    real = state.every
    monkeypatch.setattr(state, "every", every)

    done = imgflow("ls", "-w")

    shown = [line.split()[:2] for line in done.out.splitlines()[1:]]
    assert shown[-1] == ["second", Phase.SUCCEEDED]
    assert [name for name, _ in shown].count("second") == 2
