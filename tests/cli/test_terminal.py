"""What a terminal gets to see: help, errors, progress; and what a pipe gets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs
from tests.processes import children, command_line
from tests.terminals import IMGFLOW, in_terminal

from imgflow_cli.output import printable, wrapped
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run
from imgflow_steps.store import Store
from imgflow_steps.store.directory import Directory
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.text import duration, size

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

HEAVY = ["pydantic", "numpy", "PIL", "onnxruntime", "minio", "hera", "rich", "yaml", "imgflow_steps.contract.step"]


def test_help_loads_nothing_that_it_does_not_need() -> None:
    script = (
        "import sys; from imgflow_cli.__main__ import main; main(['--help']); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


NEEDLESS = [
    *["numpy", "PIL", "onnxruntime", "minio", "urllib3", "urllib.request", "hera", "kubernetes", "rich", "yaml"],
    *["duckdb", "pyarrow", "pebble"],
    *["imgflow_steps.report.report", "imgflow_steps.collect.so_far", "imgflow_steps.pipeline.apply"],
]


@pytest.mark.parametrize(
    "words", [["ls"], ["get", "@latest"], ["why", "nothing.jpg"], ["config"]], ids=lambda words: str(words[0])
)
def test_whoever_asks_how_a_run_stands_loads_no_step_no_report_and_no_client_of_another_store(
    words: list[str], tmp_path: Path
) -> None:
    script = (
        f"import sys; from imgflow_cli.__main__ import main; main({[*words, '--store', str(tmp_path)]!r}); "
        f"print([name for name in {NEEDLESS} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert done.stdout.splitlines()[-1] == "[]"


def test_help_tells_commands_and_exit_codes(imgflow: Cli) -> None:
    shown = imgflow("--help")

    assert shown.code == 0
    assert "submit " in shown.out
    assert "4 more images rejected than" in shown.out


def test_choices_of_an_argument_that_is_missing_are_named_without_tabs(imgflow: Cli) -> None:
    done = imgflow("completion")

    assert done.code == 2
    assert done.err.startswith("Error: Missing argument 'bash|zsh|fish'. Choose from: bash, zsh, fish\n")


def test_no_arguments_show_the_help(imgflow: Cli) -> None:
    shown = imgflow()

    assert shown.code == 2
    assert "Usage: imgflow" in shown.err


def test_a_mistyped_command_is_answered_with_the_nearest(imgflow: Cli) -> None:
    done = imgflow("sumbit")

    assert done.code == 2
    assert "Did you mean 'submit'?" in done.err
    assert done.out == ""


@pytest.mark.parametrize("form", [["-o", "json"], ["-ojson"], ["--output=json"]])
def test_errors_are_json_where_json_was_asked_for(imgflow: Cli, form: list[str]) -> None:
    done = imgflow("get", "nothing", "--unknown", *form)

    assert done.code == 2
    assert done.err == ""
    assert set(done.json["error"]) == {"code", "exit", "message", "hint"}
    assert (done.json["error"]["code"], done.json["error"]["exit"]) == ("usage", 2)


@pytest.mark.parametrize("form", [[], ["-o", "json"]])
def test_an_unexpected_error_is_one_line_and_whoever_debugs_gets_its_place_besides(
    imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    def broken(_engine: LocalEngine, _run: Run) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(LocalEngine, "submit", broken)

    done = imgflow("submit", "-m", "Demo", "--quiet", *form)
    monkeypatch.setenv("IMGFLOW_DEBUG", "1")
    debugged = imgflow("submit", "-m", "Demo", "--quiet", *form)

    said = ["Error: unexpected RuntimeError: nobody thought of this", "set IMGFLOW_DEBUG=1 to see where"]
    assert done.code == debugged.code == 1
    assert done.err.splitlines() == ([] if form else said)
    assert debugged.out == done.out
    assert debugged.err.startswith("Traceback")
    assert "in broken" in debugged.err
    assert debugged.err.endswith(done.err)


def test_a_name_never_reaches_the_terminal_as_a_command(imgflow: Cli, store: Store) -> None:
    store.write(keys.images("Demo\x1b]0;owned\x07") + "a.jpg", b"")

    shown = imgflow("ls", "municipalities")
    refused = imgflow("submit", "-m", "\x1b[2J")

    assert "\x1b" not in shown.out
    assert "Demo\\x1b]0;owned\\x07" in shown.out
    assert "\x1b" not in refused.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Östra Göinge", "Östra Göinge"),
        ("a\nb", "a\\nb"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202egpj", "\\u202egpj"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_and_direction_marks_are_spelt_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_yaml_holds_text_that_other_readers_take_for_text(imgflow: Cli, store: Store) -> None:
    for name in ("09162000", "1e3", "on", "y", "Utrecht"):
        store.write(f"{keys.images(name)}a.jpg", b"x")

    said = imgflow("ls", "municipalities", "-o", "yaml").out.splitlines()

    assert [line.partition(": ")[2] for line in said[1:]] == ["'09162000'", "'1e3'", "Utrecht", "'on'", "'y'"]


def test_a_reader_that_stops_reading_is_no_error(store: Store) -> None:
    for i in range(3000):
        images = Path(".imgflow") / keys.images(f"municipality-with-a-long-name-{i}")
        images.mkdir(parents=True)
        (images / "a.jpg").touch()

    done = subprocess.run(
        f"{sys.executable} -m imgflow_cli ls municipalities | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "MUNICIPALITY\n"
    assert done.stderr == ""


def test_a_terminal_sees_a_line_per_step_that_redraws_itself(store: Store) -> None:
    photographs.folder(Path("photos"), 6)

    shown, code = in_terminal("submit", "-m", "Demo", "--source", "photos", "--workers", "1", "--layout", "steps")

    assert code == 0
    assert "\x1b[2K" in shown
    for word in ("list", "scale", "grayscale", "infer", "collect", "6/6", "ms per image"):
        assert word in shown


def test_no_color_means_no_colour(store: Store) -> None:
    photographs.folder(Path("photos"), 2)

    shown, _ = in_terminal("submit", "-m", "Demo", "--source", "photos", "--workers", "1", NO_COLOR="1")

    assert "\x1b[32m" not in shown
    assert "2/2" in shown


def test_a_dumb_terminal_gets_plain_lines(store: Store) -> None:
    photographs.folder(Path("photos"), 2)

    shown, _ = in_terminal("submit", "-m", "Demo", "--source", "photos", "--workers", "1", TERM="dumb")

    assert "\x1b" not in shown
    assert "collect: done" in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0.0s"), (0.44, "0.4s"), (12, "12s"), (185, "3m05s"), (7800, "2h10m"), (400_000, "4d")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (250_000_000, "250 MB"), (3e13, "30.0 TB")]
)
def test_sizes_are_short(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize("command", [("ls",), ("plan", "-m", "Demo")])
def test_ctrl_c_is_a_document_too_where_json_was_asked_for(
    imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Directory, "folders", interrupted)

    done = imgflow(*command, "-o", "json")

    assert (done.code, done.json["error"]["code"]) == (130, "interrupted")


def test_a_polite_kill_is_an_interruption(store: Store) -> None:
    photographs.folder(Path("photos"), 200)
    command = [*IMGFLOW, "submit", "-m", "Demo", "--source", "photos", "--workers", "1", "--run", "mine"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not any(store.entries("runs/mine/progress/")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.terminate()
        _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "imgflow retry mine" in err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="sees processes start below /proc")
def test_ctrl_c_while_processes_start_is_said_once_and_without_a_traceback(store: Store) -> None:
    photographs.folder(Path("photos"), 20)
    command = [*IMGFLOW, "submit", "-m", "Demo", "--source", "photos", "--workers", "2", "--run", "mine"]

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not any("spawn_main" in command_line(child) for child in children(process.pid)):
            assert process.poll() is None, process.communicate()
        time.sleep(0.1)  # it is importing now
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everything that runs in it
        _, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    assert "imgflow retry mine" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("imgflow su", ["submit"]),
        ("imgflow get ", ["@latest", "utrecht-1"]),
        ("imgflow submit -m U", ["Utrecht"]),
        ("imgflow submit --lay", ["--layout"]),
        ("imgflow submit --layout f", ["fused"]),
    ],
)
def test_the_shell_completes_commands_flags_values_and_names(store: Store, words: str, expected: list[str]) -> None:
    store.write("runs/utrecht-1/run.json", b"{}")
    store.write(keys.images("Utrecht") + "a.jpg", b"")
    asked = {"_IMGFLOW_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}

    done = subprocess.run(IMGFLOW, env={**os.environ, **asked}, capture_output=True, text=True, check=True)

    assert done.stdout.split() == expected


SENTENCES = (
    "the first words of it, `imgflow submit -m 'Bad Ems' --where \"year > 2012\"` and more words\n  a name that is long"
)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_sentences_break_at_spaces_and_commands_and_names_stay_whole(width: int) -> None:
    lines = wrapped(SENTENCES, width).split("\n")

    assert " ".join(lines[:-1]).split() == SENTENCES.split("\n", maxsplit=1)[0].split()
    assert all(len(line) <= width or line.startswith("`imgflow submit") for line in lines[:-1])
    assert any("`imgflow submit -m 'Bad Ems' --where \"year > 2012\"`" in line for line in lines)
    assert lines[-1] == "  a name that is long"


def test_what_get_and_why_tell_on_a_terminal_breaks_no_word_and_no_place(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--workers", "1", "-q")

    for words in (["get", "@latest"], ["why", "letter.jpg"]):
        lines = in_terminal(*words, COLUMNS="60")[0].splitlines()
        assert [line for line in lines if len(line) > 60 and len(line.split()) > 3] == []
        assert any(line.startswith(("              ", "    ")) for line in lines)


def test_an_error_on_a_terminal_breaks_no_word(tmp_path: Path) -> None:
    shown, code = in_terminal("retry", "An impossible name", "--store", str(tmp_path), COLUMNS="50")

    error = shown[shown.index("Error: ") :].splitlines()
    assert code == 2
    assert len(error) > 2
    assert all(len(line) <= 50 for line in error if not line.startswith("`"))
